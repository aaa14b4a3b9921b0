#pragma once
/// Partitions that turned out larger than the memory planned for them: each is spread over pieces that fit, by one more
/// pass over that partition alone (DESIGN.md chapter 2, Balance).

#include <cstdint>
#include <memory>
#include <vector>

#include "io/extent_log.hpp"
#include "jobs/job_context.hpp"
#include "jobs/plan.hpp"
#include "jobs/stage_report.hpp"
#include "record/partitioner.hpp"

namespace sluice {

/// One output part of a rank: a whole partition, or a piece of one.
struct PartLabel {
    std::uint32_t partition = 0;  ///< local number
    std::uint32_t piece = 0;
    bool split = false;
};

struct OverflowInput {
    std::vector<IoFile*> logs;  ///< by disk number of the extent index
    std::vector<ExtentLog*> log_space;
    std::uint64_t most_bytes = 0;      ///< that a part may have, padding included
    std::uint64_t chunk_bytes = 0;     ///< of phase one: how the extents are padded
    RankResources resources;           ///< of this rank
    std::uint32_t most_pieces = 1024;  ///< of one pass over a partition
};

/// What phase two works on in place of the partitions: the parts of this rank, in key order.
struct OverflowResult {
    std::unique_ptr<ExtentIndex> index;    ///< by part
    std::unique_ptr<PrefixRanges> ranges;  ///< by global number of the rank's first partition + part
    std::vector<PartLabel> parts;
    std::uint64_t split_partitions = 0, passes = 0;
    std::uint64_t first_read_ns = 0;  ///< by the executor's clock, when the first pass began to read
    PhaseReport report;               ///< of all passes: their reads and writes are beyond two-pass
};

/// Splits the partitions that have more than `most_bytes`, again and again until each piece fits; records are read from
/// the logs and appended to them. Local: other ranks need not take part, but their failures end it. Throws Error(space)
/// when the disks cannot hold a second copy of such a partition.
OverflowResult split_overflow(JobContext& job, Arena& arena, const SortPlan& plan, const PrefixRanges& ranges,
                              const ExtentIndex& index, const OverflowInput& input, LiveCounters& live);

}  // namespace sluice
