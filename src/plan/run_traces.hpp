#pragma once
/// What runs, dead and alive, have on the disks that this rank looks after.

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "io/owner_record.hpp"
#include "plan/job_context.hpp"

namespace sluice {

/// A directory with an owner record, or with a name that only a run of ours gives.
struct RunTrace {
    std::shared_ptr<Directory> disk;  ///< that it lies on
    std::string name;
    std::optional<RunDirectoryKind> kind;  ///< by its name; nullopt: the directory of a data set
    std::string run_id;                    ///< by its name; of a data set by its record
    std::optional<OwnerRecord> record;     ///< nullopt: none, or torn
    bool has_manifest = false;
    bool is_empty = false;  ///< but for what is left of a record that was being made
    Life life;
    bool could_lock = false;  ///< alive or not: nobody whom this kernel knows holds it
    std::string no_locks;     ///< why its record could not be locked at all; "": it could
    /// "": a directory of the user that new files here belong to. Else what it is ("is a link", "belongs to user 17"):
    /// nothing of it is ever touched, whatever a record in it says.
    std::string not_ours;
    /// A run's name and no record of one: what was in it of that run is gone, and the rest was never sluice's.
    bool is_others() const { return kind && !record && !is_empty; }
    std::string path() const;  ///< for people
    /// The set whose place the run's was to take, moved aside.
    bool is_displaced_set() const { return kind && record && record->run_id != run_id; }
    /// It has the name that its run was to give to a data set, or was being removed, and the run had not come to its
    /// end when this was last written. Whether the set is one all the same, the MANIFEST of its first disk tells, which
    /// may lie on another host. Under a name that no run gave it is the user's, who put it there.
    bool is_half_set() const;
    /// The run was about to give its directory the name `target`, or to free that name: what is empty there is its own.
    bool may_hold_name(const std::string& target) const;
};

/// The directories on these disks, each disk once, that this rank makes for whoever sees them (RoleDisk::is_ours).
/// Local; with run.locks = "record" it takes three beats of the slowest run. Disks that are not there have none. Throws
/// Error(environment) where run.locks = "flock" and a run's record cannot be locked: nobody could tell dead from alive.
std::vector<RunTrace> find_run_traces(JobContext& job);

/// Something among them is a live run's, or what a dead one left; whole data sets are neither.
bool has_leavings(const std::vector<RunTrace>& traces);

/// Why a directory of that name is none that a run of this user made there; "" where it is one, or nothing.
std::string why_not_ours(Directory& disk, const std::string& name);

/// With run.locks = "record": waits three beats of the slowest run among them, and judges each by whether its counter
/// has moved. A lock that is held is life all the same.
void observe_beats(JobContext& job, const std::vector<RunTrace*>& traces);

/// One name as find_run_traces sees it; nullopt when it is none of a run's.
std::optional<RunTrace> trace_of(JobContext& job, const std::shared_ptr<Directory>& disk, const std::string& name);

/// An empty directory of that name holds the name for a run that could not take it in one step: the trace of that run.
std::optional<RunTrace> whose_placeholder(JobContext& job, const std::shared_ptr<Directory>& disk,
                                          const std::string& name);

/// Who else holds a lock on a file of a directory of ours, for people; "" where the kernel does not say.
std::string lock_holder(JobContext& job, Directory& directory, const std::string& file);

/// Takes the lock that shows that its run is dead, and looks again; nullptr when it lives after all. With `force` also
/// where nobody can be asked, if the lock is to be had.
std::unique_ptr<FileLock> take_from_dead_run(JobContext& job, const RunTrace& trace, bool force);

}  // namespace sluice
