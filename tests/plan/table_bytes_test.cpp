// What grows with ranks and partitions beside the pools: the formula against the structures, and against the budget.
#include "plan/table_bytes.hpp"

#include <gtest/gtest.h>
#include <malloc.h>

#include <cstdio>
#include <memory>

#include "io/data_set.hpp"
#include "io/extent_log.hpp"
#include "io/io_fixture.hpp"
#include "net/p2p_transport.hpp"
#include "plan/plan.hpp"
#include "record/partitioner.hpp"
#include "stages/coalescer.hpp"
#include "stages/kept_partitions.hpp"
#include "stages/network.hpp"
#include "stages/open_buffers.hpp"

namespace sluice {
namespace {

using testing::AlignedMemory;

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kMallocCounts = false;  // a sanitizer's allocator stands in for the one that does
#else
constexpr bool kMallocCounts = true;
#endif

std::size_t heap_bytes() {
    const auto info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

/// No more than was calculated, and calculated is no more than `most` times as much.
void expect_bound(const char* name, std::size_t held, std::uint64_t calculated, double most) {
    std::printf("%s: %zu bytes held, %llu calculated\n", name, held, static_cast<unsigned long long>(calculated));
    constexpr std::size_t kOfMalloc = 32 * kKiB;  // what it has before each piece, and whole pages of large ones
    EXPECT_LE(held, calculated + kOfMalloc) << name;
    EXPECT_GE(static_cast<double>(held) * most, static_cast<double>(calculated)) << name;
}

class TableBytesOf : public ::testing::Test {
protected:
    void SetUp() override {
        if (!kMallocCounts) GTEST_SKIP() << "no mallinfo2";
        plan.partitions = 3'000;
        plan.one.chunk_bytes = 102'400;
        plan.one.chunks = 50'000;
        plan.one.target_chunks = 20;
        plan.one.distributors = 1;
        facts.partitions = 100'000;
        facts.partition_bytes = 40 * kMiB;
    }
    ThreadExecutor executor;
    RankPlan plan;
    TableFacts facts;
};

TEST_F(TableBytesOf, PartitionerIsABoundForSplittersOfRecords) {
    SplitterTexts texts(kGensortFormat);
    const std::size_t count = facts.partitions - 1;
    const std::size_t before = heap_bytes();
    texts.reserve(count, count * texts.full_bytes());
    std::vector<std::byte> record(100);
    for (std::size_t i = 0; i < count; ++i) {
        for (int byte = 0; byte < 3; ++byte)
            record[static_cast<std::size_t>(byte)] = static_cast<std::byte>(i * 167 >> (16 - 8 * byte));
        texts.add(record.data(), texts.full_bytes());
    }
    const auto partitioner =
        make_splitter_partitioner(kGensortFormat, std::move(texts), std::vector<std::uint32_t>(count));
    const std::size_t words_and_shares = count * (8 + 110 + 8);
    expect_bound("partitioner", heap_bytes() - before + words_and_shares, table_bytes(plan, facts).partitioner, 1.1);
    EXPECT_EQ(partitioner->partitions(), facts.partitions);
}

TEST_F(TableBytesOf, SlotsOfADistributorAreThoseOfItsPartitionsAndPeers) {
    facts.ranks = 10'000;
    const std::size_t before = heap_bytes();
    OpenBuffers open(100);
    open.reserve(plan.partitions + facts.ranks);
    open.add_slots(plan.partitions, {});
    for (std::size_t rank = 0; rank < facts.ranks; ++rank) open.add_slots(1, {});
    const std::size_t by_partition = facts.partitions * sizeof(std::uint32_t);
    expect_bound("slots", heap_bytes() - before + by_partition, table_bytes(plan, facts).slots, 1.1);
}

TEST_F(TableBytesOf, ChainsAreThoseOfTheCoalescerAndOfWhatIsKept) {
    const AlignedMemory memory(plan.one.chunks * 128);
    const auto shape = Coalescer::Options{plan.partitions, 20, 64, 0};
    {
        const std::size_t before = heap_bytes();
        BufferPool pool(executor, "chunks", memory.all(), 100, plan.one.chunks);
        const Coalescer chains(executor, pool, 100, shape, 1);
        expect_bound("chains", heap_bytes() - before, table_bytes(plan, facts).chains, 1.1);
    }
    plan.one.chunk_records = 1;
    const std::size_t before = heap_bytes();
    KeptPartitions kept(executor, memory.all(),
                        {.chunks = plan.one.chunks,
                         .chunk_bytes = 128,
                         .chunk_records = 1,
                         .record_bytes = 100,
                         .partitions = plan.partitions});
    const Coalescer chains(executor, kept.pool(), 100, shape, 1);
    expect_bound("kept chains", heap_bytes() - before, table_bytes(plan, facts).chains, 1.2);
}

TEST_F(TableBytesOf, ExtentsAreThoseThatAreReserved) {
    const std::uint64_t each = reserved_extents(plan, facts.partition_bytes);
    EXPECT_GE(each, facts.partition_bytes / plan.one.chunk_bytes / 10) << "chains half as long as planned";
    EXPECT_LE(each, facts.partition_bytes / plan.one.chunk_bytes + 2) << "never more than chunks";
    const std::size_t before = heap_bytes();
    ExtentIndex index(executor, plan.partitions);
    index.reserve(each);
    expect_bound("extents", heap_bytes() - before, table_bytes(plan, facts).extents, 1.1);
    plan.partitions = 10;
    EXPECT_EQ(reserved_extents(plan, facts.partition_bytes), facts.partition_bytes / plan.one.chunk_bytes + 2)
        << "each chunk alone, where there is room for it";
}

/// Takes everything, and nothing ever comes.
class SilentWire final : public Wire {
public:
    explicit SilentWire(std::uint32_t ranks) : ranks_(ranks) {}
    std::uint32_t rank() const override { return 0; }
    std::uint32_t size() const override { return ranks_; }
    void post_receive(std::uint32_t, std::span<std::byte>, std::uint64_t) override {}
    void start_send(std::uint32_t, std::span<const std::byte>, std::uint64_t) override {}
    void test(std::vector<Completion>&) override {}
    void send_control(std::uint32_t, std::uint64_t) override {}
    bool poll_control(std::uint32_t&, std::uint64_t&) override { return false; }
    void cancel_receives(std::uint32_t) override {}
    Rings rings() const override { return Rings::nothing; }

private:
    std::uint32_t ranks_;
};

TEST_F(TableBytesOf, MessagesAreThoseOfQueuesPoolsSenderAndTransport) {
    facts.ranks = 10'000;
    plan.one.send_buffers = 40'000;
    plan.one.receive_buffers = 12'500;
    const AlignedMemory memory(std::max(plan.one.send_buffers, plan.one.receive_buffers) * 128);
    SilentWire wire(static_cast<std::uint32_t>(facts.ranks));
    const std::size_t before = heap_bytes();
    BufferPool send(executor, "send", memory.all(), 128, plan.one.send_buffers);
    BufferPool receive(executor, "receive", memory.all(), 128, plan.one.receive_buffers);
    WorkQueue<OutgoingBuffer> outgoing(executor, plan.one.send_buffers, 1);
    const WorkQueue<ArrivedBuffer> arrived(executor, plan.one.receive_buffers, 1);
    const auto transport = make_p2p_transport(wire, receive, 7);
    const Sender sender(outgoing, *transport, 0, wire.size(), plan.one.send_buffers);
    // Beside them what sends and MPI's requests take, and copies of the counters.
    expect_bound("messages", heap_bytes() - before, table_bytes(plan, facts).messages, 2.0);
}

TEST_F(TableBytesOf, ManifestIsALineForEachPart) {
    DataSet set;
    set.kind = SetKind::sorted;
    set.disks.resize(80'000, {"a-host-of-a-cluster-00000", ""});
    constexpr std::uint64_t kParts = 20'000;
    const std::uint64_t disks_bytes = set.to_text().size();
    for (std::uint64_t part = 0; part < kParts; ++part)
        set.files.push_back({79'999, "part-0000000", 400 * kMB, {4'000'000, Uint128{part} << 60}, 1'000'000});
    facts.partitions = kParts;
    expect_bound("manifest", set.to_text().size() - disks_bytes, table_bytes(plan, facts).manifest, 1.8);
}

struct Machine {
    std::size_t ranks;
    unsigned cores, disks;
    std::uint64_t budget_bytes, input_bytes;  ///< of each rank
    Passes passes = Passes::two;
    std::uint32_t record_bytes = 100;
};

SortPlan plan_of(const Machine& machine) {
    RankResources rank;
    rank.budget_bytes = machine.budget_bytes;
    rank.cores = machine.cores;
    rank.input_disks = rank.intermediate_disks = rank.output_disks = machine.disks;
    rank.input_bytes = machine.input_bytes / machine.record_bytes * machine.record_bytes;
    std::vector<RankResources> ranks(machine.ranks, rank);
    for (std::size_t i = 0; i < ranks.size(); ++i) ranks[i].host = "n" + std::to_string(i);
    Config config;
    config.passes = machine.passes;
    return plan_sort(config, {machine.record_bytes, 0, 10}, ranks);
}

TEST(PlanTables, WhatIsResidentKeepsWithinTheBudgetAndSixtyFourMebibytes) {
    const Machine machines[] = {{1, 2, 1, 256 * kMiB, 10 * kGB},
                                {8, 4, 4, 8 * kGiB, 100 * kGB},
                                {52, 8, 8, 16 * kGiB, 2'000 * kGB},
                                {1'000, 16, 4, 48 * kGiB, 4'000 * kGB},
                                {10'000, 2, 2, 8 * kGiB, 500 * kGB},
                                {10'000, 8, 4, 64 * kGiB, 2'000 * kGB},
                                {10'000, 8, 4, 64 * kGiB, 2'000 * kGB, Passes::two, 1'000},
                                {10'000, 64, 8, 400 * kGiB, 4'000 * kGB},
                                {10'000, 8, 4, 64 * kGiB, 20 * kGB, Passes::one}};
    for (const Machine& machine : machines) {
        const SortPlan plan = plan_of(machine);
        const RankPlan& rank = plan.ranks.front();
        std::printf("%zu ranks x %u cores, %s: %u partitions, tables %s (%s), %s of it from the budget\n",
                    machine.ranks, machine.cores, human_bytes(static_cast<double>(machine.budget_bytes)).c_str(),
                    plan.ownership.partitions(), human_bytes(static_cast<double>(rank.tables.total())).c_str(),
                    rank.tables.text().c_str(), human_bytes(static_cast<double>(rank.tables.of_budget())).c_str());
        for (const RankPlan& each : plan.ranks)
            ASSERT_LE(each.resident_bytes(), machine.budget_bytes + kBesideBudgetBytes) << machine.ranks;
        if (machine.ranks == 10'000) {
            EXPECT_GT(rank.tables.total(), kBesideBudgetBytes) << "or it would not matter whether they are counted";
        } else if (machine.ranks <= 8) {
            EXPECT_EQ(rank.tables.of_budget(), 0u) << "nothing changes for small clusters";
        }
    }
}

TEST(PlanTables, MoreThanAMillionPartitionsWhereMemoryHasRoomForThem) {
    const Machine machine{10'000, 64, 8, 400 * kGiB, 4'000 * kGB};
    const SortPlan plan = plan_of(machine);
    EXPECT_GT(plan.ownership.partitions(), 1u << 20);
    for (std::uint32_t rank = 0; rank < machine.ranks; ++rank)
        ASSERT_EQ(plan.ownership.count(rank) % machine.disks, 0u) << "a multiple of ranks and disks";
    const RankPlan& rank = plan.ranks.front();
    EXPECT_LT(rank.tables.partitioner + rank.tables.manifest, machine.budget_bytes / 50);
}

TEST(PlanTables, BudgetThatTheTablesAloneFillIsRefused) {
    Config config;
    config.partitions.count = 8'000'000;
    RankResources rank;
    rank.host = "n";
    rank.input_bytes = 1'000 * kGB;
    std::vector<RankResources> ranks(10'000, rank);
    for (RankResources& each : ranks) each.budget_bytes = 4 * kGiB;
    EXPECT_THROW(plan_sort(config, kGensortFormat, ranks), Error)
        << "eight million splitters and their manifest are more";
    for (RankResources& each : ranks) each.budget_bytes = 40 * kGiB;
    const SortPlan plan = plan_sort(config, kGensortFormat, ranks);
    EXPECT_GT(plan.ranks[0].tables.of_budget(), 4 * kGiB);
    EXPECT_LE(plan.ranks[0].memory_bytes() + plan.ranks[0].tables.of_budget(), 40 * kGiB);
}

TEST(PlanTables, SizesBeyondSixtyFourBitsFitNowhere) {
    Config config;
    config.partitions.count = 1u << 31;
    config.io.chunk_size_bytes = 64 * kMiB;
    config.stages.distributor.workers = config.stages.logical_disk_distributor.workers = 64;
    RankResources rank;  // 128 workers x 2^31 partitions of one rank x 2^26 bytes are 2^64, which is 0
    rank.host = "n";
    rank.budget_bytes = kGiB;
    rank.input_bytes = 1'000'000 * 128;
    std::vector<RankResources> ranks(2, rank);
    ranks[1].weight = 1e-12;
    EXPECT_THROW(plan_sort(config, {128, 0, 10}, ranks), Error);
    PhaseOnePlan one;
    one.chunks = std::size_t{1} << 40;
    one.chunk_bytes = std::uint64_t{1} << 26;
    EXPECT_EQ(one.memory_bytes(), UINT64_MAX);
    PhaseTwoPlan two;
    two.partition_slots = 64;
    two.partition_bytes = std::uint64_t{1} << 59;
    EXPECT_EQ(two.memory_bytes(), UINT64_MAX);
}

}  // namespace
}  // namespace sluice
