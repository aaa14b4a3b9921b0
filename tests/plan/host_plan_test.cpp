#include <gtest/gtest.h>

#include "net/transport_kind.hpp"
#include "plan/plan.hpp"
#include "runtime/units.hpp"

namespace sluice {
namespace {

RankResources rank_of(const char* host, double weight, std::uint64_t budget_bytes) {
    RankResources rank;
    rank.host = host;
    rank.weight = weight;
    rank.budget_bytes = budget_bytes;
    rank.cores = 4;
    rank.input_bytes = 2 * kGB;
    return rank;
}

TEST(HostPlan, HalfTheWeightGetsHalfThePartitions) {
    const SortPlan plan =
        plan_sort(Config{}, kGensortFormat, {rank_of("a", 1, kGiB), rank_of("b", 0.5, kGiB), rank_of("c", 1, kGiB)});
    const double total = plan.ownership.partitions();
    ASSERT_GT(total, 20);
    EXPECT_NEAR(plan.ownership.count(0), 0.4 * total, 1);
    EXPECT_NEAR(plan.ownership.count(1), 0.2 * total, 1);
    EXPECT_NEAR(plan.ownership.count(2), 0.4 * total, 1);
}

TEST(HostPlan, MessagesFitTheReceiveBuffersOfTheRankWithLeastMemory) {
    // Between hosts messages are small anyhow; within one they shrink with the memory.
    const SortPlan alone = plan_sort(Config{}, kGensortFormat, {rank_of("a", 1, kGiB), rank_of("a", 1, kGiB)});
    const SortPlan mixed = plan_sort(Config{}, kGensortFormat, {rank_of("a", 1, kGiB), rank_of("a", 1, 28 * kMiB)});
    EXPECT_EQ(mixed.ranks[0].one.message_bytes, mixed.ranks[1].one.message_bytes);
    EXPECT_LT(mixed.ranks[0].one.message_bytes, alone.ranks[0].one.message_bytes);
    for (const RankPlan& rank : mixed.ranks) EXPECT_GT(rank.one.message_bytes, 0u);
    EXPECT_LE(mixed.ranks[1].one.memory_bytes(), 28 * kMiB);
}

TEST(HostPlan, OneHostHasMessagesToSpareForTheTurnsOfItsThreads) {
    const auto spare_of = [](TransportKind transport, const char* other_host) {
        Config config;
        config.net.transport = transport;
        const SortPlan plan = plan_sort(config, kGensortFormat, {rank_of("a", 1, kGiB), rank_of(other_host, 1, kGiB)});
        const PhaseOnePlan& one = plan.ranks[0].one;
        return std::pair(one.send_buffers - one.distributors, one.receive_buffers - 1 - one.logical_disk_distributors);
    };
    const auto both = [](std::size_t spare) { return std::pair(spare, spare); };
    EXPECT_EQ(spare_of(TransportKind::p2p, "a"), both(10));
    EXPECT_EQ(spare_of(TransportKind::p2p, "b"), both(4));
    EXPECT_EQ(spare_of(TransportKind::rma, "a"), std::pair(std::size_t{0}, std::size_t{20}))
        << "the receiver lends what is filled";
    EXPECT_EQ(spare_of(TransportKind::rma, "b"), both(4)) << "three for a peer, and four at least";
    EXPECT_EQ(spare_of(TransportKind::alltoallv, "a"), both(4));
}

TEST(HostPlan, OneHostLendsASlotToEachDistributorWithinHalfOfTheBudget) {
    Config config;
    config.net.transport = TransportKind::rma;
    config.stages.distributor.workers = 30;
    const auto plan_with = [&](std::uint64_t budget) {
        return plan_sort(config, kGensortFormat, {rank_of("a", 1, budget), rank_of("a", 1, budget)}).ranks[0].one;
    };
    EXPECT_GE(plan_with(4 * kGiB).receive_buffers, 32u) << "one under way and one that is never lent";
    config.stages.distributor.workers = 0;
    for (const std::uint64_t budget_mib : {32, 40, 48, 64, 96, 128, 1024})
        EXPECT_LE(plan_with(budget_mib * kMiB).window_bytes(), budget_mib * kMiB / 2) << budget_mib << " MiB";
}

TEST(HostPlan, AutoStandsForSharedMemoryOnOneHost) {
    EXPECT_EQ(chosen_transport(TransportKind::automatic, 2, false, true), TransportKind::rma);
    EXPECT_EQ(chosen_transport(TransportKind::automatic, 2, false, false), TransportKind::p2p) << "no room";
    EXPECT_EQ(chosen_transport(TransportKind::automatic, 2, true, true), TransportKind::p2p) << "several hosts";
    EXPECT_EQ(chosen_transport(TransportKind::automatic, 1, false, true), TransportKind::p2p);
    EXPECT_EQ(chosen_transport(TransportKind::alltoallv, 2, false, true), TransportKind::alltoallv);
}

TEST(HostPlan, RoundsOnOneHostAreOfLargerMessages) {
    Config config;
    const auto message_of = [&](const char* other_host) {
        return plan_sort(config, kGensortFormat, {rank_of("a", 1, kGiB), rank_of(other_host, 1, kGiB)})
            .ranks[0]
            .one.message_bytes;
    };
    const std::uint64_t usual = message_of("a"), between_hosts = message_of("b");
    config.net.transport = TransportKind::alltoallv;
    EXPECT_NEAR(static_cast<double>(message_of("a")), 2.0 * static_cast<double>(usual), 8192);
    EXPECT_EQ(message_of("b"), between_hosts);
    config.net.buffer_size_bytes = 256 * kKiB;
    EXPECT_LE(message_of("a"), 256 * kKiB + 4096);
}

TEST(HostPlan, OneRankNeedsNoMessages) {
    EXPECT_EQ(plan_sort(Config{}, kGensortFormat, {rank_of("a", 1, kGiB)}).ranks[0].one.message_bytes, 0u);
}

}  // namespace
}  // namespace sluice
