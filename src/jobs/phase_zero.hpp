#pragma once
/// Phase zero: samples the input, chooses splitters on rank 0, and agrees on them (ARCHITECTURE.md, Data flow).

#include <cstdint>
#include <memory>
#include <vector>

#include "plan/job_context.hpp"
#include "plan/plan.hpp"
#include "record/splitters.hpp"
#include "stages/reader.hpp"
#include "stages/stage_report.hpp"

namespace sluice {

/// How much is sampled; every rank makes the same plan.
struct SamplePlan {
    std::uint64_t stratum_bytes = 0;   ///< one block from each; 0: everything is sampled
    std::uint64_t gather_bytes = 0;    ///< rank 0 takes so much; when there is more, each rank sends every nth record
    std::uint64_t samples_wanted = 0;  ///< over all ranks
    std::uint64_t round_bytes = 0;     ///< of all ranks' records that are gathered at once
};

/// At least 200 records a partition, more where that stays under 0.1 % of the bytes, bounded by 1 % of the input (or 4
/// MiB) and by half of each rank's buffer memory.
/// @param memory_bytes  by rank: what its arena holds.
/// @param targets       ranks and disks, counted together, that are to get their shares within 5 %.
SamplePlan plan_sample(const Config& config, const SortPlan& plan, const std::vector<std::uint64_t>& input_bytes,
                       const std::vector<std::uint64_t>& memory_bytes, std::size_t targets);

/// What phase zero came to: the same splitters on all ranks.
struct PhaseZeroResult {
    std::unique_ptr<Partitioner> partitioner;
    std::uint64_t samples = 0;  ///< records, over all ranks
    PhaseReport report;         ///< this rank's
};

/// Reads this rank's sample, gathers all on rank 0, which chooses the splitters and sends them out with a hash over
/// them and the plan; throws CollectiveError(integrity) where a rank's plan differs. Collective. The sample lies in the
/// arena, which is free again afterwards.
/// @param shares  by partition: which part of the records it is to get.
PhaseZeroResult run_phase_zero(JobContext& job, Arena& arena, const SortPlan& plan, const SamplePlan& sample,
                               const std::vector<std::vector<ReadRange>>& ranges_by_reader,
                               const std::vector<double>& shares);

}  // namespace sluice
