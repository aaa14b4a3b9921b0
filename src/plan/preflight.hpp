#pragma once
/// Parts of preflight that several jobs share.

#include <cstdint>
#include <string>
#include <vector>

#include "plan/prepared_sort.hpp"

namespace sluice {

/// This rank's part of its host's memory.budget, or of 80 % of what is left.
std::uint64_t budget_of_rank(const JobContext& job, const RankMeans& means);
/// The budget against what the machine or its cgroup has left.
/// @param pools  what is planned from it, for the message; may be empty.
void check_budget(const JobContext& job, const RankMeans& means, const std::string& pools, Problems& problems);
/// Everybody's, by rank. Collective.
std::vector<RankResources> gather_resources(Communicator& communicator, const RankResources& mine);

/// Where all ranks share a host, the windows of rma are files in /dev/shm, and a full one ends the job by a signal: a
/// problem with the numbers where there is too little room.
void check_windows(JobContext& job, const SortPlan& plan, Problems& problems);

}  // namespace sluice
