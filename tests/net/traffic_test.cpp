#include "net/traffic.hpp"

#include <gtest/gtest.h>

#include <set>

namespace sluice {
namespace {

using Kind = TrafficPattern::Kind;
using Ranks = std::vector<std::uint32_t>;

TEST(Traffic, EachPatternSendsWhereItsNameSays) {
    EXPECT_EQ(destinations_of({Kind::all_to_all}, 1, 4), (Ranks{0, 2, 3}));
    EXPECT_EQ(destinations_of({Kind::one_to_all}, 0, 4), (Ranks{1, 2, 3}));
    EXPECT_EQ(destinations_of({Kind::one_to_all}, 2, 4), Ranks{});
    EXPECT_EQ(destinations_of({Kind::all_to_one}, 3, 4), Ranks{0});
    EXPECT_EQ(destinations_of({Kind::all_to_one}, 0, 4), Ranks{});
    EXPECT_EQ(destinations_of({Kind::stride, 3}, 2, 4), Ranks{1});
    EXPECT_EQ(destinations_of({Kind::stride, 7}, 2, 4), Ranks{1});
    EXPECT_EQ(destinations_of({Kind::stride, 4}, 2, 4), Ranks{}) << "nobody sends to itself";
    EXPECT_EQ(destinations_of({Kind::all_to_all}, 0, 1), Ranks{});
}

TEST(Traffic, PermutationIsOneCycleThroughAllRanks) {
    for (std::uint32_t ranks = 2; ranks <= 17; ++ranks) {
        for (std::uint64_t seed = 0; seed < 20; ++seed) {
            std::set<std::uint32_t> seen;
            std::uint32_t at = 0;
            do {
                const auto to = destinations_of({Kind::permutation, 1, seed}, at, ranks);
                ASSERT_EQ(to.size(), 1u);
                at = to.front();
                ASSERT_TRUE(seen.insert(at).second);
            } while (at != 0);
            EXPECT_EQ(seen.size(), ranks);
        }
    }
}

TEST(Traffic, NamesAreReadBackAndOthersRefused) {
    for (const char* name : {"all-to-all", "one-to-all", "all-to-one", "permutation"}) {
        const auto kind = parse_pattern(name);
        ASSERT_TRUE(kind);
        EXPECT_EQ(TrafficPattern{*kind}.name(), name);
    }
    EXPECT_EQ((TrafficPattern{*parse_pattern("stride"), 3}.name()), "stride 3");
    EXPECT_FALSE(parse_pattern("all-to-al"));
    EXPECT_FALSE(parse_pattern(""));
}

}  // namespace
}  // namespace sluice
