// ARCHITECTURE.md, Threads: the whole sort, many ranks in one process, one seed at a time.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>

#include "jobs/simulated_cluster.hpp"
#include "simulated/fault_backend.hpp"

namespace sluice::testing {
namespace {

/// A shape drawn from its seed: mostly few ranks, up to 17; any number of records up to 20,000.
ClusterShape shape_of(std::uint64_t seed) {
    Rng rng(seed * 7919 + 1);
    ClusterShape shape;
    shape.seed = seed + 1;
    constexpr std::uint32_t kRanks[] = {1, 2, 2, 3, 3, 4, 4, 5, 6, 7};
    shape.ranks = rng.below(40) == 0 ? static_cast<std::uint32_t>(8 + rng.below(10)) : kRanks[rng.below(10)];
    shape.ranks_per_host = static_cast<std::uint32_t>(1 + rng.below(2));
    shape.partitions = static_cast<std::uint32_t>(1 + rng.below(20));
    shape.distributors = static_cast<std::uint32_t>(1 + rng.below(2));
    shape.logical_disk_distributors = static_cast<std::uint32_t>(1 + rng.below(2));
    shape.records = rng.below(10) == 0 ? rng.below(40) : rng.below(50) == 0 ? rng.below(20'000) : rng.below(3'000);
    shape.record_bytes = rng.below(2) == 0 ? 128 : 64;
    if (rng.below(3) == 0) {  // padded chunks, records across reads and write buffers, keys anywhere
        constexpr std::uint32_t kOdd[] = {257, 333, 1001, 4097, 4999};
        shape.record_bytes = kOdd[rng.below(5)];
        shape.records = shape.records * 128 / shape.record_bytes;
        shape.key_bytes = static_cast<std::uint32_t>(1 + rng.below(20));
        shape.key_offset = static_cast<std::uint32_t>(rng.below(shape.record_bytes - shape.key_bytes + 1));
    }
    shape.depth = static_cast<unsigned>(1 + rng.below(3));
    shape.minimal_pools = rng.below(4) != 0;
    shape.keys = static_cast<Keys>(rng.below(kKeysKinds));
    shape.promised_uniform = rng.below(4) == 0;  // often a lie
    shape.samples = rng.below(3) == 0 ? 0 : static_cast<std::uint32_t>(1 + rng.below(60));
    shape.transport = std::array{TransportKind::p2p, TransportKind::alltoallv, TransportKind::rma}[rng.below(3)];
    shape.shared_windows = shape.transport == TransportKind::rma && seed % 2 == 0;
    shape.passes = rng.below(4) == 0 ? 1 : 2;
    if (shape.passes == 1) {  // holds a share to its plan, which lies and few samples would exceed
        shape.promised_uniform = true;
        if (shape.keys != Keys::sorted) shape.keys = Keys::uniform;
    }
    shape.shared_sends = shape.ranks > 1 && rng.below(3) == 0;
    if (shape.shared_sends) shape.distributors += static_cast<std::uint32_t>(rng.below(3));
    return shape;
}

std::string describe(const ClusterShape& s) {
    return "seed=" + std::to_string(s.seed) + " ranks=" + std::to_string(s.ranks) +
           " per_host=" + std::to_string(s.ranks_per_host) + " partitions=" + std::to_string(s.partitions) +
           " workers=" + std::to_string(s.distributors) + "+" + std::to_string(s.logical_disk_distributors) +
           " transport=" + word_of(s.transport) + (s.shared_windows ? "/shared" : "") +
           " records=" + std::to_string(s.records) + " of " + std::to_string(s.record_bytes) +
           " key=" + std::to_string(s.key_offset) + "+" + std::to_string(s.key_bytes) +
           " minimal=" + std::to_string(s.minimal_pools) + " shared=" + std::to_string(s.shared_sends) +
           " keys=" + std::to_string(static_cast<int>(s.keys)) + " promised=" + std::to_string(s.promised_uniform) +
           " samples=" + std::to_string(s.samples) + " passes=" + std::to_string(s.passes);
}

class Seeds : public ::testing::TestWithParam<int> {};

TEST_P(Seeds, NoScheduleDeadlocksOrLosesARecord) {
    constexpr int kSeedsEach = 200, kSeedsRun = std::max(1, kSeedsEach * SLUICE_SEEDS_PERCENT / 100);
    std::uint64_t longest = 0;
    for (int i = 0; i < kSeedsRun; ++i) {
        const ClusterShape shape = shape_of(static_cast<std::uint64_t>(GetParam() * kSeedsEach + i));
        const ClusterOutcome outcome = SimulatedCluster(shape).run();
        ASSERT_TRUE(outcome.errors.empty()) << describe(shape) << ": " << outcome.errors.front();
        ASSERT_TRUE(outcome.output == outcome.expected) << describe(shape);
        ClusterShape alone = shape;
        alone.ranks = alone.ranks_per_host = 1;
        ASSERT_TRUE(SimulatedCluster(alone).run().output == outcome.output) << "alone: " << describe(shape);
        longest = std::max(longest, outcome.switches);
    }
    RecordProperty("longest_schedule_switches", std::to_string(longest));
}
INSTANTIATE_TEST_SUITE_P(TwoThousand, Seeds, ::testing::Range(0, 10));

TEST(Cluster, SameInputGivesTheSameBytesForAnyRankCount) {
    std::vector<std::byte> first;
    for (std::uint32_t ranks : {1u, 2u, 3u, 5u, 8u, 17u}) {
        ClusterShape shape;
        shape.seed = ranks;
        shape.input_seed = 99;
        shape.ranks = ranks;
        shape.partitions = 3 + ranks;
        shape.records = 2500;
        const ClusterOutcome outcome = SimulatedCluster(shape).run();
        ASSERT_TRUE(outcome.errors.empty()) << outcome.errors.front();
        if (first.empty()) first = outcome.output;
        EXPECT_TRUE(outcome.output == first) << ranks << " ranks";
        shape.passes = 1;
        shape.promised_uniform = true;
        const ClusterOutcome in_memory = SimulatedCluster(shape).run();
        ASSERT_TRUE(in_memory.errors.empty()) << in_memory.errors.front();
        EXPECT_TRUE(in_memory.output == first) << ranks << " ranks, one pass";
    }
}

/// At least one of the seeds must end in a deadlock, else the simulation could not find such a bug.
int deadlocks(PhaseOneMutant mutant) {
    int found = 0;
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
        ClusterShape shape;
        shape.seed = seed;
        shape.ranks = 3;
        shape.records = 3000;
        shape.partitions = 9;
        shape.mutant = mutant;
        const ClusterOutcome outcome = SimulatedCluster(shape).run();
        for (const std::string& error : outcome.errors) {
            if (error.find("deadlock") != std::string::npos) {
                ++found;
                break;
            }
        }
        EXPECT_TRUE(!outcome.errors.empty() || outcome.output == outcome.expected);
    }
    return found;
}

TEST(Cluster, HostsGetTheirWeightWhereverTheirRanksStand) {
    for (const bool cyclic : {false, true}) {
        ClusterShape shape = shape_of_keys(Keys::uniform, 6);
        shape.ranks_per_host = 3;
        shape.cyclic_hosts = cyclic;
        shape.first_host_weight = 2;
        const ClusterOutcome outcome = SimulatedCluster(shape).run();
        ASSERT_TRUE(outcome.good()) << (outcome.errors.empty() ? "wrong bytes" : outcome.errors.front());
        double of_first = 0, all = 0;
        for (const Balance::Entry& rank : outcome.balance.ranks) {
            all += static_cast<double>(rank.bytes);
            if (rank.name.find(" on host0") != std::string::npos) of_first += static_cast<double>(rank.bytes);
        }
        EXPECT_NEAR(of_first / all, 2.0 / 3, 0.04) << (cyclic ? "cyclic" : "neighbours");
    }
}

TEST(ClusterMutants, OneSharedPoolDeadlocks) { EXPECT_GT(deadlocks({.one_shared_pool = true}), 0); }
TEST(ClusterMutants, ChainLengthThatIgnoresWaitingDistributorsDeadlocks) {
    EXPECT_GT(deadlocks({.ignore_waiting_distributors = true}), 0);
}
TEST(ClusterMutants, TheRealPipelineDoesNot) { EXPECT_EQ(deadlocks({}), 0); }

TEST(ClusterOnePass, KeysThatBreakTheirPromiseAreSampledAndSortedInOnePassAfterAll) {
    for (std::uint64_t seed = 1; seed <= 12; ++seed) {
        ClusterShape shape;
        shape.seed = seed;
        shape.ranks = static_cast<std::uint32_t>(2 + seed % 3);
        shape.records = 6000;
        shape.passes = 1;
        shape.transport = seed % 3 == 0   ? TransportKind::rma
                          : seed % 3 == 1 ? TransportKind::p2p
                                          : TransportKind::alltoallv;
        shape.shared_windows = seed % 6 == 0;
        shape.narrow_keys = shape.promised_uniform = true;
        shape.minimal_pools = false;
        const ClusterOutcome outcome = SimulatedCluster(shape).run();
        ASSERT_TRUE(outcome.good()) << "seed " << seed << ": " << (outcome.errors.empty() ? "" : outcome.errors[0]);
        EXPECT_EQ(outcome.passes, 1u);
        EXPECT_EQ(outcome.exceeded_attempts, 1u);
        EXPECT_EQ(outcome.exceeded_read_bytes, shape.records * shape.record_bytes) << "read once in vain";
    }
}

TEST(ClusterOnePass, ShareThatSamplesMissedTakesTwoPasses) {
    for (std::uint64_t seed = 1; seed <= 12; ++seed) {
        ClusterShape shape;
        shape.seed = seed;
        shape.ranks = static_cast<std::uint32_t>(1 + seed % 4);
        shape.records = 6000;
        shape.passes = 1;
        shape.intermediate_disk = true;
        shape.minimal_pools = false;
        shape.chunks_short = 6000 / 32 / 2 / shape.ranks;  // half of the share's
        const ClusterOutcome outcome = SimulatedCluster(shape).run();
        ASSERT_TRUE(outcome.good()) << "seed " << seed << ": " << (outcome.errors.empty() ? "" : outcome.errors[0]);
        EXPECT_EQ(outcome.passes, 2u);
        EXPECT_EQ(outcome.exceeded_attempts, 1u);
        EXPECT_GE(outcome.exceeded_read_bytes, shape.records * shape.record_bytes);
    }
}

TEST(ClusterOnePass, ShareThatSamplesMissedWithoutAnIntermediateDiskEndsWithSpace) {
    ClusterShape shape;
    shape.ranks = 3;
    shape.records = 6000;
    shape.passes = 1;
    shape.minimal_pools = false;
    shape.chunks_short = 30;
    const ClusterOutcome outcome = SimulatedCluster(shape).run();
    ASSERT_EQ(outcome.errors.size(), 3u);
    EXPECT_FALSE(outcome.published);
    for (std::size_t i = 0; i < 3; ++i) EXPECT_EQ(outcome.codes[i], static_cast<int>(Errc::space)) << outcome.errors[i];
    EXPECT_NE(outcome.errors.front().find("no disk with role = \"intermediate\""), std::string::npos)
        << outcome.errors.front();
}

TEST(ClusterOnePass, FewerChunksThanTheShareFillsAreFoundOut) {
    // 2,048 records fill 64 chunks of 32; the minimum is one more, which the last record may or may not open.
    ClusterShape shape;
    shape.records = 2048;
    shape.passes = 1;
    shape.promised_uniform = true;
    shape.partitions = 1;
    EXPECT_TRUE(SimulatedCluster(shape).run().good());
    shape.chunks_short = 2;
    const ClusterOutcome outcome = SimulatedCluster(shape).run();
    ASSERT_FALSE(outcome.errors.empty());
    EXPECT_EQ(outcome.codes.front(), static_cast<int>(Errc::space)) << outcome.errors.front();
}

class WireFaults : public ::testing::TestWithParam<std::pair<WireFault::Kind, std::uint64_t>> {};

TEST_P(WireFaults, EndTheSortWithIntegrityAndPublishNothing) {
    for (const unsigned passes : {2u, 1u}) {
        ClusterShape shape;
        shape.ranks = 3;
        shape.records = 4000;
        shape.wire_fault = {GetParam().first, GetParam().second};
        shape.passes = passes;
        const ClusterOutcome outcome = SimulatedCluster(shape).run();
        ASSERT_TRUE(outcome.fault_fired);
        ASSERT_FALSE(outcome.errors.empty());
        EXPECT_FALSE(outcome.published);
        // A lost message shows by the next one's number; where none follows, all wait, which in a real run the watchdog
        // ends.
        const bool nothing_followed = shape.wire_fault.kind == WireFault::Kind::drop &&
                                      outcome.errors.front().find("deadlock") != std::string::npos;
        EXPECT_TRUE(nothing_followed || outcome.codes.front() == static_cast<int>(Errc::integrity))
            << outcome.errors.front();
    }
}
INSTANTIATE_TEST_SUITE_P(Each, WireFaults,
                         ::testing::Values(std::pair{WireFault::Kind::duplicate, 4u},
                                           std::pair{WireFault::Kind::corrupt_header, 5u},
                                           std::pair{WireFault::Kind::drop, 3u}));

class DiskFaults : public ::testing::TestWithParam<std::tuple<IoFault::Operation, std::uint64_t, int>> {};

TEST_P(DiskFaults, EndTheSortWithTheRightCodeAndPublishNothing) {
    const auto [operation, nth, error] = GetParam();
    for (const unsigned passes : {2u, 1u}) {
        ClusterShape shape;
        shape.ranks = 2;
        shape.records = passes == 1 ? 8000 : 3000;  // one pass makes fewer requests, and the fault must come
        shape.passes = passes;
        shape.io_faulty = true;
        shape.io_fault = {operation, nth, error, ""};
        const ClusterOutcome outcome = SimulatedCluster(shape).run();
        ASSERT_TRUE(outcome.fault_fired);
        ASSERT_EQ(outcome.errors.size(), 2u) << "the other rank ends as well";
        EXPECT_FALSE(outcome.published);
        const int expected = error == ENOSPC ? static_cast<int>(Errc::space) : static_cast<int>(Errc::device);
        EXPECT_EQ(outcome.codes[0], expected) << outcome.errors[0];
        EXPECT_EQ(outcome.codes[1], expected) << outcome.errors[1];
    }
}
INSTANTIATE_TEST_SUITE_P(Nth, DiskFaults,
                         ::testing::Combine(::testing::Values(IoFault::Operation::read, IoFault::Operation::write),
                                            ::testing::Values(0, 3, 20, 50), ::testing::Values(EIO, ENOSPC)));
INSTANTIATE_TEST_SUITE_P(Sync, DiskFaults, ::testing::Values(std::tuple{IoFault::Operation::sync, 1u, EIO}));

}  // namespace
}  // namespace sluice::testing
