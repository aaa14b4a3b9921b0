#include "jobs/clean_job.hpp"

#include "jobs/cluster.hpp"
#include "jobs/old_data_set.hpp"
#include "runtime/packing.hpp"

namespace sluice {
namespace {

/// Of all ranks, on rank 0.
std::vector<std::string> gather_lines(JobContext& job, const std::vector<std::string>& mine) {
    std::vector<std::string> all;
    for (const std::string& text : job.communicator.gather(pack(mine), 0)) {
        if (text.empty()) continue;
        const auto lines = unpack<std::vector<std::string>>(text);
        all.insert(all.end(), lines.begin(), lines.end());
    }
    return all;
}

/// @param stays  gets what lives, or may live
std::vector<std::string> leftover_lines(JobContext& job, std::vector<std::string>& stays) {
    std::vector<std::string> lines;
    for (const RunTrace& trace : find_run_traces(job)) {
        if (!trace.kind && !trace.is_half_set()) continue;
        if (!trace.not_ours.empty()) {
            stays.push_back("note: stays: '" + trace.path() + "' on host " + job.place.host + ": " + trace.not_ours);
            continue;
        }
        const std::string what = "'" + trace.path() + "' on host " + job.place.host +
                                 (trace.record ? ", " + describe_owner(*trace.record) : std::string());
        const std::size_t segments = trace.record ? trace.record->process.segments.size() : 0;
        if (trace.life.dead && segments != 0) {
            lines.push_back("left by a dead run: " + what + ", with " + std::to_string(segments) +
                            " segments of shared memory, as far as they are still there");
        } else if (trace.life.dead) {
            lines.push_back("left by a dead run: " + what);
        } else {
            stays.push_back("note: stays: " + what + ": " + trace.life.why);
        }
    }
    return lines;
}

}  // namespace

CleanResult run_clean(JobContext& job, const CleanOptions& options) {
    std::vector<OldDataSet> sets;
    sets.emplace_back(job, DiskRole::output, job.config.output.name);
    if (options.with_input) sets.emplace_back(job, DiskRole::input, job.config.input.name);
    std::vector<std::string> stays, problems, lines = leftover_lines(job, stays);
    for (OldDataSet& set : sets) {
        for (const std::string& line : set.strangers()) stays.push_back(line);
        if (!set.is_there()) continue;
        for (const std::string& line : set.lines()) lines.push_back(line);
        if (!options.dry_run) set.lock(problems);
    }
    refuse_if_any(job, problems);
    say_notes(job, stays);
    const std::vector<std::string> all = gather_lines(job, lines);
    CleanResult result;
    const bool allowed = job.rank() == 0 && !all.empty() && options.confirm(all);
    const std::string answer =
        job.communicator.broadcast(std::string(all.empty() ? "0" : "1") + (allowed ? "1" : "0"), 0);
    result.found = answer[0] == '1';
    result.confirmed = answer[1] == '1';
    if (!result.confirmed || options.dry_run) return result;
    LeftoversWanted wanted;
    wanted.force = options.force;
    result.left = remove_leftovers(job, wanted);
    Removal removal;
    for (OldDataSet& set : sets) {
        if (set.is_there()) removal += set.remove();
    }
    result.left.removal.files += sum_over_ranks(job.communicator, removal.files);
    result.left.removal.bytes += sum_over_ranks(job.communicator, removal.bytes);
    result.left.removal.kept.insert(result.left.removal.kept.end(), removal.kept.begin(), removal.kept.end());
    return result;
}

}  // namespace sluice
