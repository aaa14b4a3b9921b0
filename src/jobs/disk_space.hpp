#pragma once
/// Whether what a run will write fits on the disks, over all ranks that share them. Internal to preflight.

#include <cstdint>
#include <string>
#include <tuple>
#include <vector>

#include "jobs/old_data_set.hpp"
#include "jobs/role_disks.hpp"

namespace sluice {

/// Each rank has one and says what it alone will write; what shares a device, or between hosts a file system, is added
/// up. Used by the main thread.
class DiskSpace {
public:
    explicit DiskSpace(JobContext& job) : job_(job) {}

    /// This rank will write `bytes` on that disk. A disk that is not there is somebody else's problem.
    void need(const RoleDisk& disk, std::uint64_t bytes);
    /// An older set that this run replaces: with run.overwrite = "first" its bytes are room, else advice.
    void replaces(const OldDataSet& old);
    /// Collective. @param what  "logs and output"
    void judge(const std::string& what, std::vector<std::string>& problems);

private:
    struct Need {
        std::string key;  ///< of what shares its free bytes
        std::string disk, host;
        std::uint64_t bytes = 0, free_bytes = 0, old_bytes = 0;
        static constexpr auto fields =
            std::tuple{&Need::key, &Need::disk, &Need::host, &Need::bytes, &Need::free_bytes, &Need::old_bytes};
    };
    Need* of_disk(const RoleDisk& disk);

    JobContext& job_;
    std::vector<Need> needs_;  // of this rank, one a key
    std::vector<std::string> own_problems_;
};

}  // namespace sluice
