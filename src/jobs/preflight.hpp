#pragma once
/// Parts of preflight that several jobs share. Problems are "[exit code] text", as refuse_if_any wants them.

#include <cstdint>
#include <string>
#include <vector>

#include "jobs/sort_job.hpp"

namespace sluice {

/// All ranks run the same build with the same config. Collective.
void check_agreement(JobContext& job, const SortOptions& options, std::vector<std::string>& problems);
/// This rank's part of its host's memory.budget, or of 80 % of what is left.
std::uint64_t budget_of_rank(JobContext& job, const SortOptions& options, std::vector<std::string>& problems);
/// Everybody's, by rank. Collective.
std::vector<RankResources> gather_resources(Communicator& communicator, const RankResources& mine);

}  // namespace sluice
