// Loss of power at every change of a disk: what was not synced may be gone, names as well as bytes. What was published
// stays, nothing is half published, and one command leads out of whatever is found.
#include <gtest/gtest.h>

#include <cstdio>

#include "jobs/crash_world.hpp"

namespace sluice::testing {
namespace {

/// Sanitizers, which run a share of the seeds only, look at each third point.
constexpr std::uint64_t kEvery = SLUICE_SEEDS_PERCENT < 100 ? 3 : 1;
constexpr std::uint64_t kSeeds = 3;

class PowerLoss : public ::testing::TestWithParam<std::uint32_t> {
protected:
    using Verb = void (*)(JobContext&);
    struct Point {
        World& world;
        World::Ended ended;
        std::string where;
    };
    std::unique_ptr<World> world(bool with_input, bool with_output) {
        auto made = std::make_unique<World>(GetParam(), GetParam() > 1);
        if (with_input) {
            EXPECT_EQ(made->run(generate, Overwrite::no).code, 0);
        }
        if (with_output) {
            EXPECT_EQ(made->run(sort, Overwrite::no).code, 0);
        }
        return made;
    }
    /// Calls `look` for each change of `verb` and each seed, after the loss; and for the end of the verb.
    void sweep(const World& begin, Verb verb, Overwrite overwrite, const std::function<void(const Point&)>& look) {
        std::uint64_t points = 0;
        for (std::uint64_t at = 0, over = 0; over == 0; at += kEvery) {
            for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
                World here(begin);
                here.begin_losing_power();
                Point point{here, here.run(verb, overwrite, at), ""};
                if (!point.ended.crashed) over = 1;
                here.lose_power(at * kSeeds + seed);
                point.where = "change " + std::to_string(at) + " seed " + std::to_string(seed) + ", after " +
                              point.ended.last_change + ": ";
                look(point);
                ++points;
                if (::testing::Test::HasFatalFailure()) return;
            }
        }
        EXPECT_GT(points * kEvery, 20u);
        std::printf("%llu losses of power\n", static_cast<unsigned long long>(points));
    }
    /// By this command there is a valid set again, and nothing else.
    static void expect_way_out(const Point& point) {
        const auto out = point.world.run(sort, Overwrite::yes);
        ASSERT_EQ(out.code, 0) << point.where << out.text;
        const auto valid = point.world.run(validate, Overwrite::no);
        ASSERT_EQ(valid.code, 0) << point.where << valid.text;
        ASSERT_EQ(point.world.run(clean_dead_runs, Overwrite::no).code, 0) << point.where;
        ASSERT_EQ(point.world.run_directories(), std::vector<std::string>{}) << point.where;
    }
};
INSTANTIATE_TEST_SUITE_P(Hosts, PowerLoss, ::testing::Values(1u, 2u));

TEST_P(PowerLoss, LeavesASortedSetOrNoneAndTheInputAsItWas) {
    const auto begin = world(true, false);
    const auto input = begin->below("/in/input/data");
    sweep(*begin, sort, Overwrite::no, [&](const Point& point) {
        ASSERT_EQ(point.world.below("/in/input/data"), input) << point.where;
        const auto found = point.world.run(validate, Overwrite::no);
        if (point.ended.crashed) {
            ASSERT_TRUE(found.code == 0 || found.code == 4 || found.code == 10) << point.where << found.text;
        } else {
            ASSERT_EQ(found.code, 0) << point.where << "VALID was said, and then: " << found.text;
        }
        expect_way_out(point);
    });
}

TEST_P(PowerLoss, LeavesTheOldSetOrTheNewOne) {
    const auto begin = world(true, true);
    sweep(*begin, sort, Overwrite::yes, [&](const Point& point) {
        const auto cleaned = point.world.run(clean_dead_runs, Overwrite::no);
        ASSERT_EQ(cleaned.code, 0) << point.where << cleaned.text;
        const auto found = point.world.run(validate, Overwrite::no);
        ASSERT_EQ(found.code, 0) << point.where << found.text;
        expect_way_out(point);
    });
}

TEST_P(PowerLoss, LeavesTheInputWhereTheOldSetGoesFirst) {
    const auto begin = world(true, true);
    const auto input = begin->below("/in/input/data");
    sweep(*begin, sort, Overwrite::first, [&](const Point& point) {
        ASSERT_EQ(point.world.below("/in/input/data"), input) << point.where;
        ASSERT_EQ(point.world.run(clean_dead_runs, Overwrite::no).code, 0) << point.where;
        expect_way_out(point);
    });
}

TEST_P(PowerLoss, LeavesGeneratedDataOrNone) {
    const auto begin = world(false, false);
    sweep(*begin, generate, Overwrite::no, [&](const Point& point) {
        ASSERT_EQ(point.world.run(clean_dead_runs, Overwrite::no).code, 0) << point.where;
        if (!point.ended.crashed) {
            ASSERT_EQ(point.world.run(sort, Overwrite::no).code, 0) << point.where << "gen had ended with 0";
        }
        const auto again = point.world.run(generate, Overwrite::yes);
        ASSERT_EQ(again.code, 0) << point.where << again.text;
        expect_way_out(point);
    });
}

TEST_P(PowerLoss, LeavesNothingThatCleaningAgainDoesNotRemove) {
    const auto begin = world(true, true);
    sweep(*begin, clean, Overwrite::no, [&](const Point& point) {
        ASSERT_EQ(point.world.run(clean_dead_runs, Overwrite::no).code, 0) << point.where;
        expect_way_out(point);
    });
}

}  // namespace
}  // namespace sluice::testing
