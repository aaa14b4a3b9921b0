#include "net/news_tree.hpp"

#include <gtest/gtest.h>

#include <bit>

namespace sluice::testing {
namespace {

/// Follows the tree from its root; how often each rank is told, and after how many steps the last one is.
struct Spread {
    explicit Spread(const NewsTree& tree) : told(tree.ranks) {
        std::vector<std::uint32_t> now{tree.origin};
        told[tree.origin] = 1;
        for (; !now.empty(); ++steps) {
            std::vector<std::uint32_t> next;
            for (const std::uint32_t rank : now) {
                const auto children = tree.children_of(rank);
                most_sends = std::max(most_sends, children.size());
                for (const std::uint32_t child : children) {
                    ++told.at(child);
                    next.push_back(child);
                }
            }
            now = std::move(next);
        }
        --steps;  // the last ones told nobody
    }
    std::vector<unsigned> told;
    std::size_t most_sends = 0;
    unsigned steps = 0;
};

void expect_each_once(const NewsTree& tree) {
    const Spread spread(tree);
    EXPECT_EQ(spread.told, std::vector<unsigned>(tree.ranks, 1))
        << tree.ranks << " ranks from " << tree.origin << ", " << tree.fan_out << " each";
    EXPECT_LE(spread.most_sends, tree.fan_out);
    EXPECT_LE(spread.steps, static_cast<unsigned>(std::bit_width(tree.ranks - 1)) + 1)
        << tree.ranks << " ranks, " << tree.fan_out << " each";
}

TEST(NewsTree, ReachesEachRankOnceFromEveryRank) {
    for (std::uint32_t ranks = 1; ranks <= 200; ++ranks) {
        for (std::uint32_t origin = 0; origin < ranks; ++origin) expect_each_once({.origin = origin, .ranks = ranks});
        for (const std::uint32_t fan_out : {2u, 3u, 300u})
            expect_each_once({.origin = ranks / 2, .ranks = ranks, .fan_out = fan_out});
    }
}

TEST(NewsTree, FourStepsAndSixteenSendsReachTenThousandRanks) {
    EXPECT_EQ(Spread({.ranks = 52}).steps, 2u);
    EXPECT_EQ(Spread({.ranks = 1'000}).steps, 3u);
    for (const std::uint32_t origin : {0u, 1u, 5'000u, 9'999u}) {
        expect_each_once({.origin = origin, .ranks = 10'000});
        EXPECT_EQ(Spread({.origin = origin, .ranks = 10'000}).steps, 4u);
    }
}

TEST(NewsTree, AFewRanksAreToldByTheOriginItself) {
    EXPECT_EQ((NewsTree{.origin = 2, .ranks = 4}).children_of(2), (std::vector<std::uint32_t>{3, 0, 1}));
    EXPECT_EQ((NewsTree{.origin = 2, .ranks = 4}).children_of(3), std::vector<std::uint32_t>());
}

}  // namespace
}  // namespace sluice::testing
