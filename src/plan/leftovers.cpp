#include "plan/leftovers.hpp"

#include <algorithm>
#include <map>
#include <utility>

#include "net/collectives.hpp"
#include "plan/cluster.hpp"
#include "plan/role_disks.hpp"
#include "plan/set_names.hpp"
#include "runtime/packing.hpp"
#include "runtime/printable.hpp"

namespace sluice {
namespace {

using Kind = RunDirectoryKind;

/// What one rank sees of one run.
struct RunFact {
    std::string run_id, description, why, manifest_host;
    bool is_dead = true, is_published = false, can_be_forced = true;
    bool has_run_directory = false, has_half_set = false;
    bool is_in_the_way = false;  ///< of LeftoversWanted::target
    std::string undecided;       ///< undecided_text(), once all ranks' facts are merged
    // For who cannot see its first disk: what its other disks say of how far it came.
    bool sees_first_disk = false, says_published = false, says_unpublished = false;
    static constexpr auto fields = std::tuple{&RunFact::run_id,
                                              &RunFact::description,
                                              &RunFact::why,
                                              &RunFact::is_dead,
                                              &RunFact::is_published,
                                              &RunFact::can_be_forced,
                                              &RunFact::has_run_directory,
                                              &RunFact::has_half_set,
                                              &RunFact::is_in_the_way,
                                              &RunFact::manifest_host,
                                              &RunFact::sees_first_disk,
                                              &RunFact::says_published,
                                              &RunFact::says_unpublished};
    bool is_leftover() const { return has_run_directory || (has_half_set && !is_published); }
};

using RunFacts = std::map<std::string, RunFact>;

void merge(RunFacts& facts, const RunFact& fact) {
    const auto [found, fresh] = facts.emplace(fact.run_id, fact);
    if (fresh) return;
    RunFact& known = found->second;
    if (known.description.empty()) known.description = fact.description;
    if (known.is_dead && !fact.is_dead) known.why = fact.why;
    known.is_dead = known.is_dead && fact.is_dead;
    known.is_published = known.is_published || fact.is_published;
    known.can_be_forced = known.can_be_forced && fact.can_be_forced;
    known.has_run_directory = known.has_run_directory || fact.has_run_directory;
    known.has_half_set = known.has_half_set || fact.has_half_set;
    known.is_in_the_way = known.is_in_the_way || fact.is_in_the_way;
    if (known.manifest_host.empty()) known.manifest_host = fact.manifest_host;
    known.sees_first_disk = known.sees_first_disk || fact.sees_first_disk;
    known.says_published = known.says_published || fact.says_published;
    known.says_unpublished = known.says_unpublished || fact.says_unpublished;
}

/// A run publishes only once all its disks have their final names, and then says so on each.
void note_progress(const RunTrace& trace, RunFact& fact) {
    if (!trace.record || trace.is_displaced_set() || trace.kind == Kind::scratch) return;
    fact.manifest_host = trace.record->manifest_host;
    fact.sees_first_disk = trace.record->disk == 0;
    fact.says_published = !trace.kind && trace.record->state == OwnerState::published;
    fact.says_unpublished =
        (trace.kind || trace.is_half_set()) && (trace.kind || trace.record->state != OwnerState::publishing);
}

RunFact fact_of(const RunTrace& trace, const std::string& target) {
    RunFact fact;
    fact.run_id = trace.run_id;
    if (trace.record && !trace.is_displaced_set()) fact.description = describe_owner(*trace.record);
    // The MANIFEST of its first disk is what makes a set one.
    fact.is_published = !trace.kind && trace.has_manifest && trace.record && trace.record->disk == 0;
    note_progress(trace, fact);
    fact.has_run_directory = trace.kind && !trace.is_others();
    fact.has_half_set = trace.is_half_set();
    if (fact.has_run_directory || fact.has_half_set) {
        fact.is_dead = trace.life.dead;
        fact.why = trace.life.why;
        fact.can_be_forced = trace.could_lock;
        fact.is_in_the_way = target.empty() || !trace.record || trace.record->target == target ||
                             trace.kind == RunDirectoryKind::scratch;
    }
    return fact;
}

/// "": whether it has published is known.
std::string undecided_text(const RunFact& fact, const std::set<std::string>& hosts_here) {
    const bool is_known = fact.sees_first_disk || fact.says_published || fact.says_unpublished || !fact.has_half_set;
    if (is_known || fact.manifest_host.empty() || hosts_here.count(fact.manifest_host) != 0) return "";
    return fact.description + " may have published it: its MANIFEST is on host " + printable(fact.manifest_host) +
           ", of which no rank is here; run on that host too, or, if you know that there is none: sluice clean --run " +
           fact.run_id + " --force";
}

/// Over all ranks, on all ranks.
RunFacts gather_facts(JobContext& job, const std::vector<RunTrace>& traces, const std::string& target) {
    RunFacts mine, all;
    for (const RunTrace& trace : traces) {
        if (trace.not_ours.empty()) merge(mine, fact_of(trace, target));
    }
    std::vector<RunFact> list;
    for (const auto& [run_id, fact] : mine) list.push_back(fact);
    for (const RunFact& fact : all_gather_list(job.communicator, list)) merge(all, fact);
    const std::set<std::string> hosts_here(job.place.host_by_rank.begin(), job.place.host_by_rank.end());
    for (auto& [run_id, fact] : all) {
        fact.is_published = fact.is_published || (fact.says_published && !fact.sees_first_disk);
        fact.undecided = undecided_text(fact, hosts_here);
    }
    return all;
}

/// One rank's part, on the disks that it looks after.
class Sweep {
public:
    Sweep(JobContext& job, std::vector<RunTrace>& traces, bool force) : job_(job), traces_(traces), force_(force) {}

