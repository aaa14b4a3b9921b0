#pragma once
/// Phase zero: samples the input, chooses splitters on rank 0, and agrees on them (ARCHITECTURE.md, Data flow).

#include <cstdint>
#include <memory>
#include <vector>

#include "jobs/sample_plan.hpp"
#include "plan/job_context.hpp"
#include "plan/plan.hpp"
#include "record/splitters.hpp"
#include "stages/reader.hpp"
#include "stages/stage_report.hpp"

namespace sluice {

/// What phase zero came to: the same splitters on all ranks.
struct PhaseZeroResult {
    std::unique_ptr<Partitioner> partitioner;
    std::uint64_t samples = 0;  ///< records, over all ranks
    PhaseReport report;         ///< this rank's
};

/// Reads this rank's sample, gathers all on rank 0, which chooses the splitters and sends them out with a hash over
/// them and the plan. Collective: one gather, or as many as the sample takes rounds, and one broadcast. Throws
/// Error(integrity) on rank 0 where a rank has another plan, and on a rank where what came does not match its hash; the
/// others hear of it by the news of a failure. The sample lies in the arena, which is free again afterwards.
/// The splitters follow from input, plan, shares and run.seed alone.
/// @param shares  by partition: which part of the records it is to get.
PhaseZeroResult run_phase_zero(JobContext& job, Arena& arena, const SortPlan& plan, const SamplePlan& sample,
                               const std::vector<std::vector<ReadRange>>& ranges_by_reader,
                               const std::vector<double>& shares);

}  // namespace sluice
