// Partitions larger than their memory in the simulated cluster: split by one more pass, never a wrong order, never more
// memory.
#include <gtest/gtest.h>

#include "jobs/simulated_cluster.hpp"
#include "runtime/units.hpp"

namespace sluice::testing {
namespace {

/// The promise of uniform keys is a lie: most records fall into one partition, larger than the arena.
ClusterShape broken_promise(Keys keys, std::uint32_t ranks, std::uint64_t seed = 3) {
    ClusterShape shape = shape_of_keys(keys, ranks);
    shape.seed = seed;
    shape.partitions = 24;
    shape.minimal_pools = true;
    shape.promised_uniform = true;
    return shape;
}

class BrokenPromise : public ::testing::TestWithParam<std::tuple<Keys, std::uint32_t>> {};

TEST_P(BrokenPromise, IsSplitInOrderWithItsExtraPassCounted) {
    const auto [keys, ranks] = GetParam();
    const ClusterShape shape = broken_promise(keys, ranks);
    const ClusterOutcome outcome = SimulatedCluster(shape).run();
    ASSERT_TRUE(outcome.errors.empty()) << outcome.errors.front();
    EXPECT_TRUE(outcome.output == outcome.expected);
    EXPECT_GE(outcome.split_partitions, 1u);
    const std::uint64_t largest =
        *std::max_element(outcome.balance.partition_bytes.begin(), outcome.balance.partition_bytes.end());
    EXPECT_GT(largest, shape.records * shape.record_bytes / 2);
    EXPECT_GE(outcome.overflow_read_bytes, largest) << "read once more, and sampled";
    EXPECT_GE(outcome.overflow_written_bytes, largest);
    EXPECT_LT(outcome.overflow_written_bytes, 2 * largest) << "one pass";
}
INSTANTIATE_TEST_SUITE_P(Each, BrokenPromise,
                         ::testing::Combine(::testing::Values(Keys::all_equal, Keys::one_hot_key, Keys::hot_range),
                                            ::testing::Values(1u, 2u, 5u)));

TEST(Overflow, AnyScheduleSplitsRightly) {
    for (std::uint64_t seed = 1; seed <= 12; ++seed) {
        ClusterShape shape =
            broken_promise(static_cast<Keys>(1 + seed % 3), static_cast<std::uint32_t>(1 + seed % 4), seed);
        shape.minimal_pools = seed % 2 == 0;
        shape.depth = static_cast<unsigned>(1 + seed % 3);
        const ClusterOutcome outcome = SimulatedCluster(shape).run();
        ASSERT_TRUE(outcome.errors.empty()) << "seed " << seed << ": " << outcome.errors.front();
        ASSERT_TRUE(outcome.output == outcome.expected) << "seed " << seed;
    }
}

TEST(Overflow, PieceThatIsStillTooLargeIsSplitAgain) {
    for (const Keys keys : {Keys::all_equal, Keys::hot_range}) {
        for (const std::uint32_t ranks : {1u, 3u}) {
            ClusterShape shape = broken_promise(keys, ranks);
            shape.most_split_pieces = 2;
            const ClusterOutcome outcome = SimulatedCluster(shape).run();
            ASSERT_TRUE(outcome.errors.empty()) << outcome.errors.front();
            EXPECT_TRUE(outcome.output == outcome.expected);
            EXPECT_GE(outcome.split_passes, outcome.split_partitions + 2) << "both halves once more";
            const std::uint64_t largest =
                *std::max_element(outcome.balance.partition_bytes.begin(), outcome.balance.partition_bytes.end());
            EXPECT_GE(outcome.overflow_written_bytes, 2 * largest) << "every level writes all of it";
        }
    }
}

TEST(Overflow, SampledKeysNeedNone) {
    ClusterShape shape = broken_promise(Keys::hot_range, 2);
    shape.promised_uniform = false;
    const ClusterOutcome outcome = SimulatedCluster(shape).run();
    ASSERT_TRUE(outcome.errors.empty()) << outcome.errors.front();
    EXPECT_EQ(outcome.split_partitions, 0u);
    EXPECT_EQ(outcome.overflow_read_bytes, 0u);
}

TEST(Overflow, HostWhoseDiskCannotHoldItsShareEndsWithCodeNineAndTheAdviceToSample) {
    ClusterShape shape = broken_promise(Keys::all_equal, 2);
    shape.record_bytes = 1024;  // 24 MB: 12 MB for each host
    // Logs and output of its own share fit, not the other host's as well.
    shape.spare_disk_bytes = 2 * (24 * 1024 * 1024 / 2 + 17 * kMiB) + 4 * kMiB;
    const ClusterOutcome outcome = SimulatedCluster(shape).run();
    ASSERT_EQ(outcome.errors.size(), 2u);
    EXPECT_FALSE(outcome.published);
    for (std::size_t i = 0; i < 2; ++i) {
        EXPECT_EQ(outcome.codes[i], 9) << outcome.errors[i];
        EXPECT_NE(outcome.errors[i].find("keys are not uniform: sample"), std::string::npos) << outcome.errors[i];
    }
    shape.promised_uniform = false;
    const ClusterOutcome sampled = SimulatedCluster(shape).run();
    ASSERT_TRUE(sampled.errors.empty()) << sampled.errors.front();
    EXPECT_TRUE(sampled.output == sampled.expected);
}

}  // namespace
}  // namespace sluice::testing
