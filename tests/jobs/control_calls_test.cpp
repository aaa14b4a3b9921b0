// What the ranks of a sort tell each other beside its records: how often, and how much.
#include <gtest/gtest.h>

#include "jobs/simulated_cluster.hpp"

namespace sluice::testing {
namespace {

ClusterOutcome sort_on(std::uint32_t ranks) {
    ClusterShape shape;
    shape.ranks = ranks;
    shape.partitions = ranks;
    shape.records = 20ull * ranks;
    shape.passes = 2;
    shape.transport = TransportKind::p2p;
    return SimulatedCluster(shape).run();
}

/// Of the ranks but 0, which has the splitters and the manifest to say.
CallCounts most_of(const ClusterOutcome& outcome) {
    CallCounts most;
    for (std::size_t rank = 1; rank < outcome.calls.size(); ++rank) {
        const CallCounts& one = outcome.calls[rank];
        most.calls = std::max(most.calls, one.calls);
        most.said_bytes = std::max(most.said_bytes, one.said_bytes);
        most.pair_bytes = std::max(most.pair_bytes, one.pair_bytes);
    }
    return most;
}

TEST(ControlCalls, WhatARankSaysDoesNotGrowWithTheRanks) {
    CallCounts of_sixteen;
    for (const std::uint32_t ranks : {16u, 64u, 128u}) {
        const ClusterOutcome outcome = sort_on(ranks);
        ASSERT_TRUE(outcome.good()) << (outcome.errors.empty() ? "other records" : outcome.errors.front());
        ASSERT_EQ(outcome.passes, 2u);
        const CallCounts most = most_of(outcome);
        std::printf("%u ranks: %llu calls, %llu bytes of a rank to all, %llu to others one by one\n", ranks,
                    static_cast<unsigned long long>(most.calls), static_cast<unsigned long long>(most.said_bytes),
                    static_cast<unsigned long long>(most.pair_bytes));
        if (ranks == 16) of_sixteen = most;
        EXPECT_LE(most.calls, of_sixteen.calls + 2) << "MANIFEST and splitters may not fit one call";
        EXPECT_LE(most.calls, 18u);
        // Samples and numbers of ranks vary a little.
        EXPECT_LT(most.said_bytes, of_sixteen.said_bytes * 5 / 4);
        // The pairs' own account: a number for each peer.
        EXPECT_LT(most.pair_bytes, of_sixteen.pair_bytes + 64 * ranks);
    }
}

}  // namespace
}  // namespace sluice::testing
