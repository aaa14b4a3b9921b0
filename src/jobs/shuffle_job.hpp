#pragma once
/// `sluice shuffle`: phase one's way of a record from rank to rank, without disks: source -> node distributor -> sender
/// = network = receiver -> logical-disk distributor -> sink.

#include <cstdint>
#include <string>
#include <vector>

#include "jobs/exchange.hpp"
#include "jobs/sort_job.hpp"
#include "net/traffic.hpp"
#include "plan/job_context.hpp"
#include "plan/plan.hpp"
#include "record/record_sum.hpp"
#include "runtime/network_counters.hpp"
#include "stages/stage_report.hpp"

namespace sluice {

/// What `sluice shuffle` is to send. The same on all ranks.
struct ShuffleOptions {
    TrafficPattern pattern;
    std::uint64_t records = 0;      ///< over all ranks, divided evenly among those that send,
    std::uint64_t duration_ns = 0;  ///< or, if this is not 0, as many as go through in this time
    bool limit = false;             ///< the steps alone are going to be measured too
};

/// Known before the first record moves; the same on all ranks.
struct PreparedShuffle {
    ShuffleOptions options;
    std::vector<RankResources> resources;  ///< by rank
    SortPlan plan;                         ///< a sort's, of as many bytes, with no more chunks than a shuffle uses
    std::string run_id;
};

/// What one rank saw of a shuffle.
struct ShuffleResult {
    bool verified = false;  ///< checksums were compared, not only counts; false: UNCHECKED
    std::string run_id, memory_pages;
    std::uint64_t elapsed_ns = 0;               ///< from the start that all ranks share to this rank's end
    PhaseReport report;                         ///< this rank's
    std::vector<PeerCounters> peers;            ///< this rank's, by rank; empty with one rank
    NetworkBytes interfaces;                    ///< what this host's interfaces moved meanwhile, by the kernel's count
    std::vector<RecordSum> made, received;      ///< by the rank they were made for, and by the one they came from
    std::vector<std::vector<RecordSum>> pairs;  ///< [from][to], made and received alike; on rank 0 only
};

/// Checks everything knowable, on all ranks, and plans; needs no disks. Throws one Error listing every problem.
/// Collective.
PreparedShuffle prepare_shuffle(JobContext& job, RankMeans means, const ShuffleOptions& shuffle);

/// Shuffles, and checks for each pair of ranks that the one got what the other made for it, and that redistribution
/// lost nothing. Throws Error(integrity) naming the pair. Collective.
ShuffleResult run_shuffle(JobContext& job, const PreparedShuffle& prepared);

}  // namespace sluice
