#include <gtest/gtest.h>

#include "jobs/plan.hpp"
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

TEST(HostPlan, OneRankNeedsNoMessages) {
    EXPECT_EQ(plan_sort(Config{}, kGensortFormat, {rank_of("a", 1, kGiB)}).ranks[0].one.message_bytes, 0u);
}

}  // namespace
}  // namespace sluice
