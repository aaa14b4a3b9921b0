// The buffers of messages at many ranks: no pool grows with ranks and workers together.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "plan/plan.hpp"
#include "plan/problem_texts.hpp"
#include "runtime/units.hpp"

namespace sluice {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

/// One rank a host.
std::vector<RankResources> hosts(std::size_t ranks, unsigned cores, std::uint64_t budget_bytes,
                                 std::uint64_t input_bytes = 20 * kGB) {
    std::vector<RankResources> all(ranks);
    for (std::size_t rank = 0; rank < ranks; ++rank) {
        all[rank].host = "node" + std::to_string(rank);
        all[rank].cores = cores;
        all[rank].budget_bytes = budget_bytes;
        all[rank].input_bytes = input_bytes;
    }
    return all;
}

PhaseOnePlan plan_of(const std::vector<RankResources>& ranks, const Config& config = {}) {
    return plan_sort(config, kGensortFormat, ranks).ranks[0].one;
}

constexpr TransportKind kTransports[] = {TransportKind::p2p, TransportKind::alltoallv, TransportKind::rma};

TEST(PlanMessages, TenThousandRanksOf64CoresNeedLessThanTwoGigabytesToSendAndToReceive) {
    for (const TransportKind transport : kTransports) {
        for (const std::uint64_t budget : {32 * kGiB, 200 * kGiB, 700 * kGiB}) {
            Config config;
            config.net.transport = transport;
            const auto ranks = hosts(10'000, 64, budget);
            const SortPlan plan = plan_sort(config, kGensortFormat, ranks);
            const PhaseOnePlan& one = plan.ranks[0].one;
            const std::string at = word_of(transport) + " " + format_bytes(budget);
            EXPECT_EQ(one.distributors, 32u) << at;
            EXPECT_LE(one.send_buffers * one.message_bytes, 2 * kGB) << at;
            EXPECT_LE(one.receive_buffers * one.message_bytes, 2 * kGB) << at;
            EXPECT_GT(one.send_groups, 0u) << at;
            EXPECT_GE(one.send_buffers, one.send_groups * std::size_t{9'999}) << at;
            EXPECT_THAT(testing::texts_of(pool_problems(config, plan.ranks[0], ranks.size())), IsEmpty()) << at;
            EXPECT_LE(memory_floors(plan.ranks[0], ranks.size()).phase_one_bytes, one.memory_bytes()) << at;
            EXPECT_THAT(describe(plan, ranks), HasSubstr("share them in " + std::to_string(one.send_groups) + " group"))
                << at;
        }
    }
}

TEST(PlanMessages, GroupsAreNeighboursAndAsManyAsThePoolHasRoomFor) {
    const PhaseOnePlan one = plan_of(hosts(10'000, 64, 200 * kGiB));
    ASSERT_EQ(one.send_groups, 3u);
    std::vector<unsigned> members(3);
    for (unsigned i = 0; i < one.distributors; ++i) {
        ++members[one.send_group(i)];
        EXPECT_GE(one.send_group(i), one.send_group(i == 0 ? 0 : i - 1));
    }
    EXPECT_THAT(members, ElementsAre(11u, 11u, 10u));
    EXPECT_EQ(one.send_buffers, 3u * 9'999 + 9'999 / 4) << "one open for each peer and group, and some under way";
    RankPlan rank = plan_sort({}, kGensortFormat, hosts(10'000, 64, 200 * kGiB)).ranks[0];
    rank.one.send_buffers = 3u * 9'999 - 1;
    EXPECT_THAT(testing::texts_of(pool_problems({}, rank, 10'000)),
                ElementsAre(HasSubstr("3 group(s) of node distributor(s) x 9999 peers = 29997")));
}

TEST(PlanMessages, APoolOfTwoPercentOfTheBudgetIsNotShared) {
    Config config;
    config.stages.distributor.workers = 4;
    config.net.buffer_size_bytes = 60 * kKiB;
    const auto with = [&](std::uint64_t budget) { return plan_of(hosts(52, 8, budget, kGB), config); };
    const PhaseOnePlan roomy = with(16 * kGiB);
    EXPECT_EQ(roomy.send_groups, 0u);
    EXPECT_EQ(roomy.send_buffers, 4u * 51 + 51 / 4);
    const auto ranks = hosts(52, 8, 16 * kGiB, kGB);
    EXPECT_THAT(describe(plan_sort(config, kGensortFormat, ranks), ranks), Not(HasSubstr("group")));
    const std::uint64_t border = roomy.send_buffers * roomy.message_bytes * 50;
    EXPECT_EQ(with(border).send_groups, 0u);
    EXPECT_EQ(with(border - 50).send_groups, 3u) << "as many as fit";
    EXPECT_EQ(with(border - 50).send_buffers, 3u * 51 + 51 / 4);
}

TEST(PlanMessages, FewPeersAreSharedByFewDistributors) {
    Config config;
    config.stages.distributor.workers = 32;
    EXPECT_EQ(plan_of(hosts(4, 64, kGiB, 100 * kMB), config).send_groups, 0u) << "three peers: each has its own";
    EXPECT_EQ(plan_of(hosts(52, 64, 512 * kMiB, 100 * kMB), config).send_groups, 6u)
        << "51 peers, 8 for each that shares them, though 2 % have room for three groups only";
}

TEST(PlanMessages, WhereBuffersForAllAreConfiguredEachDistributorHasItsOwn) {
    const auto ranks = hosts(200, 64, 16 * kGiB);
    Config config;
    EXPECT_GT(plan_of(ranks, config).send_groups, 0u);
    config.net.send_buffers = 32 * 199;
    EXPECT_EQ(plan_of(ranks, config).send_groups, 0u);
}

TEST(PlanMessages, DeepQueuesHoldWhatALinkIsBusyWithHoweverManyThePeers) {
    const auto spare = [](TransportKind transport, std::size_t peers) {
        const SpareMessages found = spare_messages(transport, peers, true, 60 * kKiB);
        return std::pair(found.send, found.receive);
    };
    EXPECT_EQ(spare(TransportKind::alltoallv, 7), std::pair(std::size_t{28 * 7}, std::size_t{28 * 7}));
    EXPECT_EQ(spare(TransportKind::alltoallv, 51), std::pair(std::size_t{28 * 51}, std::size_t{28 * 51}));
    const std::size_t most = 512 * kMiB / (60 * kKiB);
    EXPECT_EQ(spare(TransportKind::alltoallv, 9'999), std::pair(most, most));
    EXPECT_EQ(spare(TransportKind::rma, 9'999), std::pair(most, most));
    EXPECT_EQ(spare(TransportKind::alltoallv, 63'999).second, 63'999u / 4) << "as p2p has them";
}

}  // namespace
}  // namespace sluice
