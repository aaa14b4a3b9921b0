#include <algorithm>
#include <map>

#include "io/input_slices.hpp"
#include "jobs/data_jobs.hpp"
#include "net/collectives.hpp"
#include "plan/cluster.hpp"
#include "plan/found_set.hpp"
#include "plan/role_disks.hpp"
#include "record/record_stream.hpp"
#include "record/uint128_text.hpp"
#include "runtime/packing.hpp"
#include "runtime/printable.hpp"
#include "runtime/units.hpp"
#include "stages/network.hpp"

namespace sluice {
namespace {

constexpr unsigned kDepth = 3;
constexpr std::uint64_t kPieceBytes = 32 * kMiB;  // what a thread checks at a time

/// A range of one part: whole records.
struct PartRange {
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

    SortSummary check(const std::string& path, const DataFile& part, const PartRange& piece) {
        const auto file = job_.io.open_for_read(path);
        if (file->size_bytes() != part.bytes) {
            throw Error(Errc::input, "part '" + path + "' has " + std::to_string(file->size_bytes()) +
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
            throw Error(Errc::integrity, "part '" + path + "' has " + std::to_string(part.bytes) +
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

/// A run of records that a rank has checked, as it goes to all.
struct CheckedRun {
    std::uint64_t part = 0, offset = 0, bytes = 0;
    SortSummary summary;
    static constexpr auto fields =
        std::tuple{&CheckedRun::part, &CheckedRun::offset, &CheckedRun::bytes, &CheckedRun::summary};
};

/// What this rank reads: the parts that its host sees are divided evenly over its ranks, however few there are, and
/// those on shared disks over all ranks; then cut for the threads.
std::vector<PartRange> pieces_of_rank(const JobContext& job, const FoundSet& found) {
    std::vector<PartRange> pieces;
    const RecordFormat& format = found.set.format;
    const std::uint64_t unit = format.slice_unit_bytes(), step = std::max(unit, round_down(kPieceBytes, unit));
    for (const SeenBy seen_by : {SeenBy::one_rank, SeenBy::one_host, SeenBy::all_hosts}) {
        const std::uint32_t rank = seen_by == SeenBy::all_hosts  ? job.rank()
                                   : seen_by == SeenBy::one_host ? job.place.local_rank
                                                                 : 0,
                            ranks = seen_by == SeenBy::all_hosts  ? job.ranks()
                                    : seen_by == SeenBy::one_host ? job.place.local_ranks
                                                                  : 1;
        std::vector<SizedFile> files;
        for (std::uint32_t part = 0; part < found.set.files.size(); ++part) {
            const DataFile& file = found.set.files[part];
            const SetDirectory* directory = found.directory_of(file.disk);
            if (directory == nullptr || directory->seen_by != seen_by) continue;
            files.push_back({file.name, file.bytes, part});
            // An empty part has nothing to divide, but must be there.
            if (file.bytes == 0 && rank == 0) pieces.push_back({part, 0, 0, {}});
        }
        for (const InputSlice& slice : slice_for_rank(files, rank, ranks, unit)) {
            for (std::uint64_t at = 0; at < slice.bytes; at += step)
                pieces.push_back({slice.file, slice.offset + at, std::min(step, slice.bytes - at), {}});
        }
    }
    return pieces;
}

void append(SortSummary& total, const SortSummary& next, const RecordFormat& format) {
    combine(total, next, border_format(format), KeyOrder::bytes, Ties::whole_records);
}

/// Each part's own sum against its manifest's: where the whole is wrong, this names the place.
void compare_parts(const FoundSet& found, const std::vector<RecordSum>& sums) {
    if (!found.set.verified) return;
    for (std::size_t part = 0; part < sums.size(); ++part) {
        const DataFile& file = found.set.files[part];
        if (sums[part] == file.sum) continue;
        throw CollectiveError(Errc::integrity, "part " + found.describe(file) + ": holds " + sums[part].text() +
                                                   ", its manifest says " + file.sum.text() +
                                                   "; it was changed after it was sorted");
    }
}

/// The parts of all ranks as one run of records, in order.
/// @param disorder_at  gets the part where order is wrong first
SortSummary summary_of_all(JobContext& job, const FoundSet& found, const std::vector<PartRange>& mine,
                           std::string& disorder_at) {
    const Step step = open_step(job, "adds up what was checked");
    // Adjoining pieces of a part first become one, so that little is sent even of a large set.
    const DataSet& set = found.set;
    std::vector<CheckedRun> runs;
    for (const PartRange& piece : mine) {
        if (!runs.empty() && runs.back().part == piece.part && runs.back().offset + runs.back().bytes == piece.offset) {
            append(runs.back().summary, piece.summary, set.format);
            runs.back().bytes += piece.bytes;
        } else {
            runs.push_back({piece.part, piece.offset, piece.bytes, piece.summary});
        }
    }
    std::map<std::pair<std::uint64_t, std::uint64_t>, SortSummary> in_order;
    std::vector<std::uint64_t> seen_bytes(set.files.size());
    std::vector<RecordSum> sums(set.files.size());
    for (CheckedRun& run : all_gather_list(job.communicator, runs)) {
        tick_step();
        seen_bytes.at(run.part) += run.bytes;
        sums[run.part] += run.summary.sum;
        in_order[{run.part, run.offset}] = std::move(run.summary);
    }
    for (std::size_t part = 0; part < set.files.size(); ++part) {
        if (seen_bytes[part] == set.files[part].bytes) continue;
        throw CollectiveError(Errc::input, "part " + found.describe(set.files[part]) + ": only " +
                                               std::to_string(seen_bytes[part]) + " of its bytes were read");
    }
    SortSummary total;
    for (const auto& [place, summary] : in_order) {
        tick_step();
        append(total, summary, set.format);
        if (disorder_at.empty() && (total.unordered != 0 || total.unordered_ties != 0))
            disorder_at = "part " + found.describe(set.files[place.first]);
    }
    if (total.unordered == 0 && total.unordered_ties == 0) compare_parts(found, sums);
    return total;
}

/// Files with the name of a part that the manifest does not list: whoever reads all that is there gets more than the
/// set. Each directory is spoken of by one of the ranks that see it.
std::vector<std::string> stray_parts(const JobContext& job, const FoundSet& found) {
    std::vector<std::string> stray;
    for (const SetDirectory& directory : found.here) {
        if (!looks_after(job, directory.seen_by)) continue;
        std::vector<std::string> listed;
        for (const DataFile& file : found.set.files) {
            if (file.disk == directory.disk) listed.push_back(file.name);
        }
        std::sort(listed.begin(), listed.end());
        for (const std::string& name : directory.names) {
            if (name.rfind("part-", 0) == 0 && !std::binary_search(listed.begin(), listed.end(), name))
                stray.push_back("WARNING '" + directory.path + "/" + printable(name) + "' on host " + job.place.host +
                                ": lies among the parts, but is none: the MANIFEST does not list it");
        }
    }
    return stray;
}

/// Where there are no locks nobody sees that the set is being read: a sort says so in its record, this verb has none.
std::vector<std::string> unlocked(const JobContext& job, const FoundSet& found) {
    std::vector<std::string> notes;
    for (const SetDirectory& directory : found.here) {
        if (!directory.is_locked)
            notes.push_back("WARNING '" + directory.path + "' on host " + job.place.host +
                            ": its file system has no locks, so who removes it meanwhile does not see that it is read");
    }
    return notes;
}

/// What one rank sees of the input's manifest.
struct InputFact {
    std::string host, run_id;  ///< run_id "": it sees none
    std::string link;          ///< that is where the data set would be; "": there is none
    RecordSum total;
    static constexpr auto fields =
        std::tuple{&InputFact::host, &InputFact::run_id, &InputFact::link, &InputFact::total};
};

/// What the parts are to add up to: by the input's manifest where there is one, else as the sort read it. Collective.
void find_expected(JobContext& job, const DataSet& set, ValidateResult& result, Problems& problems) {
    result.expected = set.input_total;
    result.expected_from = set.verified ? "the input as it was sorted" : "the count that was sorted, unverified";
    result.sum_is_known = set.verified;
    if (!job.config.input.paths.empty()) return;
    InputFact mine{job.place.host, "", "", {}};
    try {
        if (const auto input = read_manifest_here(job, DiskRole::input, job.config.input.name, mine.link)) {
            mine.run_id = input->run_id;
            mine.total = input->total;
        }
    } catch (const Error& error) {  // there, and damaged: then nothing is known to be right
        problems.push_back(problem_of(error));
    }
    // Not every host need see it; all judge by the same one.
    std::optional<InputFact> first;
    std::string why = "the input's manifest is gone";
    for (const InputFact& fact : all_gather(job.communicator, mine)) {
        if (!fact.link.empty()) {
            why = "'" + fact.link + "' on host " + fact.host +
                  " is a link, and none is followed beneath a disk, so the input's manifest is not looked at";
        }
        if (fact.run_id.empty()) continue;
        if (!first) first = fact;
        if (fact.run_id == first->run_id && fact.total == first->total) continue;
        problems.push_back({Errc::input, "the input's manifest is of run " + first->run_id + " (" +
                                             first->total.text() + ") on host " + first->host + ", and of run " +
                                             fact.run_id + " (" + fact.total.text() + ") on host " + fact.host +
                                             ": what the sorted data is to be compared with is not known; " +
                                             "remove the one that is not its input, or mount the same disks"});
    }
    if (!first && problems.empty() && job.rank() == 0 && job.say) job.say(why + ": comparing with what the sort read");
    if (!first) return;
    result.expected = first->total;
    result.expected_from = "the input's manifest";
    result.sum_is_known = true;
}

void judge(const ValidateResult& result, const DataSet& set) {
    const SortSummary& found = result.summary;
    if (found.unordered != 0) {
        throw CollectiveError(Errc::integrity, result.disorder_at + ": " + to_decimal(found.unordered) +
                                                   " records are out of order, the first is record " +
                                                   to_decimal(found.first_unordered) +
                                                   " of the concatenated parts; the data set is not sorted");
    }
    if (found.unordered_ties != 0) {
        throw CollectiveError(Errc::integrity,
                              result.disorder_at + ": the keys are in order, but " + to_decimal(found.unordered_ties) +
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
    Problems problems;
    ValidateResult result;
    const FoundSet found = find_set(job, DiskRole::output, job.config.output.name, SetKind::sorted, problems);
    const DataSet& set = found.set;
    if (!set.run_id.empty()) job.enter("validate", set.run_id);
    find_expected(job, set, result, problems);
    refuse_if_any(job, problems);
    const auto stray = stray_parts(job, found);
    say_notes(job, stray);
    say_notes(job, unlocked(job, found));
    result.stray_parts = sum_over_ranks(job.communicator, stray.size());

    std::vector<PartRange> mine = pieces_of_rank(job, found);
    const unsigned workers = std::max(1u, std::min<unsigned>(threads, static_cast<unsigned>(mine.size())));
    const std::uint64_t unit = set.format.buffer_unit_bytes();
    const std::uint64_t lane_bytes = kDepth * std::max(unit, round_down(kMiB, unit));
    const auto arena = job.make_arena(workers * lane_bytes);
    WorkQueue<PartRange*> todo(job.executor, mine.size() + 1, 1);
    for (PartRange& piece : mine) todo.push(&piece);
    todo.producer_done();
    Pipeline pipeline(job.executor, job.bind);
    for (unsigned worker = 0; worker < workers; ++worker) {
        const auto memory = arena->take(lane_bytes, kDirectIoAlign, "validate");
        pipeline.add(StageKind::validator, worker, [&, memory] {
            PartChecker checker(job, set.format, memory);
            while (auto piece = todo.pop()) {
                const DataFile& part = set.files[(*piece)->part];
                (*piece)->summary = checker.check(found.path_of(part), part, **piece);
            }
        });
    }
    pipeline.guard(todo);
    pipeline.on_change([&job] { job.doorbell.ring(); });
    pipeline.start();
    make_network_loop(job, pipeline).wait_for_workers();

    result.summary = summary_of_all(job, found, mine, result.disorder_at);
    result.parts = set.files.size();
    for (const DataFile& part : set.files) result.empty_parts += part.bytes == 0 ? 1 : 0;
    for (const PartRange& piece : mine) result.checked_bytes += piece.bytes;
    result.elapsed_s = static_cast<double>(job.executor.now_ns() - begin_ns) * 1e-9;
    judge(result, set);
    return result;
}

}  // namespace sluice
