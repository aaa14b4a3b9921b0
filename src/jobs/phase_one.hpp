#pragma once
/// Phase one: reader -> node distributor -> sender = network = receiver -> logical-disk distributor -> coalescer -> the
/// store's last stage (log writers; in one pass the keeper).

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "jobs/exchange.hpp"
#include "jobs/intermediate_store.hpp"
#include "record/partitioner.hpp"
#include "record/record_sum.hpp"
#include "stages/reader.hpp"

namespace sluice {

/// What it refers to must live until the phase has ended.
struct PhaseOneInput {
    const RankPlan& plan;
    const SortPlan& sort;
    const Partitioner& partitioner;
    IntermediateStore& store;  ///< gets this rank's records
    const std::vector<std::vector<ReadRange>>& ranges_by_reader;
    std::uint64_t run_id = 0;  ///< on messages; another one for each attempt
    PhaseOneMutant mutant{};
    SourceSums* sources = nullptr;  ///< gets sums by input file; may be nullptr
};

/// What this rank did in phase one.
struct PhaseOneResult {
    RecordSum input_sum;              ///< over all records this rank read
    std::vector<PeerCounters> peers;  ///< by rank; empty with one rank
    PhaseReport report;
    std::uint64_t first_read_ns = 0;  ///< when the first read was submitted, by the executor's clock; 0: none was
    std::uint64_t last_write_ns = 0;  ///< when the last log writer ended; 0: there is none
    double first_arrival_input_fraction =
        -1;  ///< how much of its input this rank had read when a peer's first record came; -1: none did
};

/// Runs phase one on this rank; collective over the ranks of job.communicator. Voids what phases before took from the
/// arena. The store is sealed when it returns.
PhaseOneResult run_phase_one(JobContext& job, Arena& arena, const PhaseOneInput& input);

}  // namespace sluice