    void of_run(const RunFact& fact, Leftovers& left) {
        for (RunTrace& trace : traces_) {
            if (trace.run_id != fact.run_id || !trace.is_displaced_set() || !trace.not_ours.empty()) continue;
            if (fact.is_published) {
                remove(trace, left);
            } else {
                restore(trace, left);
            }
        }
        for (RunTrace& trace : traces_) {
            if (trace.run_id != fact.run_id || trace.is_displaced_set() || !trace.not_ours.empty()) continue;
            if (trace.kind || (trace.is_half_set() && !fact.is_published)) remove(trace, left);
        }
    }

private:
    /// What this user or file system does not permit is said, and the rest goes on.
    void remove(RunTrace& trace, Leftovers& left) {
        try {
            remove_one(trace, left);
        } catch (const Error& error) {
            if (error.code() != Errc::environment) throw;
            left.removal.kept.push_back(error.what());
        }
    }
    void remove_one(RunTrace& trace, Leftovers& left) {
        if (!trace.disk->look(trace.name)) return;  // it got its name back, or went with another trace
        if (!trace.record && trace.is_empty) {
            remove_torn(trace, left);
            return;
        }
        auto lock = trace.record ? take_from_dead_run(job_, trace, force_) : nullptr;
        if (!lock) {
            left.removal.kept.push_back("'" + trace.path() +
                                        "': " + (trace.record ? "is in use" : "has no owner record that can be read"));
            return;
        }
        remove_placeholder(trace);
        if (trace.kind != Kind::removed) {
            const Aside aside = move_aside(*trace.disk, trace.name, trace.run_id);
            // Where nothing can be moved (an overlay's lower layer) its lock has to do, if there are locks.
            const bool may_go_on = aside.renamed == Directory::Renamed::done ||
                                   (aside.renamed == Directory::Renamed::impossible && trace.no_locks.empty());
            if (!may_go_on) {
                left.removal.kept.push_back("'" + trace.path() + "': has gone, or cannot be given another name");
                return;
            }
            if (aside.renamed == Directory::Renamed::done) trace.kind = Kind::removed;
            trace.name = aside.name;
        }
        if (const auto directory = trace.disk->open(trace.name)) mark_removing(*directory, lock);
        remove_segments(*trace.record, left);
        left.removal += remove_directory_of_ours(
            *trace.disk, trace.name, [&trace](const std::string& file) { return trace.record->matches(file); },
            [&lock] { lock.reset(); });
    }
    /// What its ranks shared on this host in this boot; another run may use the names by now, not the same files.
    void remove_segments(const OwnerRecord& record, Leftovers& left) {
        const ProcessIdentity here = job_.processes.self();
        const ProcessIdentity& process = record.process;
        if (process.segments.empty() || process.boot != here.boot || process.host != here.host) return;
        const auto directory = open_disk(job_, kSharedMemoryDirectory);
        if (!directory) return;
        for (const SharedSegment& segment : process.segments) {
            if (!is_segment_name(segment.name)) continue;
            const auto entry = directory->look(segment.name);
            if (!entry || entry->kind != EntryInfo::Kind::file || entry->inode != segment.inode) continue;
            if (entry->owner != directory->owner_of_new_files() || job_.processes.is_mapped(segment)) {
                left.removal.kept.push_back("'" + directory->path() + "/" + printable(segment.name) +
                                            "': is in use, or belongs to another user");
                continue;
            }
            directory->remove_file(segment.name);
            ++left.removal.files;
            left.removal.bytes += entry->size_bytes;
        }
    }
    /// A record that was never finished, and the directory that it was to be for. Its run may be about to finish it:
    /// whoever holds it keeps it, and a directory that is not empty any more stays. So does all of it where something
    /// in it is no file of ours: no run makes that.
    static void remove_torn(const RunTrace& trace, Leftovers& left) {
        const auto directory = trace.disk->open(trace.name);
        if (!directory) return;
        const std::size_t kept_before = left.removal.kept.size();
        const auto names = directory->names();
        for (const std::string& name : names) {
            const auto entry = directory->look(name);
            const char* why = entry ? why_no_file_of(directory->info().owner, *entry) : "";
            if (*why != '\0') left.removal.kept.push_back("'" + trace.path() + "/" + printable(name) + "': " + why);
        }
        if (left.removal.kept.size() > kept_before) return;
        if (!remove_torn_files(*trace.disk, trace.name, *directory, names))
            left.removal.kept.push_back("'" + trace.path() + "': is in use");
    }
    static bool remove_torn_files(Directory& disk, const std::string& directory_name, Directory& directory,
                                  const std::vector<std::string>& names) {
        std::vector<std::unique_ptr<FileLock>> locks;
        for (const std::string& name : names) {
            LockAttempt attempt = directory.lock(name, LockMode::exclusive);
            if (attempt.outcome == LockAttempt::Outcome::held) return false;
            locks.push_back(std::move(attempt.lock));
        }
        if (read_owner(directory)) return false;
        for (const std::string& name : names) directory.remove_file(name);
        locks.clear();  // what is open may be kept there until then
        if (!directory.names().empty()) return false;
        try {
            disk.remove_directory(directory_name);
        } catch (const Error&) {
            return false;  // its record came at this very moment
        }
        return true;
    }
    /// The set that was there before the run gets its name back; what the run has under it moves aside, to be removed.
    void restore(RunTrace& trace, Leftovers& left) {
        const std::string target = trace.record->target;
        const auto lock = take_from_dead_run(job_, trace, force_);
        if (!lock || target.empty()) return;
        RunTrace* half = half_set_under(trace, target);
        remove_placeholder(trace);
        bool done = false;
        if (half == nullptr) {
            done = rename_to_free_name(*trace.disk, trace.name, target) == Directory::Renamed::done;
        } else if (trace.disk->exchange(trace.name, target) == Directory::Renamed::done) {
            half->name = trace.name;
            half->kind = trace.kind;
            done = true;
        } else {
            const Aside aside = move_aside(*trace.disk, target, trace.run_id);
            if (aside.renamed == Directory::Renamed::done) {
                half->name = aside.name;
                half->kind = Kind::removed;
                done = rename_to_free_name(*trace.disk, trace.name, target) == Directory::Renamed::done;
            }
        }
        if (!done) {
            left.removal.kept.push_back("'" + trace.path() + "': an older data set whose name '" + target +
                                        "' is taken; rename it yourself");
            return;
        }
        trace.name = target;
        trace.disk->sync();
        ++left.restored;
    }
    /// The empty directory by which its run held the name.
    void remove_placeholder(const RunTrace& trace) {
        if (!trace.record || !trace.may_hold_name(trace.record->target)) return;
        const auto holder = whose_placeholder(job_, trace.disk, trace.record->target);
        if (holder && holder->run_id == trace.run_id) trace.disk->remove_directory(trace.record->target);
    }
    /// What the run that displaced a set has under that set's name.
    RunTrace* half_set_under(const RunTrace& displaced, const std::string& name) {
        for (RunTrace& trace : traces_) {
            if (trace.disk == displaced.disk && trace.run_id == displaced.run_id && trace.is_half_set() &&
                trace.name == name)
                return &trace;
        }
        return nullptr;
    }

