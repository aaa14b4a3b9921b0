#pragma once
/// One pass that met more on some rank than was planned for it: found out together, and planned again.

#include <cstdint>
#include <optional>
#include <string>

#include "jobs/sort_job.hpp"
#include "stages/kept_partitions.hpp"

namespace sluice {

/// Nothing if the partitions of every rank are in its memory and can be sorted there; else one line that says which
/// rank got how much. Collective.
/// @param sort_bytes  of memory, beside the chunks.
std::optional<std::string> one_pass_excess(JobContext& job, const PreparedSort& prepared, const KeptPartitions& kept,
                                           std::uint64_t sort_bytes);

/// The plan of the next attempt, and in its reason what came of this one: keys that were promised to be uniform are
/// sampled, in one pass again; where they had been, two passes. Throws Error(space) where there is no intermediate disk
/// or no plan for them. Collective.
/// @param sampled  the attempt that failed had sampled splitters.
void plan_again(JobContext& job, PreparedSort& prepared, bool sampled, const std::string& excess);

}  // namespace sluice
