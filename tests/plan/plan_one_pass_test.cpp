#include <gtest/gtest.h>

#include "plan/plan.hpp"
#include "runtime/error.hpp"
#include "runtime/units.hpp"

namespace sluice {
namespace {

Config config_with(Passes passes) {
    Config config;
    config.passes = passes;
    return config;
}

std::vector<RankResources> ranks_of(std::size_t count, std::uint64_t budget_bytes, std::uint64_t input_bytes) {
    RankResources rank;
    rank.host = "here";
    rank.budget_bytes = budget_bytes;
    rank.cores = 2;
    rank.input_bytes = input_bytes / count;
    return std::vector<RankResources>(count, rank);
}

TEST(PlanOnePass, PlanFitsTheBudgetAndHoldsTheShare) {
    for (const std::size_t ranks : {1u, 2u, 4u, 16u}) {
        const auto resources = ranks_of(ranks, 2 * kGiB, ranks * 1'000'000'000);
        const SortPlan plan = plan_sort(config_with(Passes::one), kGensortFormat, resources);
        EXPECT_EQ(plan.passes, 1u);
        for (const RankPlan& rank : plan.ranks) {
            EXPECT_LE(rank.memory_bytes(), 2 * kGiB);
            const std::uint64_t open =
                std::uint64_t{rank.one.distributors + rank.one.logical_disk_distributors} * rank.partitions;
            const std::uint64_t share = ranks == 1 ? 10'000'000 : 10'500'000;  // 1.05, but never more than all
            EXPECT_GE((rank.one.chunks - open) * rank.one.chunk_records, share);
            EXPECT_EQ(rank.one.chunk_bytes / 100, rank.one.chunk_records);
            EXPECT_EQ(rank.one.chunk_records & (rank.one.chunk_records - 1), 0u);
        }
    }
}

TEST(PlanOnePass, SpareMemoryHoldsAQuarterMoreThanTheShareAndTheBudgetIsKept) {
    // 23,433 records of 2,049 bytes on 4 ranks: few samples.
    const RecordFormat format{2'049, 3, 13};
    const auto held = [&](std::uint64_t budget_bytes) {
        const auto resources = ranks_of(4, budget_bytes, std::uint64_t{23'433} / 4 * 4 * 2'049);
        const SortPlan plan = plan_sort(config_with(Passes::one), format, resources);
        double least = 1e9;
        for (const RankPlan& rank : plan.ranks) {
            EXPECT_LE(rank.memory_bytes(), budget_bytes);
            const std::uint64_t open =
                std::uint64_t{rank.one.distributors + rank.one.logical_disk_distributors} * rank.partitions;
            least = std::min(least, static_cast<double>((rank.one.chunks - open) * rank.one.chunk_records) / 5'858);
        }
        return least;
    };
    EXPECT_GE(held(175 * kMiB), 1.25);
    std::uint64_t tight = 8 * kMiB;
    for (;; tight += kMiB) {
        try {
            const double tight_share = held(tight);
            EXPECT_GE(tight_share, 1.05);
            EXPECT_LT(tight_share, 1.25) << "no spare memory at the smallest budget";
            break;
        } catch (const Error&) {
        }
    }
}

TEST(PlanOnePass, ChunkSizesOfAllRecordShapesHaveNoRoomForOneMore) {
    for (const std::uint32_t record : {8u, 24u, 97u, 100u, 1001u, 4096u, 5000u}) {
        const RecordFormat format{record, 0, 8};
        const SortPlan plan =
            plan_sort(config_with(Passes::one), format, ranks_of(2, kGiB, std::uint64_t{record} * 2'000));
        for (const RankPlan& rank : plan.ranks) EXPECT_EQ(rank.one.chunk_bytes / record, rank.one.chunk_records);
    }
}

TEST(PlanOnePass, RanksWithUnequalMemorySendMessagesThatFitEverywhere) {
    auto ranks = ranks_of(2, 2 * kGiB, 1'000'000'000);
    ranks[1].budget_bytes = 620 * kMiB;
    const SortPlan plan = plan_sort(config_with(Passes::one), kGensortFormat, ranks);
    EXPECT_EQ(plan.ranks[0].one.message_bytes, plan.ranks[1].one.message_bytes);
}

TEST(PlanOnePass, TooMuchDataIsRefusedWithTheSmallestBudgetThatWorks) {
    const Config config = config_with(Passes::one);
    try {
        plan_sort(config, kGensortFormat, ranks_of(2, 256 * kMiB, 2'000'000'000));
        FAIL() << "planned";
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), Errc::config);
        const std::string text = error.what();
        const std::size_t at = text.find("needs a budget of ");
        ASSERT_NE(at, std::string::npos) << text;
        const auto smallest = parse_bytes(text.substr(at + 18, text.find(' ', at + 18) - at - 18));
        ASSERT_TRUE(smallest) << text;
        EXPECT_NO_THROW(plan_sort(config, kGensortFormat, ranks_of(2, *smallest, 2'000'000'000)));
        EXPECT_THROW(plan_sort(config, kGensortFormat, ranks_of(2, *smallest - kMiB, 2'000'000'000)), Error);
        EXPECT_NE(text.find("256MiB"), std::string::npos) << text;
        EXPECT_LT(*smallest, 1'200 * kMiB) << "little more than the share";
    }
}

TEST(PlanOnePass, AutoTakesOnePassWhereItFitsAndSaysWhy) {
    const SortPlan one = plan_sort(config_with(Passes::automatic), kGensortFormat, ranks_of(2, kGiB, 1'000'000'000));
    EXPECT_EQ(one.passes, 1u);
    EXPECT_NE(one.passes_reason.find("one pass, since"), std::string::npos) << one.passes_reason;
    const SortPlan two =
        plan_sort(config_with(Passes::automatic), kGensortFormat, ranks_of(2, 256 * kMiB, 2'000'000'000));
    EXPECT_EQ(two.passes, 2u);
    EXPECT_NE(two.passes_reason.find("two passes, since one pass"), std::string::npos) << two.passes_reason;
    EXPECT_EQ(plan_sort(config_with(Passes::two), kGensortFormat, ranks_of(2, kGiB, 1'000'000'000)).passes, 2u);
}

TEST(PlanOnePass, PhaseTwoIsMadeFromTheRealPartitionsAndWhatIsLeft) {
    const auto resources = ranks_of(1, kGiB, 500'000'000);
    const Config config = config_with(Passes::one);
    const auto plenty = plan_phase_two_in_memory(config, kGensortFormat, resources[0], 100'000, 64 * kMiB);
    ASSERT_TRUE(plenty);
    EXPECT_EQ(plenty->sorters, 2u);
    const auto hot = plan_phase_two_in_memory(config, kGensortFormat, resources[0], 3'000'000, 64 * kMiB);
    ASSERT_TRUE(hot) << "one sorter's tags take 48 MB";
    EXPECT_EQ(hot->sorters, 1u);
    EXPECT_LE(hot->memory_bytes(), 64 * kMiB);
    EXPECT_FALSE(plan_phase_two_in_memory(config, kGensortFormat, resources[0], 5'000'000, 64 * kMiB));
}

}  // namespace
}  // namespace sluice
