#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "jobs/cluster.hpp"
#include "jobs/data_jobs.hpp"
#include "record/uint128_text.hpp"
#include "runtime/units.hpp"
#include "stages/network.hpp"

namespace sluice {
namespace {

constexpr unsigned kDepth = 3;

/// Reads one part from begin to end, in order, a few reads ahead, and checks its records.
class PartChecker {
public:
    PartChecker(JobContext& job, RecordFormat format, std::span<std::byte> memory)
        : job_(job),
          format_(format),
          memory_(memory),
          block_bytes_(round_down(memory.size() / kDepth, format.aligned_unit_bytes())),
          queue_(job.io.make_queue(kDepth)) {}

    SortSummary check(const DataFile& part) {
        const auto file = job_.io.open_for_read(part.path);
        if (file->size_bytes() != part.bytes) {
            throw Error(Errc::integrity, "part '" + part.path + "' has " + std::to_string(file->size_bytes()) +
                                             " bytes, its manifest says " + std::to_string(part.bytes) +
                                             "; it was changed after it was sorted");
        }
        RecordChecker checker(format_);
        std::uint64_t submitted = 0, checked = 0;
        bool ready[kDepth] = {};
        while (checked < part.bytes) {
            while (submitted < part.bytes && submitted - checked < kDepth * block_bytes_) {
                const std::uint64_t slot = submitted / block_bytes_ % kDepth,
                                    bytes = std::min(block_bytes_, part.bytes - submitted);
                queue_->read(*file, submitted, memory_.subspan(slot * block_bytes_, round_up(bytes, kDirectIoAlign)),
                             slot);
                submitted += block_bytes_;
            }
            const std::uint64_t slot = checked / block_bytes_ % kDepth;
            while (!ready[slot]) {
                done_.clear();
                queue_->wait(1, done_);
                for (const IoCompletion& completion : done_) ready[completion.token] = true;
            }
            ready[slot] = false;
            const std::uint64_t bytes = std::min(block_bytes_, part.bytes - checked);
            checker.feed(memory_.subspan(slot * block_bytes_, bytes));
            this_worker().input_bytes.add(bytes);
            checked += bytes;
        }
        return checker.summary();
    }

private:
    JobContext& job_;
    RecordFormat format_;
    std::span<std::byte> memory_;
    std::uint64_t block_bytes_;
    std::unique_ptr<IoQueue> queue_;
    std::vector<IoCompletion> done_;
};

nlohmann::json summary_json(const SortSummary& summary) {
    const auto bytes = [](const std::vector<std::byte>& record) {
        nlohmann::json list = nlohmann::json::array();
        for (const std::byte b : record) list.push_back(static_cast<unsigned>(b));
        return list;
    };
    return {{"count", summary.sum.count},
            {"sum", to_hex(summary.sum.sum)},
            {"unordered", to_decimal(summary.unordered)},
            {"first_unordered", to_decimal(summary.first_unordered)},
            {"duplicate_keys", to_decimal(summary.duplicate_keys)},
            {"first", bytes(summary.first_record)},
            {"last", bytes(summary.last_record)}};
}

SortSummary summary_from(const nlohmann::json& json) {
    const auto bytes = [](const nlohmann::json& list) {
        std::vector<std::byte> record;
        for (const auto& b : list) record.push_back(static_cast<std::byte>(b.get<unsigned>()));
        return record;
    };
    SortSummary summary;
    summary.sum = {json.at("count"), *parse_hex(json.at("sum").get<std::string>())};
    summary.count = summary.sum.count;
    summary.unordered = *parse_decimal(json.at("unordered").get<std::string>());
    summary.first_unordered = *parse_decimal(json.at("first_unordered").get<std::string>());
    summary.duplicate_keys = *parse_decimal(json.at("duplicate_keys").get<std::string>());
    summary.first_record = bytes(json.at("first"));
    summary.last_record = bytes(json.at("last"));
    return summary;
}

void judge(const ValidateResult& result, const DataSet& set) {
    const SortSummary& found = result.summary;
    if (found.unordered != 0) {
        throw CollectiveError(Errc::integrity, to_decimal(found.unordered) +
                                                   " records are out of order, the first is record " +
                                                   to_decimal(found.first_unordered) +
                                                   " of the concatenated parts; the data set is not sorted");
    }
    if (!(found.sum == result.expected)) {
        throw CollectiveError(Errc::integrity, "the sorted data is " + found.sum.text() + ", " + result.expected_from +
                                                   " says " + result.expected.text() +
                                                   "; records were lost, doubled or changed");
    }
    if (set.verified && !(found.sum == set.total)) {
        throw CollectiveError(Errc::integrity,
                              "the sorted data is " + found.sum.text() + ", its own manifest says " + set.total.text());
    }
}

}  // namespace

ValidateResult run_validate(JobContext& job, unsigned threads) {
    const std::uint64_t begin_ns = job.executor.now_ns();
    std::vector<std::string> problems;
    DataSet set;
    ValidateResult result;
    try {
        set = read_manifest(job, DiskRole::output, job.config.output.name);
        if (set.kind != "sorted")
            problems.push_back("[2] data set '" + job.config.output.name + "' is of kind '" + set.kind +
                               "', not sorted");
        result.expected = set.input_total;
        result.expected_from = "the input as it was sorted";
        if (job.config.input.paths.empty()) {
            try {
                result.expected = read_manifest(job, DiskRole::input, job.config.input.name).total;
                result.expected_from = "the input's manifest";
            } catch (const Error&) {
                if (job.rank() == 0 && job.say)
                    job.say("the input's manifest is gone: comparing with what the sort read");
            }
        }
    } catch (const Error& error) {
        problems.push_back("[" + std::to_string(error.exit_code()) + "] " + error.what());
    }
    refuse_if_any(job, problems);

    // The parts of this host go round its ranks; parts on shared disks go round all ranks.
    std::vector<std::size_t> mine;
    std::map<std::string, std::uint64_t> seen;
    for (std::size_t i = 0; i < set.files.size(); ++i) {
        const std::string& host = set.files[i].host;
        const std::uint64_t turn = seen[host]++;
        if (host == "*" ? turn % job.ranks() == job.rank()
                        : host == job.place.host && turn % job.place.local_ranks == job.place.local_rank)
            mine.push_back(i);
    }
    const unsigned workers = std::max(1u, std::min<unsigned>(threads, static_cast<unsigned>(mine.size())));
    const std::uint64_t unit = set.format.aligned_unit_bytes();
    const std::uint64_t lane_bytes = kDepth * std::max(unit, round_down(kMiB, unit));
    const auto arena = job.make_arena(workers * lane_bytes);
    std::vector<SortSummary> summaries(set.files.size());
    WorkQueue<std::size_t> todo(job.executor, mine.size() + 1, 1);
    for (const std::size_t part : mine) todo.push(part);
    todo.producer_done();
    Pipeline pipeline(job.executor, job.bind);
    for (unsigned worker = 0; worker < workers; ++worker) {
        const auto memory = arena->take(lane_bytes, kDirectIoAlign, "validate");
        pipeline.add("validator", worker, [&, memory] {
            PartChecker checker(job, set.format, memory);
            while (auto part = todo.pop()) summaries[*part] = checker.check(set.files[*part]);
        });
    }
    pipeline.guard(todo);
    pipeline.on_change([&job] { job.doorbell.ring(); });
    pipeline.start();
    NetworkLoop(job.communicator, pipeline, job.doorbell, job.backoff, job.executor.seeded() != nullptr)
        .wait_for_workers();

    nlohmann::json checked = nlohmann::json::array();
    for (const std::size_t part : mine) checked.push_back({part, summary_json(summaries[part])});
    for (const std::string& text : job.communicator.all_gather(checked.dump())) {
        for (const auto& entry : nlohmann::json::parse(text))
            summaries[entry[0].get<std::size_t>()] = summary_from(entry[1]);
    }
    for (const SortSummary& part : summaries) {
        ++result.parts;
        result.empty_parts += part.empty() ? 1 : 0;
        combine(result.summary, part, set.format);
    }
    result.elapsed_s = static_cast<double>(job.executor.now_ns() - begin_ns) * 1e-9;
    judge(result, set);
    return result;
}

}  // namespace sluice
