#pragma once
/// Phase one: reader -> node distributor -> sender = network = receiver -> logical-disk distributor -> coalescer ->
/// writer.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "io/extent_log.hpp"
#include "jobs/job_context.hpp"
#include "jobs/plan.hpp"
#include "jobs/stage_report.hpp"
#include "record/partitioner.hpp"
#include "record/record_sum.hpp"
#include "stages/reader.hpp"

namespace sluice {

/// Pipelines that are wrong on purpose, to show that the simulated cluster finds such bugs (tests only).
struct PhaseOneMutant {
    bool one_shared_pool = false;              ///< send, receive and chunk buffers from one pool
    bool ignore_waiting_distributors = false;  ///< a chain must reach its length even while somebody waits for a chunk
};

struct PhaseOneInput {
    std::vector<std::vector<ReadRange>> ranges_by_reader;
    std::vector<IoFile*> logs;  ///< preallocated, one a intermediate disk
    std::vector<ExtentLog*> log_space;
    std::uint64_t run_id = 0;
    PhaseOneMutant mutant;
};

struct PhaseOneResult {
    RecordSum input_sum;              ///< over all records this rank read
    std::vector<PeerCounters> peers;  ///< by rank; empty with one rank
    PhaseReport report;
    double first_arrival_input_fraction =
        -1;  ///< how much of its input this rank had read when a peer's first record came
};

/// Runs phase one on this rank; collective over the ranks of the transport. Extents of this rank's logical disks go to
/// `index`.
PhaseOneResult run_phase_one(JobContext& job, Arena& arena, const RankPlan& plan, const SortPlan& sort,
                             const Partitioner& partitioner, const PhaseOneInput& input, ExtentIndex& index,
                             LiveCounters& live);

}  // namespace sluice
