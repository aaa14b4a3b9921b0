// Phase zero in the simulated cluster: balance on every distribution, the same bytes for any rank count.
#include "jobs/phase_zero.hpp"
#include "simulated/fault_backend.hpp"

#include <gtest/gtest.h>

#include "jobs/simulated_cluster.hpp"

namespace sluice::testing {
namespace {

class Distributions : public ::testing::TestWithParam<int> {};

ClusterShape shape_with(Keys keys, std::uint32_t ranks) {
    ClusterShape shape = shape_of_keys(keys, ranks);
    shape.seed = 17 + ranks;
    shape.input_seed = 5;
    return shape;
}

TEST_P(Distributions, KeepPartitionsAndRanksWithinTheirTargets) {
    ClusterShape shape = shape_with(static_cast<Keys>(GetParam()), 3);
    shape.samples = 400;
    const ClusterOutcome outcome = SimulatedCluster(shape).run();
    ASSERT_TRUE(outcome.errors.empty()) << outcome.errors.front();
    ASSERT_TRUE(outcome.output == outcome.expected);
    ASSERT_EQ(outcome.balance.partition_bytes.size(), 12u);
    EXPECT_LE(outcome.balance.worst_partition_of_mean(), 1.25);
    EXPECT_LE(outcome.balance.largest_of(outcome.balance.ranks), 1.05);
    EXPECT_GE(outcome.balance.smallest_of(outcome.balance.ranks), 0.95);
    EXPECT_LE(outcome.balance.largest_of(outcome.balance.output_disks), 1.05);
}

TEST_P(Distributions, SampledWhollyPartitionsAreEqualButForARecordOrTwo) {
    ClusterShape shape = shape_with(static_cast<Keys>(GetParam()), 2);
    shape.records = 2400;
    shape.samples = 1000;  // of the 200 there are
    const ClusterOutcome outcome = SimulatedCluster(shape).run();
    ASSERT_TRUE(outcome.errors.empty()) << outcome.errors.front();
    ASSERT_TRUE(outcome.output == outcome.expected);
    // Identical records are dealt out by each worker on its own, so their shares are met in the mean only.
    const double spread = GetParam() == static_cast<int>(Keys::few_records) ? 30 : 12;
    for (const std::uint64_t bytes : outcome.balance.partition_bytes)
        EXPECT_NEAR(static_cast<double>(bytes) / shape.record_bytes, 200, spread);
}

TEST_P(Distributions, GiveTheSameBytesForAnyRankCount) {
    std::vector<std::byte> first;
    for (const std::uint32_t ranks : {1u, 2u, 3u, 4u, 9u}) {
        ClusterShape shape = shape_with(static_cast<Keys>(GetParam()), ranks);
        shape.records = 3000;
        shape.samples = 30;
        shape.minimal_pools = ranks % 2 == 0;
        const ClusterOutcome outcome = SimulatedCluster(shape).run();
        ASSERT_TRUE(outcome.errors.empty()) << outcome.errors.front();
        ASSERT_TRUE(outcome.output == outcome.expected) << ranks << " ranks";
        if (first.empty()) first = outcome.output;
        EXPECT_TRUE(outcome.output == first) << ranks << " ranks";
    }
}
INSTANTIATE_TEST_SUITE_P(Each, Distributions, ::testing::Range(0, static_cast<int>(kKeysKinds)));

TEST(PhaseZero, ReadErrorWhileSamplingEndsTheSort) {
    ClusterShape shape;
    shape.ranks = 3;
    shape.records = 3000;
    shape.samples = 20;
    shape.io_faulty = true;
    shape.io_fault = {IoFault::Operation::read, 2, 5, "input"};
    const ClusterOutcome outcome = SimulatedCluster(shape).run();
    ASSERT_TRUE(outcome.fault_fired);
    ASSERT_EQ(outcome.errors.size(), 3u);
    EXPECT_FALSE(outcome.published);
    EXPECT_EQ(outcome.codes[0], static_cast<int>(Errc::device)) << outcome.errors[0];
}

SortPlan plan_of(std::uint64_t input_bytes, std::uint64_t partition_bytes, std::uint32_t record_bytes = 100) {
    SortPlan plan;
    plan.format.record_bytes = record_bytes;
    plan.input_bytes = input_bytes;
    plan.ownership.first_partition = {0, static_cast<std::uint32_t>(input_bytes / partition_bytes)};
    plan.mean_partition_bytes = partition_bytes;
    return plan;
}

TEST(SamplePlan, LargeInputIsSampledUnderAThousandthWithMoreThanTwoHundredRecordsAPartition) {
    const std::uint64_t input = 10'000'000'000;
    const SamplePlan sample = plan_sample(Config{}, plan_of(input, 64'000'000), {input}, {std::uint64_t{1} << 30}, 1);
    const double spans = static_cast<double>(input) / static_cast<double>(sample.stratum_bytes);
    EXPECT_LT(spans * 4096, 0.001 * static_cast<double>(input));
    EXPECT_GT(spans * 40 / (10'000'000'000 / 64'000'000), 400) << "40 records a block";
}

TEST(SamplePlan, PartitionsGetTwelveToSixtyFourStrataEachWhileThatReadsLittle) {
    const auto strata_of = [](std::uint64_t input, std::uint64_t partition_bytes) {
        const SamplePlan sample =
            plan_sample(Config{}, plan_of(input, partition_bytes), {input}, {std::uint64_t{1} << 30}, 1);
        return static_cast<double>(input) / static_cast<double>(sample.stratum_bytes);
    };
    EXPECT_NEAR(strata_of(2'000'000'000, 128'000'000), 64 * 15, 20);
    EXPECT_NEAR(strata_of(1'000'000'000, 64'000'000), 0.0035 * 1e9 / 4096, 20) << "57 each";
    EXPECT_NEAR(strata_of(1'000'000'000, 8'000'000), 12 * 125, 20);
    EXPECT_NEAR(strata_of(10'000'000'000, 32'000'000), 9'800'000 / 4096, 20) << "312 partitions would need more";
    EXPECT_LT(strata_of(20'000'000'000, 32'000'000) * 4096, 0.001 * 20e9);
}

TEST(SamplePlan, ManyRanksWithFewPartitionsGetEnoughForFivePercent) {
    const std::uint64_t input = 1'000'000'000;
    const std::vector<std::uint64_t> each(8, input / 8), memory(8, std::uint64_t{64} << 20);
    const SamplePlan sample = plan_sample(Config{}, plan_of(input, 60'000'000), each, memory, 8);
    EXPECT_GT(sample.samples_wanted, 8'000u * 5);
    EXPECT_LT(static_cast<double>(input) / static_cast<double>(sample.stratum_bytes) * 4096, 0.01 * 1e9);
}

TEST(SamplePlan, NeverTakesMoreMemoryThanTheRankHas) {
    const std::uint64_t input = std::uint64_t{1} << 44, memory = std::uint64_t{16} << 20;
    const SamplePlan sample =
        plan_sample(Config{}, plan_of(input, 64 << 20), {input / 2, input / 2}, {memory, memory}, 2);
    EXPECT_LT(static_cast<double>(input) / 2 / static_cast<double>(sample.stratum_bytes) * 40 * 200,
              static_cast<double>(memory) / 2);
    EXPECT_LE(sample.gather_bytes, memory / 2);
}

TEST(PartitionShares, FollowTheRanksWeights) {
    const std::vector<RankResources> ranks = [] {
        std::vector<RankResources> list(3);
        list[1].weight = 0.5;
        return list;
    }();
    const auto shares = partition_shares({{0, 40, 61, 101}}, ranks);
    ASSERT_EQ(shares.size(), 101u);
    EXPECT_DOUBLE_EQ(shares[0] * 40, 0.4);
    EXPECT_DOUBLE_EQ(shares[40] * 21, 0.2);
    EXPECT_DOUBLE_EQ(shares[100] * 40, 0.4);
    const auto equal = partition_shares({{0, 1, 1, 2}}, ranks);
    EXPECT_EQ(equal, std::vector<double>({0.5, 0.5}));
}

}  // namespace
}  // namespace sluice::testing
