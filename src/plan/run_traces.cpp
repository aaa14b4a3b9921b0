#include "plan/run_traces.hpp"

#include <unistd.h>

#include <algorithm>
#include <map>
#include <utility>

#include "io/data_set.hpp"
#include "plan/cluster.hpp"
#include "plan/role_disks.hpp"
#include "plan/run_directory.hpp"
#include "runtime/printable.hpp"

namespace sluice {
namespace {

constexpr std::uint64_t kObservedBeats = 3, kLongestBeatMs = 10 * kOwnerBeatMs;
constexpr const char* kMountPoint = "is a mount point";  // not even opened: that may mount something

bool is_unfinished_record(const std::string& name) {
    return name == kOwnerName || name.rfind(std::string(kOwnerName) + ".tmp-", 0) == 0;
}

/// Nobody has written a record that can be read: dead, unless somebody is about to (its lock is there before it can be
/// seen).
void look_at_unfinished(Directory& directory, RunTrace& trace) {
    const auto names = directory.names();
    trace.is_empty = std::all_of(names.begin(), names.end(), is_unfinished_record);
    trace.could_lock = true;
    for (const std::string& name : names) {
        if (!is_unfinished_record(name)) continue;
        const LockAttempt attempt = directory.lock(name, LockMode::exclusive);
        if (attempt.outcome == LockAttempt::Outcome::held) trace.could_lock = false;
        if (attempt.outcome == LockAttempt::Outcome::no_locks) trace.no_locks = attempt.why;
    }
    trace.life = trace.could_lock ? Life{true, "it has no owner record"} : Life{false, "somebody holds its record"};
}

/// Of what this process would make there. Where it can make nothing it can remove nothing either.
std::uint32_t owner_here(Directory& disk) {
    try {
        return disk.owner_of_new_files();
    } catch (const Error&) {
        return ::geteuid();
    }
}

/// Directories of other users may be closed to us, and are none of our business then.
std::unique_ptr<Directory> open_if_allowed(Directory& disk, const std::string& name) {
    try {
        return disk.open(name);
    } catch (const Error& error) {
        if (error.code() != Errc::environment) throw;
        return nullptr;
    }
}

std::optional<EntryInfo> look_if_allowed(Directory& directory, const std::string& name) {
    try {
        return directory.look(name);
    } catch (const Error& error) {
        if (error.code() != Errc::environment) throw;
        return std::nullopt;
    }
}

/// Another user's run may be at work on the name that ours wants: that much is looked at, and nothing is touched.
std::optional<RunTrace> of_somebody_else(JobContext& job, Directory& directory, RunTrace trace) {
    // Its own run holds it shared: only a lock that excludes others tells whether it lives.
    LockAttempt attempt = directory.lock(kOwnerName, LockMode::exclusive);
    trace.could_lock = attempt.outcome != LockAttempt::Outcome::held;
    attempt.lock.reset();
    trace.record = read_owner(directory);
    if (!trace.record && !trace.kind) return std::nullopt;
    if (!trace.kind) trace.run_id = trace.record->run_id;
    trace.life = trace.record ? judge_life(*trace.record, trace.could_lock, job.processes) : Life{false, ""};
    trace.life.why = trace.not_ours;
    return trace;
}

/// Its record's counter tells whether its run is at work.
bool has_to_beat(const RunTrace& trace, const std::vector<RunTrace*>& traces) {
    if (!trace.not_ours.empty() || !trace.record || trace.record->beat_ms == 0 || trace.is_displaced_set())
        return false;
    // A published set's stands still for ever, and nobody asks, unless its run has yet to remove the older one.
    return trace.kind || trace.is_half_set() || std::any_of(traces.begin(), traces.end(), [&](const RunTrace* other) {
               return other->is_displaced_set() && other->run_id == trace.run_id;
           });
}

/// Whoever moved a set aside works on the same disk, and beats there.
void judge_displaced(RunTrace& trace, const std::vector<RunTrace*>& traces) {
    trace.life = {true, "nobody is at work on it"};
    trace.could_lock = true;
    for (const RunTrace* other : traces) {
        if (other->disk != trace.disk || other->run_id != trace.run_id || other->is_displaced_set()) continue;
        trace.life = other->life;
        trace.could_lock = other->could_lock;
    }
}

}  // namespace

void observe_beats(JobContext& job, const std::vector<RunTrace*>& traces) {
    std::vector<RunTrace*> watched;
    std::uint64_t longest_ms = 0;
    for (RunTrace* trace : traces) {
        if (!has_to_beat(*trace, traces)) continue;
        watched.push_back(trace);
        longest_ms = std::max(longest_ms, std::min(trace->record->beat_ms, kLongestBeatMs));
    }
    Step step = open_step(job, "watches whether other runs are alive");
    for (std::uint64_t waited_ms = 0; waited_ms < kObservedBeats * longest_ms; waited_ms += 50) {
        step.tick();
        job.executor.sleep_for_ns(50'000'000);
    }
    for (RunTrace* trace : watched) {
        if (trace->no_locks.empty() && !trace->could_lock) continue;
        const auto directory = trace->disk->open(trace->name);
        const auto now = directory ? read_owner(*directory) : std::nullopt;
        const bool beats = !now || now->counter != trace->record->counter;  // gone: somebody is at work
        const bool alive = beats || is_seen_alive(*trace->record, job.processes);
        trace->could_lock = !alive;
        trace->life = {!alive, beats   ? "its record's counter moves"
                               : alive ? "its process stands still, and is there"
                                       : "its record's counter has stood still for " +
                                             std::to_string(kObservedBeats * longest_ms) + " ms"};
    }
    for (RunTrace* trace : traces) {
        if (trace->is_displaced_set() && !trace->no_locks.empty()) judge_displaced(*trace, traces);
    }
}

std::string RunTrace::path() const { return disk->path() + "/" + printable(name); }

bool RunTrace::is_half_set() const {
    return !kind && not_ours.empty() && record && !(has_manifest && record->disk == 0) &&
           record->state != OwnerState::published && (name == record->target || record->state == OwnerState::removing);
}

bool RunTrace::may_hold_name(const std::string& target) const {
    if (!not_ours.empty() || !record || record->target != target) return false;
    return is_displaced_set() || (kind == RunDirectoryKind::partial && record->state == OwnerState::publishing);
}

std::optional<RunTrace> whose_placeholder(JobContext& job, const std::shared_ptr<Directory>& disk,
                                          const std::string& name) {
    const auto directory = why_not_ours(*disk, name).empty() ? open_if_allowed(*disk, name) : nullptr;
    if (!directory || !directory->names().empty()) return std::nullopt;
    for (const std::string& other : disk->names()) {
        if (!parse_run_directory(other)) continue;
        auto trace = trace_of(job, disk, other);
        if (trace && trace->may_hold_name(name)) return trace;
    }
    return std::nullopt;
}

std::string why_not_ours(Directory& disk, const std::string& name) {
    const auto entry = disk.look(name);
    if (!entry) return "";
    if (entry->kind == EntryInfo::Kind::link) return "is a link";
    if (entry->kind != EntryInfo::Kind::directory) return "is no directory";
    if (entry->is_mount_point || entry->device != disk.info().device) return kMountPoint;
    if (entry->owner != owner_here(disk)) return "belongs to user " + std::to_string(entry->owner);
    return "";
}

std::optional<RunTrace> trace_of(JobContext& job, const std::shared_ptr<Directory>& disk, const std::string& name) {
    const auto parsed = parse_run_directory(name);
    RunTrace trace;
    trace.disk = disk;
    trace.name = name;
    if (parsed) {
        trace.kind = parsed->kind;
        trace.run_id = parsed->run_id;
    }
    if (!disk->look(name)) return std::nullopt;
    trace.not_ours = why_not_ours(*disk, name);
    const auto directory = trace.not_ours == kMountPoint ? nullptr : open_if_allowed(*disk, name);
    if (!directory) {
        if (trace.not_ours.empty()) trace.not_ours = "cannot be opened by this user";
        trace.life = {false, trace.not_ours};
        return parsed ? std::optional(trace) : std::nullopt;
    }
    const auto record_file = look_if_allowed(*directory, kOwnerName);
    if (!parsed && !record_file) return std::nullopt;
    if (record_file && trace.not_ours.empty() && record_file->owner != directory->info().owner)
        trace.not_ours = "has an owner record of user " + std::to_string(record_file->owner);
    if (!trace.not_ours.empty()) return of_somebody_else(job, *directory, std::move(trace));
    trace.has_manifest = directory->look(kManifestName).has_value();
    LockAttempt attempt = directory->lock(kOwnerName, LockMode::exclusive);
    trace.could_lock = attempt.outcome == LockAttempt::Outcome::taken;
    if (attempt.outcome == LockAttempt::Outcome::no_locks) trace.no_locks = attempt.why;
    attempt.lock.reset();
    trace.record = read_owner(*directory);
    if (!trace.record) {
        look_at_unfinished(*directory, trace);
        if (!parsed) return std::nullopt;  // a directory of somebody's with a file of that name
        return trace;
    }
    if (!parsed) trace.run_id = trace.record->run_id;
    if (!trace.no_locks.empty()) {
        trace.life = {false, "whether it lives cannot be told without locks (" + attempt.why + ")"};
    } else if (trace.record->state == OwnerState::removing && trace.could_lock) {
        trace.life = {true, "whoever removed it has not come to the end"};
    } else if (trace.is_displaced_set()) {
        // Who moved it aside holds it; its own run has ended long ago.
        trace.life = {trace.could_lock, trace.could_lock ? "nobody holds it" : "somebody holds it"};
    } else {
        trace.life = judge_life(*trace.record, trace.could_lock, job.processes);
    }
    return trace;
}

std::string lock_holder(JobContext& job, Directory& directory, const std::string& file) {
    const auto info = directory.look(file);
    const auto holder = info ? job.processes.lock_holder(info->device, info->inode) : std::nullopt;
    return holder.value_or("");
}

std::vector<RunTrace> find_run_traces(JobContext& job) {
    const Step step = open_step(job, "looks for what other runs left");
    std::map<std::string, std::shared_ptr<Directory>> disks;
    for (const DiskRole role : {DiskRole::input, DiskRole::intermediate, DiskRole::output}) {
        for (const RoleDisk& disk : role_disks(job, role).disks) {
            if (!disk.is_ours || disks.count(disk.path) != 0) continue;
            if (auto opened = open_disk(job, disk.path)) disks[disk.path] = std::move(opened);
        }
    }
    std::vector<RunTrace> traces;
    for (const auto& [path, disk] : disks) {
        for (const std::string& name : disk->names()) {
            tick_step();
            if (auto trace = trace_of(job, disk, name)) traces.push_back(std::move(*trace));
        }
    }
    std::vector<RunTrace*> all;
    for (RunTrace& trace : traces) {
        const bool matters = (trace.kind || trace.is_half_set()) && trace.not_ours.empty();
        if (matters && !trace.no_locks.empty() && job.config.run.locks == Locks::flock)
            throw_no_locks(trace.path(), trace.no_locks);
        all.push_back(&trace);
    }
    if (job.config.run.locks == Locks::record) observe_beats(job, all);
    return traces;
}

bool has_leavings(const std::vector<RunTrace>& traces) {
    return std::any_of(traces.begin(), traces.end(),
                       [](const RunTrace& trace) { return trace.kind || trace.is_half_set(); });
}

std::unique_ptr<FileLock> take_from_dead_run(JobContext& job, const RunTrace& trace, bool force) {
    const auto directory = trace.not_ours.empty() ? trace.disk->open(trace.name) : nullptr;
    if (!directory) return nullptr;
    LockAttempt attempt = directory->lock(kOwnerName, LockMode::exclusive);
    if (attempt.outcome == LockAttempt::Outcome::held || !attempt.lock) return nullptr;
    const bool by_record = job.config.run.locks == Locks::record;
    if (attempt.outcome != LockAttempt::Outcome::taken && !by_record && !force) return nullptr;
    const auto record = parse_owner(attempt.lock->read(kOwnerBytes));
    if (!record) return trace.record ? nullptr : std::move(attempt.lock);
    if (!trace.record || record->run_id != trace.record->run_id) return nullptr;
    const bool stands_still = trace.life.dead && record->counter == trace.record->counter;
    const bool is_dead = by_record && record->beat_ms != 0
                             ? stands_still && !is_seen_alive(*record, job.processes)
                             : judge_life(*record, attempt.outcome == LockAttempt::Outcome::taken, job.processes).dead;
    const bool gone = force || is_dead || record->state == OwnerState::removing || trace.is_displaced_set();
    return gone ? std::move(attempt.lock) : nullptr;
}

}  // namespace sluice
