#pragma once
/// Phase two: reader -> sorter -> writer.

#include <functional>
#include <string>
#include <vector>

#include "io/extent_log.hpp"
#include "jobs/job_context.hpp"
#include "jobs/plan.hpp"
#include "jobs/stage_report.hpp"
#include "record/partitioner.hpp"
#include "record/record_checker.hpp"
#include "stages/kept_partitions.hpp"

namespace sluice {

struct PhaseTwoInput {
    std::vector<IoFile*> logs;       ///< by disk number of the extent index
    std::uint64_t chunk_bytes = 0;   ///< of phase one: how the extents are padded
    KeptPartitions* kept = nullptr;  ///< one pass: the partitions are here, sealed, and nothing is read
    std::uint32_t output_disks = 1;
    std::function<std::uint32_t(std::uint32_t)> disk_of_part;  ///< local partition -> output disk
    std::function<std::string(std::uint32_t)> path_of_part;    ///< local partition -> file to create
};

struct PhaseTwoResult {
    std::vector<SortSummary> parts;  ///< by local partition: count, checksum, keys of the first and last record
    PhaseReport report;
    std::uint64_t first_read_ns = 0;  ///< when the first read was submitted, by the executor's clock; 0: none was
};

/// Runs phase two on this rank: every logical disk becomes one sorted, durable part file.
PhaseTwoResult run_phase_two(JobContext& job, Arena& arena, const PhaseTwoPlan& plan, std::uint32_t partitions,
                             const SortPlan& sort, const PrefixRanges& ranges, const PhaseTwoInput& input,
                             const ExtentIndex& index, LiveCounters& live);

}  // namespace sluice
