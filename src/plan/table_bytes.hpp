#pragma once
/// Memory of a rank that lies in no pool and grows with the number of ranks, partitions or buffers. The one place that
/// says how much it is; the plan takes it from the budget before it sizes the pools.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "record/record_format.hpp"
#include "runtime/choices.hpp"
#include "runtime/units.hpp"

namespace sluice {

struct RankPlan;

/// Bytes of one rank, by structure. Calculated, not measured: bounds for what a rank holds at the same time. Not in it:
/// MPI's own tables, and what rank 0 alone has for a moment when it makes report and manifest of what all ranks say.
struct TableBytes {
    std::uint64_t partitioner = 0;  ///< SplitterPartitioner and its SplitterTexts, the shares it was made for, and the
                                    ///< words that brought it
    std::uint64_t slots = 0;        ///< of the distributors: OpenBuffers, RecordScatter, the slots by partition
    std::uint64_t chains = 0;       ///< Coalescer and the pool of chunks; in one pass KeptPartitions
    std::uint64_t extents = 0;      ///< ExtentIndex, and copies of what is being loaded
    std::uint64_t messages = 0;     ///< Sender, queues, pools and transport, by message buffer and peer
    std::uint64_t ranks = 0;        ///< RankResources and RankPlan of all ranks, words of control calls, counters
    std::uint64_t parts = 0;        ///< PartLabel, SortSummary, PartFact, WrittenFile of this rank's parts
    std::uint64_t manifest = 0;     ///< its text
    std::uint64_t total() const;
    /// What of it the budget pays: all but kFreeTableBytes.
    std::uint64_t of_budget() const;
    std::string text() const;  ///< one line, the largest first
};

/// A rank's memory is its budget and this, whatever the number of ranks and partitions: an invariant.
inline constexpr std::uint64_t kBesideBudgetBytes = 64 * kMiB;
/// Of that, program, libraries, MPI and stacks: 13 MiB alone and 24 MiB among 8 ranks of a host were measured
/// (docs/scale.md). And what pools lose to alignment.
inline constexpr std::uint64_t kProcessBytes = 31 * kMiB, kAlignmentBytes = kMiB;
/// The rest is for tables: those of small clusters take nothing from the budget.
inline constexpr std::uint64_t kFreeTableBytes = kBesideBudgetBytes - kProcessBytes - kAlignmentBytes;

/// What tables depend on beside the plan of the rank.
struct TableFacts {
    RecordFormat format;
    TransportKind transport = TransportKind::p2p;
    std::size_t ranks = 1;
    std::uint32_t partitions = 0;       ///< of all ranks
    std::uint64_t partition_bytes = 0;  ///< that one may have
};

/// Cost: some dozens of operations, whatever the sizes.
TableBytes table_bytes(const RankPlan& plan, const TableFacts& facts);

/// Extents of one partition to have memory for before phase one: as many as when every chunk is written alone, within
/// 8 MiB for all partitions; where that is less, as many as there will be with chains half as long as planned.
std::uint64_t reserved_extents(const RankPlan& plan, std::uint64_t partition_bytes);

/// A plan whose pools leave room for its tables within `budget_bytes`. What is planned with less has fewer tables: a
/// few rounds, two as a rule, one where all tables are free.
/// @param plan_with  the rank's plan whose pools take at most so many bytes; nullopt where there is none
std::optional<RankPlan> plan_with_tables(
    std::uint64_t budget_bytes, const TableFacts& facts,
    const std::function<std::optional<RankPlan>(std::uint64_t pools_bytes)>& plan_with);

}  // namespace sluice
