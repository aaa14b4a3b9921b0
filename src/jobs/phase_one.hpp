#pragma once
/// Phase one: reader -> node distributor -> sender = network = receiver -> logical-disk distributor -> coalescer ->
/// writer.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "io/extent_log.hpp"
#include "jobs/exchange.hpp"
#include "record/partitioner.hpp"
#include "record/record_sum.hpp"
#include "stages/kept_partitions.hpp"
#include "stages/reader.hpp"

namespace sluice {

struct PhaseOneInput {
    std::vector<std::vector<ReadRange>> ranges_by_reader;
    std::vector<IoFile*> logs;  ///< preallocated, one a intermediate disk
    std::vector<ExtentLog*> log_space;
    std::uint64_t run_id = 0;
    PhaseOneMutant mutant;
    SourceSums* sources = nullptr;   ///< gets sums by input file; may be nullptr
    KeptPartitions* kept = nullptr;  ///< one pass: chunks come from its pool and stay there; no logs
};

struct PhaseOneResult {
    RecordSum input_sum;              ///< over all records this rank read
    std::vector<PeerCounters> peers;  ///< by rank; empty with one rank
    PhaseReport report;
    std::uint64_t first_read_ns = 0;  ///< when the first read was submitted, by the executor's clock; 0: none was
    std::uint64_t last_write_ns = 0;  ///< when the last log writer ended; 0: there is none
    double first_arrival_input_fraction =
        -1;  ///< how much of its input this rank had read when a peer's first record came
};

/// Runs phase one on this rank; collective over the ranks of the transport. Extents of this rank's logical disks go to
/// `index`.
PhaseOneResult run_phase_one(JobContext& job, Arena& arena, const RankPlan& plan, const SortPlan& sort,
                             const Partitioner& partitioner, const PhaseOneInput& input, ExtentIndex& index,
                             LiveCounters& live);

}  // namespace sluice
