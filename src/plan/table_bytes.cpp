#include "plan/table_bytes.hpp"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <bit>
#include <utility>
#include <vector>

#include "io/data_set.hpp"
#include "io/extent_log.hpp"
#include "net/transport.hpp"
#include "plan/plan.hpp"
#include "record/record_checker.hpp"
#include "record/splitters.hpp"
#include "stages/open_buffers.hpp"
#include "stages/partition_reader.hpp"

namespace sluice {
namespace {

constexpr std::uint64_t kHeapBytes = 16;  // malloc's own, and its rounding, for each piece

// By partition or splitter, in SplitterPartitioner: a text's place; its share; three groups' numbers. And by the power
// of two above: prefix and node of the tree; four cells.
constexpr std::uint64_t kSplitterBytes = 16 + 4 + 3 * 4, kPaddedSplitterBytes = 8 + 8 + 4 * 4;
constexpr std::uint64_t kSplitterWordBytes = 8;  // Splitters::serialize: share and length
constexpr std::uint64_t kShareBytes = 8;         // SortRun: the part of the records that a partition is to get
// Splitters::choose_lengths: to 256 bytes texts are whole; longer ones are cut, to 64 at the least.
constexpr std::uint64_t kWholeTextBytes = 256, kLeastTextBytes = 64;
// RecordScatter: a burst, and the rest of a record, for 100-byte records. Short bursts where there are many slots.
constexpr std::uint64_t kLongBurst = 1024, kShortBurst = 512, kBurstRest = 128, kManyBursts = kMiB / 2;
constexpr std::uint64_t kSlotNumberBytes = 4;  // NodeDistributor: the slot of a partition
// Coalescer: a node (buffer, next) and the pool's place for a chunk; an entry for a partition.
constexpr std::uint64_t kChainNodeBytes = sizeof(Buffer) + 8, kPoolPlaceBytes = 8, kChainEntryBytes = 72;
// KeptPartitions: a node, the chunk in order and where it begins; a list for a partition.
constexpr std::uint64_t kKeptChunkBytes = kChainNodeBytes + sizeof(Buffer) + 8, kKeptListBytes = 40;
constexpr std::uint64_t kReservedExtentBytes = 8 * kMiB;
// By message: Sender's node; a transport's place for a send or receive, its lists and MPI's request beside it.
constexpr std::uint64_t kSenderNodeBytes = sizeof(OutgoingBuffer) + 8, kSendPlaceBytes = 120, kReceivePlaceBytes = 160;
// By peer: Sender's list, MessageLedger, state of p2p or rma; two more copies of the counters.
constexpr std::uint64_t kPeerBytes = 12 + 24 + 3 * sizeof(PeerCounters) + 200;
// alltoallv by peer, and by buffer that a round moves: rings, pieces and three lanes of both.
constexpr std::uint64_t kRoundPeerBytes = 512, kRoundPieceBytes = 512, kMostRoundPieces = 16,
                        kRoundBytesTogether = 256 * kKiB;
// By rank: words of a control call with its text; names of hosts in lists that ranks keep; its first partition.
constexpr std::uint64_t kControlBytes = 1200, kHostNameBytes = 3 * 64, kOwnershipBytes = 4;
constexpr std::uint64_t kPartLabelBytes = 12, kPartFactBytes = 160, kPathBytes = 192;

std::uint64_t text_bytes_of_splitters(const RecordFormat& format, std::uint64_t count) {
    const std::uint64_t full = SplitterTexts::full_bytes(format);
    if (full <= kWholeTextBytes) return count * full;
    return std::min(count * full, std::max(count * kLeastTextBytes, std::uint64_t{kMostWholeBytes}) + kMostWholeBytes);
}

std::uint64_t partitioner_bytes(const TableFacts& facts) {
    const std::uint64_t count = facts.partitions, padded = std::bit_ceil(count);
    const std::uint64_t texts = text_bytes_of_splitters(facts.format, count);
    return count * (kSplitterBytes + kShareBytes) + padded * kPaddedSplitterBytes + texts + count * kSplitterWordBytes +
           texts;  // the words go when the partitioner stands
}

std::uint64_t slot_bytes(const RecordFormat& format, std::uint64_t slots) {
    std::uint64_t each = sizeof(OpenBuffers::SlotKind) + sizeof(Buffer) + sizeof(RecordScatter::Cursor);
    if (format.record_bytes == 100) each += (slots * kLongBurst > kManyBursts ? kShortBurst : kLongBurst) + kBurstRest;
    return slots * each;
}

std::uint64_t chain_bytes(const RankPlan& plan) {
    const PhaseOnePlan& one = plan.one;
    const std::uint64_t chains = one.chunks * (kChainNodeBytes + kPoolPlaceBytes) + plan.partitions * kChainEntryBytes;
    if (one.chunk_records == 0) return chains;
    return chains + one.chunks * kKeptChunkBytes +
           plan.partitions * (kKeptListBytes + sizeof(std::optional<LoadedPartition>));
}

std::uint64_t extent_bytes(const RankPlan& plan, const TableFacts& facts) {
    if (plan.one.chunk_records != 0) return 0;
    const std::uint64_t each = reserved_extents(plan, facts.partition_bytes) * sizeof(Extent) + kHeapBytes;
    return plan.partitions * (each + sizeof(std::vector<Extent>)) + plan.two.partition_slots * each;
}

std::uint64_t message_bytes(const PhaseOnePlan& one, const TableFacts& facts) {
    if (facts.ranks == 1) return 0;
    const std::uint64_t outgoing = sizeof(std::optional<OutgoingBuffer>) + kSenderNodeBytes;
    std::uint64_t bytes =
        one.send_buffers * (kPoolPlaceBytes + outgoing + kSendPlaceBytes) +
        one.receive_buffers * (kPoolPlaceBytes + sizeof(std::optional<ArrivedBuffer>) + kReceivePlaceBytes) +
        facts.ranks * kPeerBytes;
    if (one.receive_in_window) bytes += one.receive_buffers * outgoing;  // lent, they are sent as well
    if (facts.transport == TransportKind::alltoallv) {
        const std::uint64_t pieces =
            std::clamp<std::uint64_t>(kRoundBytesTogether / one.message_bytes, 1, kMostRoundPieces);
        bytes += facts.ranks * (kRoundPeerBytes + pieces * kRoundPieceBytes);
    }
    return bytes;
}

std::uint64_t part_bytes(const RecordFormat& format) {
    const std::uint64_t key_bytes = round_up(format.key_bytes, 16) + kHeapBytes;
    return kPartLabelBytes + sizeof(SortSummary) + kPartFactBytes + kPathBytes + 5 * key_bytes;
}

}  // namespace

std::uint64_t TableBytes::total() const {
    return partitioner + slots + chains + extents + messages + ranks + parts + manifest;
}

std::uint64_t TableBytes::of_budget() const { return std::max(total(), kFreeTableBytes) - kFreeTableBytes; }

std::string TableBytes::text() const {
    std::vector<std::pair<std::uint64_t, const char*>> named = {
        {partitioner, "partitioner"}, {slots, "slots"}, {chains, "chains"}, {extents, "extents"},
        {messages, "messages"},       {ranks, "ranks"}, {parts, "parts"},   {manifest, "manifest"}};
    std::stable_sort(named.begin(), named.end(), [](const auto& a, const auto& b) { return a.first > b.first; });
    constexpr std::size_t kShown = 3;
    std::string text;
    for (std::size_t i = 0; i < kShown; ++i)
        text += fmt::format("{}{} {}", i == 0 ? "" : ", ", named[i].second,
                            human_bytes(static_cast<double>(named[i].first)));
    return text;
}

TableBytes table_bytes(const RankPlan& plan, const TableFacts& facts) {
    const PhaseOnePlan& one = plan.one;
    const std::uint64_t peers = facts.ranks > 1 ? facts.ranks : 0;
    TableBytes tables;
    tables.partitioner = partitioner_bytes(facts);
    tables.slots = one.distributors * (slot_bytes(facts.format, plan.partitions + peers) +
                                       std::uint64_t{facts.partitions} * kSlotNumberBytes) +
                   one.logical_disk_distributors * slot_bytes(facts.format, plan.partitions);
    tables.chains = chain_bytes(plan);
    tables.extents = extent_bytes(plan, facts);
    tables.messages = message_bytes(one, facts);
    // A plan is copied once on its way from the planner.
    tables.ranks =
        facts.ranks * (sizeof(RankResources) + 2 * sizeof(RankPlan) + kOwnershipBytes + kHostNameBytes + kControlBytes);
    tables.parts = plan.partitions * part_bytes(facts.format);
    tables.manifest = std::uint64_t{facts.partitions} * kManifestLineBytes;
    return tables;
}

std::uint64_t reserved_extents(const RankPlan& plan, std::uint64_t partition_bytes) {
    const PhaseOnePlan& one = plan.one;
    const std::uint64_t most = partition_bytes / one.chunk_bytes + 2;
    const std::uint64_t chained = most / std::max<std::uint64_t>(1, one.target_chunks / 2) + 2;
    const std::uint64_t ample = kReservedExtentBytes / sizeof(Extent) / std::max(1u, plan.partitions);
    return std::min(most, std::max(chained, ample));
}

std::optional<RankPlan> plan_with_tables(
    std::uint64_t budget_bytes, const TableFacts& facts,
    const std::function<std::optional<RankPlan>(std::uint64_t pools_bytes)>& plan_with) {
    constexpr int kMostRounds = 8;
    std::uint64_t pools_bytes = budget_bytes;
    for (int round = 0; round < kMostRounds; ++round) {
        auto plan = plan_with(pools_bytes);
        if (!plan) return std::nullopt;
        plan->tables = table_bytes(*plan, facts);
        const std::uint64_t tables_bytes = plan->tables.of_budget();
        if (saturating_sum(plan->memory_bytes(), tables_bytes) <= budget_bytes) return plan;
        if (tables_bytes >= budget_bytes) return std::nullopt;
        pools_bytes = budget_bytes - tables_bytes;  // less than before, since what was planned within that is too much
    }
    return std::nullopt;
}

}  // namespace sluice
