#include "net/collectives.hpp"

#include <gtest/gtest.h>

#include "net/known_words.hpp"
#include "net/lone_communicator.hpp"
#include "simulated/in_process.hpp"

namespace sluice::testing {
namespace {

class Collectives : public ::testing::TestWithParam<std::uint32_t> {};

TEST_P(Collectives, WordsArriveTypedAndAreAddedUp) {
    ThreadExecutor executor;
    InProcessCluster cluster(executor, GetParam());
    std::vector<std::unique_ptr<Task>> ranks;
    for (std::uint32_t rank = 0; rank < GetParam(); ++rank) {
        ranks.push_back(executor.spawn("rank-" + std::to_string(rank),
                                       [&, rank] { exchange_known_words(cluster.communicator(rank)); }));
    }
    for (auto& rank : ranks) rank->join();
}
INSTANTIATE_TEST_SUITE_P(Ranks, Collectives, ::testing::Values(1, 2, 4, 7));

TEST(LoneCommunicator, IsAJobOfOneRank) {
    LoneCommunicator alone;
    exchange_known_words(alone);
    EXPECT_FALSE(alone.poll_failure());
}

TEST(LoneCommunicator, HearsOfAndTellsTheOthers) {
    ThreadExecutor executor;
    InProcessCluster cluster(executor, 2);
    LoneCommunicator alone(&cluster.communicator(0));
    cluster.communicator(1).announce_failure({1, 5, "a disk"});
    ASSERT_TRUE(alone.poll_failure());
    EXPECT_EQ(alone.poll_failure()->rank, 1u);
    EXPECT_EQ(alone.rank(), 0u);
}

}  // namespace
}  // namespace sluice::testing
