#pragma once
/// Phase two: reader -> sorter -> writer.

#include <functional>
#include <string>
#include <vector>

#include "jobs/intermediate_store.hpp"
#include "plan/plan.hpp"
#include "record/partitioner.hpp"
#include "record/record_checker.hpp"
#include "stages/stage_report.hpp"

namespace sluice {

/// What it refers to must live until the phase has ended.
struct PhaseTwoInput {
    const PhaseTwoPlan& plan;
    const RecordFormat& format;
    IntermediateStore& store;           ///< whose parts are sorted
    const PrefixRanges& ranges;         ///< of the keys of each part, by first_partition + part
    std::uint32_t first_partition = 0;  ///< of this rank
    std::uint32_t output_disks = 1;
    std::function<std::uint32_t(std::uint32_t)> disk_of_part;  ///< part -> output disk
    std::function<std::string(std::uint32_t)> path_of_part;    ///< part -> file to create
};

/// What this rank did in phase two.
struct PhaseTwoResult {
    std::vector<SortSummary> parts;  ///< by part: count, checksum, keys of the first and last record
    PhaseReport report;
    std::uint64_t first_read_ns = 0;  ///< when the first read was submitted, by the executor's clock; 0: none was
};

/// Runs phase two on this rank: every part of the store becomes one sorted, durable file.
PhaseTwoResult run_phase_two(JobContext& job, Arena& arena, const PhaseTwoInput& input);

}  // namespace sluice
