#pragma once
/// The jobs of this user that run on this host now: what cores and memory each has claimed.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "runtime/process_table.hpp"

namespace sluice {

/// What one job claims of its host. Written by its first rank there.
struct JobClaim {
    std::string job, verb;  ///< job_name(), "sort"
    std::uint64_t pid = 0, start_ticks = 0;
    std::uint64_t ranks = 1;           ///< on this host
    std::vector<unsigned> cores;       ///< it is pinned to, by hwloc's index; empty: to none
    std::uint64_t memory_bytes = 0;    ///< of all its ranks here
    std::uint64_t resident_bytes = 0;  ///< of that, about so much is in use already; filled by others()
};

/// A directory of one file a job, locked by its first rank as long as that lives: a file that can be locked is a dead
/// job's and goes. Where there is no place for it (no /dev/shm, nothing of ours), all methods do nothing. Used by one
/// thread.
class LiveJobs {
public:
    /// @param directory  made where it is not there, for this user only; "" = none
    LiveJobs(std::string directory, const ProcessTable& processes);
    ~LiveJobs();
    LiveJobs(const LiveJobs&) = delete;

    /// While it is held no other job reads or claims: what is left is the same when it is claimed.
    class Turn {
    public:
        explicit Turn(int descriptor) : descriptor_(descriptor) {}
        ~Turn();
        Turn(const Turn&) = delete;
        bool is_held() const noexcept { return descriptor_ >= 0; }

    private:
        int descriptor_;
    };
    /// Waits for its turn, but not longer than this (a job of several hosts might wait for one that waits for it): what
    /// comes back may hold nothing.
    std::unique_ptr<Turn> take_turn(std::uint64_t milliseconds);
    /// All jobs but this process' own, and other than `own_job`; files of dead ones are removed.
    std::vector<JobClaim> others(const std::string& own_job) const;
    /// Another process of `own_job` has a record here: hosts of one job see one directory.
    bool sees_own_job(const std::string& own_job) const;
    /// Says, or says anew, what this job claims; it stands until this object or the process is gone.
    void claim(const JobClaim& claim);

private:
    bool open_directory();

    std::string directory_;
    const ProcessTable& processes_;
    std::string own_name_;
    int own_ = -1;
};

/// $XDG_RUNTIME_DIR/sluice-jobs, else /dev/shm/sluice-jobs-UID, else "".
std::string live_jobs_directory();

}  // namespace sluice
