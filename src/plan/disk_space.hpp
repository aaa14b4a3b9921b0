#pragma once
/// Whether what a run will write fits on the disks, over all ranks that share them. Internal to preflight.

#include <cstdint>
#include <string>
#include <tuple>
#include <vector>

#include "net/joint_call.hpp"
#include "plan/old_data_set.hpp"
#include "plan/role_disks.hpp"

namespace sluice {

/// What a rank will write on one disk in one role.
struct DiskNeed {
    std::uint64_t bytes = 0, files = 0;
    std::uint64_t largest_file_bytes = 0;
};

/// Each rank has one and says what it alone will write; what shares a device, or between hosts a file system, is added
/// up: bytes, and inodes where the file system has a fixed number of them. Used by the main thread.
class DiskSpace {
public:
    /// @param job  must outlive this
    explicit DiskSpace(JobContext& job) : job_(job) {}

    /// This rank will write that much on that disk. A disk that is not there is somebody else's problem.
    void need(const RoleDisk& disk, const DiskNeed& need);
    /// An older set that this run replaces: with run.overwrite = "first" it is room, else advice.
    void replaces(const OldDataSet& old);
    /// What this rank alone finds wrong with its needs.
    const Problems& own_problems() const noexcept { return own_problems_; }
    /// What this rank needs goes with `call`.
    void say(JointGather& call);
    /// After the call: what speaks against the sums, the same on all ranks. @param what  "logs and output"
    Problems judge(const std::string& what) const;
    /// All of that in a call of its own; rank 0 says what the sums say. Collective.
    void judge(const std::string& what, Problems& problems);

private:
    struct Need {
        std::string key;  ///< of what shares its free bytes
        std::string disk, host;
        std::uint64_t bytes = 0, free_bytes = 0, old_bytes = 0;
        std::uint64_t files = 0, old_files = 0, free_files = 0;  ///< free_files: 2^64-1 where there is no fixed number
        std::string bytes_quota, files_quota;  ///< whose quota free_bytes and free_files are; "" = the disk's
        static constexpr auto fields = std::tuple{
            &Need::key,   &Need::disk,      &Need::host,       &Need::bytes,       &Need::free_bytes, &Need::old_bytes,
            &Need::files, &Need::old_files, &Need::free_files, &Need::bytes_quota, &Need::files_quota};
    };
    Need* of_disk(const RoleDisk& disk);
    std::vector<Need> sum_over_ranks() const;
    void judge_bytes(const Need& sum, const std::string& what, Problems& problems) const;
    void judge_files(const Need& sum, const std::string& what, Problems& problems) const;

    JobContext& job_;
    std::vector<Need> needs_;  // of this rank, one a key
    Problems own_problems_;
    Heard<std::vector<Need>> heard_;
};

}  // namespace sluice
