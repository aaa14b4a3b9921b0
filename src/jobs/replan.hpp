#pragma once
/// One pass that met more on some rank than was planned for it (IntermediateStore::excess) is planned again.

#include <string>

#include "jobs/sort_job.hpp"

namespace sluice {

/// The plan of the next attempt, and in its reason what came of this one: keys that were promised to be uniform are
/// sampled, in one pass again; where they had been, two passes. Throws Error(space) where there is no intermediate disk
/// or no plan for them. Collective.
/// @param sampled  the attempt that failed had sampled splitters.
void plan_again(JobContext& job, PreparedSort& prepared, bool sampled, const std::string& excess);

}  // namespace sluice
