#include "jobs/clean_job.hpp"

#include <set>

#include "net/collectives.hpp"
#include "plan/cluster.hpp"
#include "plan/input_proof.hpp"
#include "plan/old_data_set.hpp"
#include "plan/preflight_paths.hpp"
#include "plan/role_disks.hpp"
#include "runtime/packing.hpp"

namespace sluice {
namespace {

/// What would go and what stays, on the disks of one rank.
struct Listing {
    std::vector<std::string> lines, stays;
    std::set<std::string> run_ids;  ///< of the runs whose traces are in `lines`
};

Listing list_leftovers(JobContext& job, const CleanOptions& options) {
    Listing listing;
    for (const RunTrace& trace : find_run_traces(job)) {
        if (!trace.kind && !trace.is_half_set()) continue;
        if (options.only_runs && !options.only_runs->run_ids.empty() &&
            options.only_runs->run_ids.count(trace.run_id) == 0)
            continue;
        const bool is_strange = !trace.not_ours.empty() || trace.is_others();
        if (is_strange && options.only_runs && !options.dry_run) continue;  // removing says it
        const std::string where = "'" + trace.path() + "' on host " + job.place.host;
        if (trace.not_ours.empty() && trace.is_others()) {
            listing.stays.push_back("note: stays: " + where +
                                    ": has no owner record, so what is in it is none of sluice's; look, and remove it "
                                    "yourself");
            continue;
        }
        if (!trace.not_ours.empty()) {
            listing.stays.push_back("note: stays: " + where + ": " + trace.not_ours);
            continue;
        }
        const std::string what = where + (trace.record ? ", " + describe_owner(*trace.record) : std::string());
        if (!trace.life.dead && !(options.force && trace.could_lock)) {
            listing.stays.push_back("note: stays: " + what + ": " + trace.life.why);
            continue;
        }
        const std::size_t segments = trace.record ? trace.record->process.segments.size() : 0;
        listing.run_ids.insert(trace.run_id);
        listing.lines.push_back((trace.life.dead ? "left by a dead run: " + what
                                                 : "by --force, though it may live (" + trace.life.why + "): " + what) +
                                (segments == 0 ? std::string()
                                               : ", with " + std::to_string(segments) +
                                                     " segments of shared memory, as far as they are still there"));
    }
    return listing;
}

/// A disk that is not there is not clean: it may be a wrong word, or not mounted.
void check_presence(JobContext& job, DiskRole role, Problems& problems) {
    for (const RoleDisk& disk : role_disks(job, role).disks) {
        if (!disk.is_ours) continue;
        try {
            job.files.open_directory(disk.path);
        } catch (const ExhaustedError&) {
            throw;
        } catch (const Error& error) {
            problems.push_back({Errc::environment,
                                word_of(role) + " disk '" + disk.path + "' on host " + job.place.host + ": " +
                                    error.what() + "; nothing was removed: mount it, or take it out of the config"});
        }
    }
}

/// Who may write to a directory can swap what lies in it while we remove.
void check_disks_of(JobContext& job, const CleanOptions& options) {
    Problems problems;
    std::vector<std::string> notes;
    std::vector<DiskRole> roles{DiskRole::output};
    if (job.config.passes != Passes::one) roles.push_back(DiskRole::intermediate);
    if (options.with_input || options.only_runs) roles.push_back(DiskRole::input);
    for (const DiskRole role : roles) {
        check_presence(job, role, problems);
        check_permissions(job, role, problems, notes);
    }
    // Where only what a gen has left is looked for, input that hosts share by their names in it is as a sort takes it.
    if (!options.with_input) std::erase(roles, DiskRole::input);
    prove_disks(job, roles, problems);
    refuse_if_any(job, problems);
    say_notes(job, notes);
}

/// Only of runs that were shown to whom they concern.
LeftoversWanted shown_ones(JobContext& job, const Listing& listing, bool force) {
    LeftoversWanted wanted;
    wanted.force = force;
    wanted.shown.emplace();
    const std::vector<std::string> mine(listing.run_ids.begin(), listing.run_ids.end());
    for (const std::string& run_id : all_gather_list(job.communicator, mine)) wanted.shown->insert(run_id);
    return wanted;
}

/// What one run, or all dead ones, left: no data set, and nobody is asked.
CleanResult clean_runs(JobContext& job, const CleanOptions& options) {
    CleanResult result;
    const Listing listing = list_leftovers(job, options);
    const auto all = gather_list(job.communicator, listing.lines);
    result.found = from_rank_0(job.communicator, !all.empty());
    if (options.dry_run && job.rank() == 0 && !all.empty()) options.confirm(all);
    if (!options.dry_run) result.left = remove_leftovers(job, *options.only_runs);
    say_notes(job, listing.stays);
    result.confirmed = !options.dry_run;
    return result;
}

}  // namespace

CleanResult run_clean(JobContext& job, const CleanOptions& options) {
    check_disks_of(job, options);
    if (options.only_runs) return clean_runs(job, options);
    std::vector<OldDataSet> sets;
    sets.emplace_back(job, DiskRole::output, job.config.output.name);
    if (options.with_input) sets.emplace_back(job, DiskRole::input, job.config.input.name);
    Listing listing = list_leftovers(job, options);
    Problems problems;
    for (OldDataSet& set : sets) {
        for (const std::string& line : set.strangers()) listing.stays.push_back(line);
        if (!set.is_there()) continue;
        for (const std::string& line : set.lines()) listing.lines.push_back(line);
        if (!options.dry_run) set.lock(problems);
    }
    refuse_if_any(job, problems);
    say_notes(job, listing.stays);
    const std::vector<std::string> all = gather_list(job.communicator, listing.lines);
    CleanResult result;
    struct Answer {
        bool found, confirmed;
    };
    const bool allowed = job.rank() == 0 && !all.empty() && options.confirm(all);
    const auto answer = from_rank_0(job.communicator, Answer{!all.empty(), allowed});
    result.found = answer.found;
    result.confirmed = answer.confirmed;
    if (!result.confirmed || options.dry_run) return result;
    result.left = remove_leftovers(job, shown_ones(job, listing, options.force));
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
