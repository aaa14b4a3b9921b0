// Ranks with another program or other words are refused, with a table of who differs.
#include "plan/agreement.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runtime/error.hpp"
#include "simulated/in_process.hpp"
#include "simulated/seeded_executor.hpp"

namespace sluice {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

using Facts = std::vector<std::pair<std::string, std::string>>;

void require_agreement(Communicator& communicator, const std::string& host, const Facts& facts) {
    std::vector<std::string> names;
    for (const auto& [name, value] : facts) names.push_back(name);
    const auto claims = exchange_claims(communicator, {host, {facts.begin(), facts.end()}});
    require_equal(claims, names, communicator.rank());
}

/// What each rank throws when rank r has facts[r]; "" where it throws nothing.
std::vector<std::string> outcome(const std::vector<Facts>& facts) {
    SeededExecutor executor(3);
    const auto ranks = static_cast<std::uint32_t>(facts.size());
    InProcessCluster cluster(executor, ranks);
    std::vector<std::string> said(ranks);
    std::vector<std::unique_ptr<Task>> tasks;
    for (std::uint32_t rank = 0; rank < ranks; ++rank) {
        tasks.push_back(executor.spawn("rank", [&, rank] {
            try {
                require_agreement(cluster.communicator(rank), "n0" + std::to_string(rank), facts[rank]);
            } catch (const Error& error) {
                EXPECT_EQ(error.code(), Errc::config);
                said[rank] = error.what();
            }
        }));
    }
    for (auto& task : tasks) task->join();
    return said;
}

TEST(Agreement, EqualRanksPass) {
    const Facts same = {{"program", "a"}, {"words", "sort x.toml"}};
    EXPECT_THAT(outcome({same, same, same}), ::testing::Each(""));
}

TEST(Agreement, DifferingRanksAreShownInATableByRankZeroAndOthersStaySilent) {
    const auto said = outcome({{{"program", "a"}, {"words", "sort"}},
                               {{"program", "b"}, {"words", "sort"}},
                               {{"program", "a"}, {"words", "sort"}},
                               {{"program", "b"}, {"words", "sort"}}});
    EXPECT_THAT(said[0], AllOf(HasSubstr("program | rank 0,2 | host n00,n02 | a"),
                               HasSubstr("program | rank 1,3 | host n01,n03 | b"), Not(HasSubstr("words |"))));
    for (const std::size_t rank : {1u, 2u, 3u}) EXPECT_THAT(said[rank], HasSubstr("aborted because of rank 0"));
}

TEST(Agreement, FactThatARankDoesNotKnowIsADifference) {
    const auto said = outcome({{{"program", "a"}, {"layout", "64"}}, {{"program", "a"}}});
    EXPECT_THAT(said[0], AllOf(HasSubstr("layout | rank 1 | host n01 | (says nothing)"), Not(HasSubstr("program |"))));
}

}  // namespace
}  // namespace sluice
