#pragma once
/// The configured directories of one role as this rank sees them, and which disk of a data set each becomes.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "plan/job_context.hpp"

namespace sluice {

/// Who finds the same files under a configured path.
enum class SeenBy : std::uint8_t {
    all_hosts,  ///< scope = "shared"
    one_host,
    one_rank,  ///< {rank} stands in the path
};

/// One configured directory of a role, as this rank sees it.
struct RoleDisk {
    std::string path;  ///< {host} and {rank} expanded
    SeenBy seen_by = SeenBy::one_host;
    std::uint32_t number = 0;  ///< among all of this role in the cluster; 0 is seen by rank 0
    bool is_ours = false;      ///< this rank makes and removes directories there, for all who see it
    bool is_used = false;      ///< this rank reads or writes data there: its share of those of its host
};

/// All directories of a role that this rank sees.
struct RoleDisks {
    std::vector<RoleDisk> disks;              ///< in the order of the config
    std::uint32_t total = 0;                  ///< of the role, over the cluster
    std::vector<std::uint32_t> used() const;  ///< indices of those that this rank uses
};

/// This rank is the one that speaks of, makes and removes what is seen by so many.
bool looks_after(const JobContext& job, SeenBy seen_by);

/// This rank is the one of its host that checks what is seen by so many: what all its ranks see alike is looked at
/// once.
bool speaks_of(const JobContext& job, SeenBy seen_by);

/// Local: it follows from the config and from where this rank stands.
RoleDisks role_disks(const JobContext& job, DiskRole role);

/// Who sees the files below which directory, for files that the config names by their paths: the longest configured
/// disk that a file lies below tells, links and spelling aside; elsewhere it is the host. Used by one thread.
class PathScopes {
public:
    /// Looks at nothing until it is asked. @param job  must outlive this
    explicit PathScopes(JobContext& job) : job_(job) {}
    /// Cost: a real path for each disk, once; a real path and a look-up a part for each folder of a list, and a
    /// comparison for each other file.
    SeenBy of(const std::string& path);

private:
    void resolve_disks();
    SeenBy of_real_folder(std::string folder);

    JobContext& job_;
    std::map<std::string, SeenBy> disks_;  // by real path; empty until the first question
    std::string last_folder_;
    std::optional<SeenBy> last_;
};

}  // namespace sluice
