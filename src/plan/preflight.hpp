#pragma once
/// Parts of preflight that several jobs share.

#include <cstdint>
#include <string>
#include <vector>

#include "plan/prepared_sort.hpp"

namespace sluice {

/// What the config and the machine say of this rank. A budget that is part of what its host has left is still 0:
/// settle_budgets() knows.
RankResources resources_of_rank(const JobContext& job, const RankMeans& means);
/// Fills in budgets that follow from what a host has left, 80 % of it for its ranks together, and this rank's view of
/// that. @param all  by rank
void settle_budgets(const JobContext& job, std::vector<RankResources>& all, RankMeans& means);

/// The budget against what the machine or its cgroup has left.
/// @param pools  what is planned from it, for the message; may be empty.
void check_budget(const JobContext& job, const RankMeans& means, const std::string& pools, Problems& problems);
/// Where all ranks share a host, the windows of rma are files in /dev/shm, and a full one ends the job by a signal: a
/// problem with the numbers where there is too little room.
void check_windows(JobContext& job, const SortPlan& plan, Problems& problems);

}  // namespace sluice
