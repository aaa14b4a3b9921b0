#pragma once
/// One pass: the records of a rank stay in memory between the phases.

#include <memory>

#include "jobs/intermediate_store.hpp"
#include "stages/kept_partitions.hpp"

namespace sluice {

/// The chunks of the whole share lie at the end of the arena, where the phases' own memory does not reach. Where more
/// comes than there is room for, all of it goes (KeptPartitions::let_go) and excess() says how much there was.
/// @param arena, plan, rank  must live as long as the store does.
std::unique_ptr<IntermediateStore> make_memory_store(JobContext& job, Arena& arena, const SortPlan& plan,
                                                     const RankResources& rank);

}  // namespace sluice
