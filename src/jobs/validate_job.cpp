#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "jobs/cluster.hpp"
#include "jobs/data_jobs.hpp"
#include "record/record_stream.hpp"
#include "record/uint128_text.hpp"
#include "runtime/units.hpp"
#include "stages/network.hpp"

namespace sluice {
namespace {

constexpr unsigned kDepth = 3;
constexpr std::uint64_t kPieceBytes = 32 * kMiB;  // what a thread checks at a time

/// A range of one part: whole records.
struct Piece {
    std::size_t part = 0;
    std::uint64_t offset = 0, bytes = 0;
    SortSummary summary;
};

/// Reads one piece of a part from begin to end, in order, a few reads ahead, and checks its records.
class PartChecker {
public:
    PartChecker(JobContext& job, RecordFormat format, std::span<std::byte> memory)
        : job_(job),
          format_(format),
          memory_(memory),
          block_bytes_(round_down(memory.size() / kDepth, format.buffer_unit_bytes())),
          joiner_(format.record_bytes),
          queue_(job.io.make_queue(kDepth)) {}

    SortSummary check(const DataFile& part, const Piece& piece) {
        const auto file = job_.io.open_for_read(part.path);
        if (file->size_bytes() != part.bytes) {
            throw Error(Errc::integrity, "part '" + part.path + "' has " + std::to_string(file->size_bytes()) +
                                             " bytes, its manifest says " + std::to_string(part.bytes) +
                                             "; it was changed after it was sorted");
        }
        RecordChecker checker(format_, KeyOrder::bytes, Ties::whole_records);
        // Reads begin at the device block that the piece begins in.
        const std::uint64_t head_bytes = piece.offset % kDirectIoAlign, total_bytes = head_bytes + piece.bytes;
        std::uint64_t submitted = 0, checked = 0;
        bool ready[kDepth] = {};
        while (checked < total_bytes) {
            while (submitted < total_bytes && submitted - checked < kDepth * block_bytes_) {
                const std::uint64_t slot = submitted / block_bytes_ % kDepth,
                                    bytes = std::min(block_bytes_, total_bytes - submitted);
                queue_->read(*file, piece.offset - head_bytes + submitted,
                             memory_.subspan(slot * block_bytes_, round_up(bytes, kDirectIoAlign)), slot);
                submitted += block_bytes_;
            }
            const std::uint64_t slot = checked / block_bytes_ % kDepth;
            while (!ready[slot]) {
                done_.clear();
                queue_->wait(1, done_);
                for (const IoCompletion& completion : done_) ready[completion.token] = true;
            }
            ready[slot] = false;
            const std::uint64_t bytes = std::min(block_bytes_, total_bytes - checked),
                                skipped = checked == 0 ? head_bytes : 0;
            joiner_.feed(memory_.subspan(slot * block_bytes_ + skipped, bytes - skipped),
                         [&checker](std::span<const std::byte> records) { checker.feed(records); });
            this_worker().input_bytes.add(bytes);
            checked += bytes;
        }
        if (joiner_.pending_bytes() != 0) {
            throw Error(Errc::integrity, "part '" + part.path + "' has " + std::to_string(part.bytes) +
                                             " bytes, no whole records of " + std::to_string(format_.record_bytes));
        }
        SortSummary summary = checker.summary();
        keep_borders(summary, format_);
        return summary;
    }

private:
    JobContext& job_;
    RecordFormat format_;
    std::span<std::byte> memory_;
    std::uint64_t block_bytes_;
    RecordJoiner joiner_;
    std::unique_ptr<IoQueue> queue_;
    std::vector<IoCompletion> done_;
};

nlohmann::json summary_json(const SortSummary& summary) {
    return {{"count", summary.sum.count},
            {"sum", to_hex(summary.sum.sum)},
            {"unordered", to_decimal(summary.unordered)},
            {"first_unordered", to_decimal(summary.first_unordered)},
            {"duplicate_keys", to_decimal(summary.duplicate_keys)},
            {"unordered_ties", to_decimal(summary.unordered_ties)},
            {"first", hex_of(summary.first_record)},
            {"last", hex_of(summary.last_record)}};
}

SortSummary summary_from(const nlohmann::json& json) {
    SortSummary summary;
    summary.sum = {json.at("count"), *parse_hex(json.at("sum").get<std::string>())};
    summary.count = summary.sum.count;
    summary.unordered = *parse_decimal(json.at("unordered").get<std::string>());
    summary.first_unordered = *parse_decimal(json.at("first_unordered").get<std::string>());
    summary.duplicate_keys = *parse_decimal(json.at("duplicate_keys").get<std::string>());
    summary.unordered_ties = *parse_decimal(json.at("unordered_ties").get<std::string>());
    summary.first_record = bytes_of_hex(json.at("first"));
    summary.last_record = bytes_of_hex(json.at("last"));
    return summary;
}

/// What this rank reads: the parts of its host are divided evenly over its ranks, however few there are, and those on
/// shared disks over all ranks; then cut for the threads.
std::vector<Piece> pieces_of_rank(const JobContext& job, const DataSet& set) {
    std::vector<Piece> pieces;
    const std::uint64_t unit = set.format.slice_unit_bytes(), step = std::max(unit, round_down(kPieceBytes, unit));
    for (const bool shared : {false, true}) {
        std::vector<DataFile> files;
        std::map<std::string, std::size_t> part_of_path;
        const std::uint32_t rank = shared ? job.rank() : job.place.local_rank,
                            ranks = shared ? job.ranks() : job.place.local_ranks;
        for (std::size_t part = 0; part < set.files.size(); ++part) {
            if (set.files[part].host != (shared ? "*" : job.place.host)) continue;
            files.push_back(set.files[part]);
            part_of_path[set.files[part].path] = part;
            // An empty part has nothing to divide, but must be there.
            if (set.files[part].bytes == 0 && rank == 0) pieces.push_back({part, 0, 0, {}});
        }
        for (const InputSlice& slice : slice_for_rank(files, rank, ranks, unit)) {
            for (std::uint64_t at = 0; at < slice.bytes; at += step)
                pieces.push_back(
                    {part_of_path.at(slice.path), slice.offset + at, std::min(step, slice.bytes - at), {}});
        }
    }
    return pieces;
}

void append(SortSummary& total, const SortSummary& next, const RecordFormat& format) {
    combine(total, next, border_format(format), KeyOrder::bytes, Ties::whole_records);
}

/// The parts of all ranks as one run of records, in order.
SortSummary summary_of_all(JobContext& job, const DataSet& set, const std::vector<Piece>& mine) {
    // Adjoining pieces of a part first become one, so that little is sent even of a large set.
    std::vector<Piece> runs;
    for (const Piece& piece : mine) {
        if (!runs.empty() && runs.back().part == piece.part && runs.back().offset + runs.back().bytes == piece.offset) {
            append(runs.back().summary, piece.summary, set.format);
            runs.back().bytes += piece.bytes;
        } else {
            runs.push_back(piece);
        }
    }
    nlohmann::json checked = nlohmann::json::array();
    for (const Piece& run : runs) checked.push_back({run.part, run.offset, run.bytes, summary_json(run.summary)});
    std::map<std::pair<std::size_t, std::uint64_t>, SortSummary> in_order;
    std::vector<std::uint64_t> seen_bytes(set.files.size());
    for (const std::string& text : job.communicator.all_gather(checked.dump())) {
        for (const auto& entry : nlohmann::json::parse(text)) {
            const auto part = entry[0].get<std::size_t>();
            seen_bytes[part] += entry[2].get<std::uint64_t>();
            in_order[{part, entry[1].get<std::uint64_t>()}] = summary_from(entry[3]);
        }
    }
    for (std::size_t part = 0; part < set.files.size(); ++part) {
        if (seen_bytes[part] == set.files[part].bytes) continue;
        throw CollectiveError(Errc::input, "part '" + set.files[part].path + "' lies on host " + set.files[part].host +
                                               ", where no rank runs; start validate on all hosts of the data set");
    }
    SortSummary total;
    for (const auto& [place, summary] : in_order) append(total, summary, set.format);
    return total;
}

void judge(const ValidateResult& result, const DataSet& set) {
    const SortSummary& found = result.summary;
    if (found.unordered != 0) {
        throw CollectiveError(Errc::integrity, to_decimal(found.unordered) +
                                                   " records are out of order, the first is record " +
                                                   to_decimal(found.first_unordered) +
                                                   " of the concatenated parts; the data set is not sorted");
    }
    if (found.unordered_ties != 0) {
        throw CollectiveError(Errc::integrity,
                              "the keys are in order, but " + to_decimal(found.unordered_ties) +
                                  " record(s) with the key of the one before are smaller than it as a whole; sluice's "
                                  "order is (key, whole record), so the parts were changed after the sort");
    }
    if (found.sum.count != result.expected.count || (result.sum_is_known && !(found.sum == result.expected))) {
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
    job.enter("validate");
    std::vector<std::string> problems;
    DataSet set;
    ValidateResult result;
    try {
        set = read_manifest(job, DiskRole::output, job.config.output.name);
        if (set.kind != "sorted")
            problems.push_back("[2] data set '" + job.config.output.name + "' is of kind '" + set.kind +
                               "', not sorted");
        result.expected = set.input_total;
        result.expected_from = set.verified ? "the input as it was sorted" : "the count that was sorted, unverified";
        result.sum_is_known = set.verified;
        if (job.config.input.paths.empty()) {
            try {
                result.expected = read_manifest(job, DiskRole::input, job.config.input.name).total;
                result.expected_from = "the input's manifest";
                result.sum_is_known = true;
            } catch (const Error&) {
                if (job.rank() == 0 && job.say)
                    job.say("the input's manifest is gone: comparing with what the sort read");
            }
        }
    } catch (const Error& error) {
        problems.push_back("[" + std::to_string(error.exit_code()) + "] " + error.what());
    }
    refuse_if_any(job, problems);

    std::vector<Piece> mine = pieces_of_rank(job, set);
    const unsigned workers = std::max(1u, std::min<unsigned>(threads, static_cast<unsigned>(mine.size())));
    const std::uint64_t unit = set.format.buffer_unit_bytes();
    const std::uint64_t lane_bytes = kDepth * std::max(unit, round_down(kMiB, unit));
    const auto arena = job.make_arena(workers * lane_bytes);
    WorkQueue<Piece*> todo(job.executor, mine.size() + 1, 1);
    for (Piece& piece : mine) todo.push(&piece);
    todo.producer_done();
    Pipeline pipeline(job.executor, job.bind);
    for (unsigned worker = 0; worker < workers; ++worker) {
        const auto memory = arena->take(lane_bytes, kDirectIoAlign, "validate");
        pipeline.add("validator", worker, [&, memory] {
            PartChecker checker(job, set.format, memory);
            while (auto piece = todo.pop()) (*piece)->summary = checker.check(set.files[(*piece)->part], **piece);
        });
    }
    pipeline.guard(todo);
    pipeline.on_change([&job] { job.doorbell.ring(); });
    pipeline.start();
    NetworkLoop(job.communicator, pipeline, job.doorbell, job.backoff, job.executor.seeded() != nullptr)
        .wait_for_workers();

    result.summary = summary_of_all(job, set, mine);
    result.parts = set.files.size();
    for (const DataFile& part : set.files) result.empty_parts += part.bytes == 0 ? 1 : 0;
    for (const Piece& piece : mine) result.checked_bytes += piece.bytes;
    result.elapsed_s = static_cast<double>(job.executor.now_ns() - begin_ns) * 1e-9;
    judge(result, set);
    return result;
}

}  // namespace sluice
