// Every verb that changes a disk, stopped dead before each of its changes: the input stays, nothing is half published,
// and one command leads out of whatever state was left.
#include <gtest/gtest.h>

#include "jobs/crash_world.hpp"
#include "jobs/output_set.hpp"

namespace sluice::testing {
namespace {

/// Sanitizers, which run a share of the seeds only, look at each third point.
constexpr std::uint64_t kEvery = SLUICE_SEEDS_PERCENT < 100 ? 3 : 1;

struct Case {
    const char* name;
    std::uint32_t ranks;
    bool two_hosts, is_nfs, mixes_scopes = false;
};

class CrashSweep : public ::testing::TestWithParam<Case> {
protected:
    /// Up to where a sweep begins: data, and where it says so a sorted set.
    std::unique_ptr<World> world(bool with_input, bool with_output) {
        auto made = std::make_unique<World>(GetParam().ranks, GetParam().two_hosts);
        if (GetParam().is_nfs) made->be_as_nfs();
        if (GetParam().mixes_scopes) made->mix_scopes();
        if (with_input) {
            EXPECT_EQ(made->run(generate, Overwrite::no).code, 0);
        }
        if (with_output) {
            EXPECT_EQ(made->run(sort, Overwrite::no).code, 0);
        }
        return made;
    }
    /// After every crash of `verb` there is a way out by each of `ways_out`, after which the set is there and valid,
    /// and nothing of a run but data sets is left.
    void sweep(const std::function<void(JobContext&)>& verb, Overwrite overwrite, bool with_input, bool with_output,
               const std::vector<std::pair<std::function<void(JobContext&)>, Overwrite>>& way_out, const char* what) {
        std::uint64_t points = 0;
        const auto begin = world(with_input, with_output);
        for (std::uint64_t at = 0;; at += kEvery) {
            const auto here = std::make_unique<World>(*begin);
            const auto input = here->below("/in/input/data");
            const auto ended = here->run(verb, overwrite, at);
            if (!ended.crashed) {
                EXPECT_EQ(ended.code, 0) << what << ": " << ended.text;
                break;
            }
            ++points;
            const std::string where =
                std::string(what) + " stopped at change " + std::to_string(at) + ", after " + ended.last_change;
            if (with_input && verb.target<void (*)(JobContext&)>() != nullptr &&
                *verb.target<void (*)(JobContext&)>() != generate) {
                ASSERT_EQ(here->below("/in/input/data"), input) << where;
            }
            check_nothing_half_published(*here, where);
            for (const auto& [step, step_overwrite] : way_out) {
                const auto out = here->run(step, step_overwrite);
                ASSERT_EQ(out.code, 0) << where << ": " << out.text;
            }
            const auto valid = here->run(validate, Overwrite::no);
            ASSERT_EQ(valid.code, 0) << where << ": " << valid.text;
            ASSERT_EQ(here->run_directories(), std::vector<std::string>{}) << where;
        }
        EXPECT_GT(points * kEvery, 5u);
        RecordProperty(std::string(what) + "_points", static_cast<int>(points));
        total_points += points;
    }
    /// Either there is no valid set, or there is a whole one.
    static void check_nothing_half_published(World& here, const std::string& where) {
        const auto found = here.run(validate, Overwrite::no);
        if (found.code == 0) return;
        EXPECT_TRUE(found.code == 4 || found.code == 10) << where << ": " << found.code << " " << found.text;
        EXPECT_EQ(found.text.find("choose one of them"), std::string::npos)
            << where << ": what a dead run left is taken for a set: " << found.text;
    }
    std::uint64_t total_points = 0;
};

INSTANTIATE_TEST_SUITE_P(Clusters, CrashSweep,
                         ::testing::Values(Case{"OneRank", 1, false, false}, Case{"TwoRanks", 2, false, false},
                                           Case{"TwoHosts", 2, true, false}, Case{"OneRankOnNfs", 1, false, true},
                                           Case{"TwoHostsOnNfs", 2, true, true},
                                           Case{"TwoRanksMixedScopes", 2, false, false, true}),
                         [](const auto& which) { return which.param.name; });

TEST_P(CrashSweep, SortedAgainByOneCommand) {
    sweep(sort, Overwrite::no, true, false, {{clean_dead_runs, Overwrite::no}, {sort, Overwrite::yes}}, "sort");
    sweep(sort, Overwrite::no, true, false, {{sort, Overwrite::yes}}, "sort, then overwrite");
}
TEST_P(CrashSweep, SortedOverAnOldSetAgain) {
    sweep(sort, Overwrite::yes, true, true, {{clean_dead_runs, Overwrite::no}, {sort, Overwrite::yes}}, "overwrite");
    sweep(sort, Overwrite::first, true, true, {{clean_dead_runs, Overwrite::no}, {sort, Overwrite::first}}, "first");
    sweep(sort, Overwrite::yes, true, true, {{sort, Overwrite::first}}, "overwrite, then first");
}
TEST_P(CrashSweep, GeneratedAgain) {
    sweep(generate, Overwrite::no, false, false,
          {{clean_dead_runs, Overwrite::no}, {generate, Overwrite::yes}, {sort, Overwrite::no}}, "gen");
    sweep(generate, Overwrite::yes, true, false,
          {{clean_dead_runs, Overwrite::no}, {generate, Overwrite::yes}, {sort, Overwrite::no}}, "gen over old");
    sweep(generate, Overwrite::yes, true, false, {{generate, Overwrite::yes}, {sort, Overwrite::no}},
          "gen over old, then overwrite");
}
TEST_P(CrashSweep, CleanedAgain) {
    sweep(clean, Overwrite::no, true, true, {{clean_dead_runs, Overwrite::no}, {sort, Overwrite::yes}}, "clean");
}

TEST_P(CrashSweep, WhatIsRemovedLeavesNoDirectory) {
    const auto here = world(true, true);
    const std::vector<std::pair<std::function<void(JobContext&)>, Overwrite>> verbs = {
        {sort, Overwrite::yes}, {sort, Overwrite::first}, {clean, Overwrite::no}};
    for (const auto& [verb, overwrite] : verbs) {
        const auto ended = here->run(verb, overwrite);
        ASSERT_EQ(ended.code, 0) << ended.text;
        EXPECT_EQ(here->run_directories(), std::vector<std::string>{});
    }
    EXPECT_FALSE(here->is_there("/out1/sorted") || here->is_there("/out2/sorted"));
}

TEST_P(CrashSweep, OldSetIsThereUntilTheNewOneIsDurable) {
    const auto begin = world(true, true);
    for (std::uint64_t at = 0;; at += kEvery) {
        const auto here = std::make_unique<World>(*begin);
        const auto ended = here->run(sort, Overwrite::yes, at);
        if (!ended.crashed) break;
        const auto out = here->run(clean_dead_runs, Overwrite::no);
        ASSERT_EQ(out.code, 0) << out.text;
        // The old set or the new one, whole and under its name.
        const auto valid = here->run(validate, Overwrite::no);
        ASSERT_EQ(valid.code, 0) << "stopped at change " << at << " after " << ended.last_change << ": " << valid.text;
    }
}

/// What a host does alone must not depend on what it cannot see: whether the other one has the MANIFEST.
TEST_P(CrashSweep, OneOfTheHostsAloneTakesNothingFromASetThatIsPublished) {
    if (!GetParam().two_hosts) return;
    const auto claim = [](JobContext& job) {
        OutputSet(job, {DiskRole::output, "sorted", std::string(32, 'e'), "sort", {"part-#"}, {}}).claim();
    };
    std::uint64_t refused = 0, published = 0;
    for (const bool with_output : {false, true}) {
        const auto begin = world(true, with_output);
        for (std::uint64_t at = 0;; ++at) {
            const auto here = std::make_unique<World>(*begin);
            const auto ended = here->run(sort, Overwrite::yes, at);
            if (!ended.crashed) break;
            const std::string where = "stopped at change " + std::to_string(at) + " after " + ended.last_change + ": ";
            const bool was_valid = here->run(validate, Overwrite::no).code == 0;
            const auto alone = here->run_on(1, claim, Overwrite::no);
            ASSERT_TRUE(alone.code == 0 || alone.code == 2 || alone.code == 10) << where << alone.text;
            if (alone.text.find("its MANIFEST is on host host0") != std::string::npos) ++refused;
            const auto cleaned = here->run_on(1, clean_dead_runs, Overwrite::no);
            ASSERT_EQ(cleaned.code, 0) << where << cleaned.text;
            published += was_valid ? 1 : 0;
            ASSERT_TRUE(!was_valid || here->run(validate, Overwrite::no).code == 0) << where;
            ASSERT_EQ(here->run(clean_dead_runs, Overwrite::no).code, 0) << where;
            ASSERT_TRUE(!with_output || here->run(validate, Overwrite::no).code == 0) << where;
            const auto out = here->run(sort, Overwrite::yes);
            ASSERT_EQ(out.code, 0) << where << out.text;
            ASSERT_EQ(here->run_directories(), std::vector<std::string>{}) << where;
        }
    }
    EXPECT_GT(refused, 0u);
    EXPECT_GT(published, 0u);
}

TEST_P(CrashSweep, ANewRunTakesWhatADeadOneLeftUnderTheNameWithoutBeingAsked) {
    std::uint64_t taken = 0;
    const auto begin = world(true, false);
    for (std::uint64_t at = 0;; at += kEvery) {
        const auto here = std::make_unique<World>(*begin);
        const auto ended = here->run(sort, Overwrite::no, at);
        if (!ended.crashed) break;
        const auto again = here->run(sort, Overwrite::no);
        // Code 2 where the dead run had come as far as its MANIFEST: then there is a valid set.
        const std::string where = "stopped at change " + std::to_string(at) + " after " + ended.last_change + ": ";
        ASSERT_TRUE(again.code == 0 || again.code == 2) << where << again.text;
        if (again.said.find("which is dead, had left") != std::string::npos) ++taken;
        const auto valid = here->run(validate, Overwrite::no);
        ASSERT_EQ(valid.code, 0) << where << valid.text << "; " << again.text;
    }
    EXPECT_GT(taken, 0u);
}

}  // namespace
}  // namespace sluice::testing