    JobContext& job_;
    std::vector<RunTrace>& traces_;
    bool force_;
};

std::string record_text(const RunFact& fact) {
    return fact.description.empty() ? "run " + fact.run_id + " (no owner record)" : fact.description;
}

/// Of one run that was named: why nothing of it is removed; "": it may go.
Problem why_not_removed(const RunFact& fact, bool force) {
    const std::string by_force = "sluice clean --run " + fact.run_id + " --force";
    if (!fact.is_dead && !(force && fact.can_be_forced)) {
        return {Errc::busy,
                record_text(fact) + " is still at work, or may be: " + fact.why +
                    (fact.can_be_forced ? "; if you know that it has ended: " + by_force : "; wait for it or end it")};
    }
    return fact.undecided.empty() || force ? Problem() : Problem{Errc::busy, fact.undecided};
}

void keep_undecided(const std::vector<RunTrace>& traces, const RunFact& fact, Leftovers& left) {
    for (const RunTrace& trace : traces) {
        if (trace.run_id == fact.run_id && (trace.kind || trace.is_half_set()))
            left.removal.kept.push_back("'" + trace.path() + "': " + fact.undecided);
    }
}

}  // namespace

/// What Directory::owner_of_new_files() makes; not even who is just looking at it needs it.
Removal remove_probes(JobContext& job) {
    Removal removal;
    std::set<std::string> seen;
    for (const DiskRole role : {DiskRole::input, DiskRole::intermediate, DiskRole::output}) {
        for (const RoleDisk& disk : role_disks(job, role).disks) {
            const auto directory = disk.is_ours && seen.insert(disk.path).second ? open_disk(job, disk.path) : nullptr;
            if (!directory) continue;
            for (const std::string& name : directory->names()) {
                if (!matches_pattern(name, kOwnerProbePattern)) continue;
                const auto entry = directory->look(name);
                if (!entry || entry->size_bytes != 0 || entry->owner != directory->owner_of_new_files() ||
                    entry->kind != EntryInfo::Kind::file)
                    continue;
                if (try_to_remove(*directory, name, removal)) ++removal.files;
            }
        }
    }
    return removal;
}

std::map<std::string, std::string> undecided_runs(JobContext& job) {
    std::map<std::string, std::string> undecided;
    for (const auto& [run_id, fact] : gather_facts(job, find_run_traces(job), "")) {
        if (!fact.undecided.empty()) undecided[run_id] = fact.undecided;
    }
    return undecided;
}

LeftoversWanted leftovers_of(const std::string& run_text, bool force) {
    if (run_text != "all" && !is_run_id(run_text)) {
        throw CollectiveError(
            Errc::config,
            "clean --run " + run_text + ": is no run id; it has 32 hex digits, or is \"all\" for all dead runs");
    }
    LeftoversWanted wanted;
    wanted.force = force;
    wanted.say_strangers = true;
    if (run_text != "all") wanted.run_ids = {run_text};
    return wanted;
}

Leftovers remove_leftovers(JobContext& job, const LeftoversWanted& wanted) {
    const Step step = open_step(job, "removes what dead runs left");
    std::vector<RunTrace> traces = find_run_traces(job);
    const RunFacts facts = gather_facts(job, traces, wanted.target);
    Problems problems;
    for (const std::string& run_id : wanted.run_ids) {
        const auto found = facts.find(run_id);
        const Problem problem = found == facts.end() ? Problem() : why_not_removed(found->second, wanted.force);
        if (!problem.empty()) problems.push_back(problem);
    }
    refuse_if_any(job, problems);
    Leftovers left;
    Sweep sweep(job, traces, wanted.force);
    for (const auto& [run_id, fact] : facts) {
        tick_step();
        const bool is_wanted = wanted.run_ids.empty() ? fact.is_in_the_way : wanted.run_ids.count(run_id) != 0;
        const bool may_go = fact.is_dead || (wanted.force && fact.can_be_forced);
        const bool was_shown = !wanted.shown || wanted.shown->count(run_id) != 0;
        if (!is_wanted || !was_shown || !may_go || !fact.is_leftover()) continue;
        if (!fact.undecided.empty() && (!wanted.force || wanted.run_ids.empty())) {
            keep_undecided(traces, fact, left);
            continue;
        }
        left.runs.push_back(record_text(fact));
        sweep.of_run(fact, left);
    }
    for (const RunTrace& trace : traces) {
        const bool is_named =
            wanted.say_strangers && trace.kind && (wanted.run_ids.empty() || wanted.run_ids.count(trace.run_id) != 0);
        if (is_named && !trace.not_ours.empty())
            left.removal.kept.push_back("'" + trace.path() + "': " + trace.not_ours + "; stays");
        if (is_named && trace.not_ours.empty() && trace.is_others())
            left.removal.kept.push_back("'" + trace.path() + "': has no owner record that can be read; stays");
    }
    if (wanted.run_ids.empty()) left.removal += remove_probes(job);
    left.removal.files = sum_over_ranks(job.communicator, left.removal.files);
    left.removal.bytes = sum_over_ranks(job.communicator, left.removal.bytes);
    left.restored = sum_over_ranks(job.communicator, left.restored);
    return left;
}

}  // namespace sluice
