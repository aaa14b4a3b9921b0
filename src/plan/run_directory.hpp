#pragma once
/// A directory that this run makes on a disk, with its owner record, held as long as the run works in it.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "io/owner_record.hpp"
#include "plan/job_context.hpp"

namespace sluice {

/// Of the empty directories on which renames are tried, below a directory of ours.
inline constexpr const char* kTrialPrefix = "probe-";

/// What removing came to: what was not ours stays, is listed, and does not stop the rest.
struct Removal {
    std::uint64_t files = 0, bytes = 0;
    std::vector<std::string> kept;  ///< "'/d/sorted/notes.txt': is none of sluice's files"
    Removal& operator+=(Removal other);
};

/// Why an entry is no file that may be removed, for people; "" where it is a regular file of that user.
const char* why_no_file_of(std::uint32_t owner, const EntryInfo& entry);

/// Writes into the record that its directory is being removed. A record that has another name too, as in a copy made of
/// hard links, gets a file of its own first, and `lock` becomes one on that: the copy stays what it is.
void mark_removing(Directory& directory, std::unique_ptr<FileLock>& lock);

/// Whether it has gone; where this user or file system does not permit that, says so in `removal`.
bool try_to_remove(Directory& directory, const std::string& name, Removal& removal);

/// Removes the files of a directory of ours by its descriptor: the MANIFEST first, then what `is_ours` says, the record
/// last, then the directory itself if nothing is left in it. Only regular files of the user that new files here belong
/// to. One that may not be removed is kept, and so is the record then. Syncs `disk`.
/// @param disk     the directory that holds it
/// @param is_ours  asked for each name but the record's
/// @param let_go   called once the record has gone: of whatever this process holds open there. A client of NFS keeps
///                 what is removed while it is open under another name, and the directory with it.
Removal remove_directory_of_ours(Directory& disk, const std::string& name,
                                 const std::function<bool(const std::string& file)>& is_ours,
                                 const std::function<void()>& let_go);

/// Where run.locks = "flock" and a lock cannot be had: Error(environment) with the way out.
[[noreturn]] void throw_no_locks(const std::string& directory, const std::string& why);

/// Made by one rank, then held by every rank that works there. Used by the main thread.
class RunDirectory {
public:
    /// Nothing happens yet. @param disk  where it is or is to be; kept open.
    RunDirectory(JobContext& job, std::shared_ptr<Directory> disk, std::string name);
    ~RunDirectory();
    RunDirectory(const RunDirectory&) = delete;

    /// Makes directory and record, durably, and holds it. Throws Error(environment) or Error(space).
    void make(OwnerRecord record);
    /// Holds what another rank has made. Throws Error(environment) where it is not to be seen from here.
    void join(const std::string& run_id);
    /// The maker writes how far the run is.
    void set_state(OwnerState state);
    /// Under its name still lies what this rank holds: nobody has taken it for a dead run's.
    bool is_still_ours();
    /// It has got another name: `name` is its own from now on.
    void renamed(const std::string& name);
    /// Removes all that the run may have put there, and the directory. The maker's; nobody else may hold it any more.
    Removal remove();
    /// Lets go of it, whoever removes it.
    void release();

    Directory& directory() { return *directory_; }
    Directory& disk() { return *disk_; }
    const std::string& name() const noexcept { return name_; }
    std::string path() const { return disk_->path() + "/" + name_; }
    const OwnerRecord& record() const noexcept { return record_; }

private:
    bool has_own_record();
    void hold(LockAttempt attempt);
    void undo_make() noexcept;
    void let_go();

    JobContext& job_;
    std::shared_ptr<Directory> disk_;
    std::string name_;
    std::unique_ptr<Directory> directory_;
    std::shared_ptr<FileLock> lock_;
    std::shared_ptr<void> beats_;
    OwnerRecord record_;
    bool made_ = false;
};

}  // namespace sluice
