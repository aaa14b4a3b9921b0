// The plan against its budget: it fits, the smallest budget it names is the smallest, and no pool is below the rule
// that keeps schedules from deadlocking.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <sstream>

#include "plan/plan.hpp"
#include "plan/plan_internal.hpp"
#include "plan/problem_texts.hpp"
#include "runtime/error.hpp"
#include "runtime/thread_clock.hpp"
#include "runtime/units.hpp"

namespace sluice {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::vector<RankResources> cluster(std::size_t ranks, std::uint64_t budget_bytes, unsigned cores,
                                   std::uint64_t input_bytes, unsigned disks = 1) {
    RankResources one;
    one.host = "n";
    one.budget_bytes = budget_bytes;
    one.cores = cores;
    one.input_disks = one.intermediate_disks = one.output_disks = disks;
    one.input_bytes = input_bytes / ranks;
    return std::vector<RankResources>(ranks, one);
}

struct Shape {
    std::size_t ranks;
    unsigned cores, disks;
    std::uint64_t input_bytes;
};
const Shape kShapes[] = {
    {1, 1, 1, 100 * kMB}, {1, 2, 1, 2 * kGB},        {2, 1, 1, 2 * kGB},        {4, 1, 2, kGB},
    {3, 4, 3, 50 * kGB},  {16, 32, 8, 16'000 * kGB}, {52, 8, 16, 20'000 * kGB}, {5, 2, 1, 1'000'000}};

TEST(PlanBudget, EveryPlanKeepsWithinItsBudgetAndTheDeadlockRule) {
    for (const Shape& shape : kShapes) {
        for (const std::uint64_t budget : {32 * kMiB, 256 * kMiB, 8 * kGiB, 200 * kGiB}) {
            const auto ranks = cluster(shape.ranks, budget, shape.cores, shape.input_bytes, shape.disks);
            SortPlan plan;
            try {
                plan = plan_sort({}, {}, ranks);
            } catch (const Error& error) {
                EXPECT_EQ(error.code(), Errc::config);
                EXPECT_THAT(error.what(), AllOf(HasSubstr("memory.budget"), HasSubstr("smallest that works")));
                continue;
            }
            for (const RankPlan& rank : plan.ranks) {
                EXPECT_LE(rank.one.memory_bytes(), budget);
                EXPECT_LE(rank.two.memory_bytes(), budget);
                EXPECT_THAT(testing::texts_of(pool_problems({}, rank, shape.ranks)), IsEmpty());
                const MemoryFloors floors = memory_floors(rank, shape.ranks);
                EXPECT_LE(floors.phase_one_bytes, rank.one.memory_bytes());
            }
        }
    }
}

TEST(PlanBudget, EachOutputDiskGetsEquallyManyPartitions) {
    for (const unsigned disks : {1u, 3u, 8u, 16u}) {
        for (const std::uint64_t input_bytes : {kGB, 7 * kGB, 100 * kGB}) {
            for (const Passes passes : {Passes::two, Passes::automatic}) {
                Config config;
                config.passes = passes;
                const SortPlan plan = plan_sort(config, {}, cluster(3, 2 * kGiB, 4, input_bytes, disks));
                for (std::uint32_t rank = 0; rank < 3; ++rank) EXPECT_EQ(plan.ownership.count(rank) % disks, 0u);
            }
        }
    }
}

TEST(PlanBudget, SmallestBudgetWorksAndOneMebibyteLessDoesNot) {
    for (const Shape& shape : kShapes) {
        const auto with = [&](std::uint64_t budget) {
            return cluster(shape.ranks, budget, shape.cores, shape.input_bytes, shape.disks);
        };
        const SortPlan roomy = plan_sort({}, {}, with(500 * kGiB), true);
        const std::uint64_t smallest = roomy.smallest_budget_bytes;
        ASSERT_GE(smallest, kMiB);
        // The same number comes out whatever budget it is asked under.
        EXPECT_EQ(plan_sort({}, {}, with(smallest), true).smallest_budget_bytes, smallest);
        if (smallest > kMiB) {
            EXPECT_THROW(plan_sort({}, {}, with(smallest - kMiB)), Error)
                << shape.ranks << " ranks, " << format_bytes(smallest);
        }
    }
}

TEST(PlanBudget, RefusalNamesABudgetThatWorks) {
    const auto tight = cluster(4, kMiB, 2, 10 * kGB);
    try {
        plan_sort({}, {}, tight);
        FAIL() << "a mebibyte cannot be enough";
    } catch (const Error& error) {
        const std::string text = error.what();
        const std::string marker = "smallest that works is ";
        const std::size_t at = text.find(marker);
        ASSERT_NE(at, std::string::npos) << text;
        const std::string size =
            text.substr(at + marker.size(), text.find(' ', at + marker.size()) - at - marker.size());
        EXPECT_NO_THROW(plan_sort({}, {}, cluster(4, parse_bytes(size).value(), 2, 10 * kGB))) << text;
    }
}

TEST(PlanBudget, FloorsCountTheReceiveBuffersThatTheTransportNeeds) {
    const auto ranks = cluster(5, kGiB, 2, 5 * kGB);
    const auto floor_of = [&](TransportKind transport) {
        Config config;
        config.net.transport = transport;
        const RankPlan rank = plan_sort(config, {}, ranks).ranks[0];
        const std::uint64_t beside = memory_floors(rank, 5).phase_one_bytes - rank.one.readers * rank.one.read_bytes -
                                     (rank.one.distributors + rank.one.logical_disk_distributors) *
                                         std::uint64_t{rank.partitions} * rank.one.chunk_bytes;
        EXPECT_EQ(beside % rank.one.message_bytes, 0u);
        return beside / rank.one.message_bytes - rank.one.distributors * 4;
    };
    EXPECT_EQ(floor_of(TransportKind::p2p), 4u);
    EXPECT_EQ(floor_of(TransportKind::rma), 4u);
    EXPECT_EQ(floor_of(TransportKind::alltoallv), 1u);
}

TEST(PlanBudget, FloorsOfOnePassHoldTheChunksInBothPhasesAndNoPartitions) {
    Config config;
    config.passes = Passes::one;
    const auto ranks = cluster(2, 4 * kGiB, 2, 2 * kGB);
    const RankPlan rank = plan_sort(config, {}, ranks).ranks[0];
    const MemoryFloors floors = memory_floors(rank, 2);
    const std::uint64_t chunks = rank.one.chunk_memory_bytes();
    EXPECT_EQ(floors.phase_two_bytes, chunks + rank.two.scratch_bytes + 2 * rank.two.write_bytes);
    EXPECT_EQ(floors.phase_one_bytes,
              chunks + rank.one.readers * rank.one.read_bytes + (rank.one.distributors + 1) * rank.one.message_bytes);
    EXPECT_LE(std::max(floors.phase_one_bytes, floors.phase_two_bytes), rank.memory_bytes());
    EXPECT_THAT(pools_text(rank), AllOf(HasSubstr("in both phases, chunks"), ::testing::Not(HasSubstr("partitions"))));
}

TEST(PlanPools, ConfiguredPoolBelowTheRuleIsRefusedWithTheNumbers) {
    Config config;
    config.net.send_buffers = 1;
    config.net.receive_buffers = 2;
    const auto ranks = cluster(4, kGiB, 4, kGB);
    const SortPlan plan = plan_sort(config, {}, ranks);
    const auto problems = testing::texts_of(pool_problems(config, plan.ranks[0], 4));
    ASSERT_EQ(plan.ranks[0].one.distributors, 2u);
    EXPECT_THAT(problems, ElementsAre(AllOf(HasSubstr("[2] net.send_buffers = 1"),
                                            HasSubstr("2 node distributor(s) x 3 peers = 6")),
                                      AllOf(HasSubstr("[2] net.receive_buffers = 2"), HasSubstr("= 3 must be there"))));
    config.net.send_buffers = 6;
    config.net.receive_buffers = 3;
    EXPECT_THAT(testing::texts_of(pool_problems(config, plan_sort(config, {}, ranks).ranks[0], 4)), IsEmpty());
}

TEST(PlanPools, PlanBelowTheRuleIsFoundEvenWhenNothingIsConfigured) {
    SortPlan plan = plan_sort({}, {}, cluster(3, kGiB, 2, kGB));
    RankPlan rank = plan.ranks[0];
    const std::size_t least = std::size_t{rank.one.distributors + rank.one.logical_disk_distributors} * rank.partitions;
    rank.one.chunks = least;
    EXPECT_THAT(testing::texts_of(pool_problems({}, rank, 3)), IsEmpty());
    rank.one.chunks = least - 1;
    EXPECT_THAT(testing::texts_of(pool_problems({}, rank, 3)),
                ElementsAre(HasSubstr("chunks = " + std::to_string(least - 1))));
}

TEST(PlanOwnership, WeightsGiveRanksUnequalSharesOfThePartitions) {
    auto ranks = cluster(3, kGiB, 2, 3 * kGB);
    ranks[1].weight = 0.5;
    const SortPlan plan = plan_sort({}, {}, ranks);
    const double all = plan.ownership.partitions();
    EXPECT_NEAR(plan.ownership.count(0) / all, 0.4, 0.02);
    EXPECT_NEAR(plan.ownership.count(1) / all, 0.2, 0.02);
    EXPECT_NEAR(plan.ownership.count(2) / all, 0.4, 0.02);
}

TEST(PlanOwnership, SharesAreRoundedToTheNearestPartition) {
    const auto ranks = cluster(3, kGiB, 2, 3 * kGB);
    const auto firsts = [&](std::uint32_t partitions) {
        return planning::own_by_weight(partitions, ranks).first_partition;
    };
    EXPECT_THAT(firsts(10), ElementsAre(0, 3, 7, 10));
    EXPECT_THAT(firsts(9), ElementsAre(0, 3, 6, 9));
    EXPECT_THAT(firsts(11), ElementsAre(0, 4, 7, 11));
}

/// Hosts of different weights: each host's partitions are right within one, whether its ranks are neighbours or not.
TEST(PlanOwnership, HostsGetTheirWeightWhereverTheirRanksStand) {
    constexpr std::size_t kHosts = 2, kRanksOfHost = 32;
    const double weights[kHosts] = {1.0, 5.5 / 10.5};
    constexpr std::uint32_t kPartitions = 16 * kRanksOfHost;  // 10.5 and 5.5 a rank: each would be rounded alike
    for (const bool cyclic : {false, true}) {
        auto ranks = cluster(kHosts * kRanksOfHost, kGiB, 2, 3 * kGB);
        for (std::size_t rank = 0; rank < ranks.size(); ++rank) {
            const std::size_t host = cyclic ? rank % kHosts : rank / kRanksOfHost;
            ranks[rank].host = "n" + std::to_string(host);
            ranks[rank].weight = weights[host];
        }
        const Ownership ownership = planning::own_by_weight(kPartitions, ranks);
        ASSERT_EQ(ownership.partitions(), kPartitions);
        double of_first_host = 0;
        for (std::uint32_t rank = 0; rank < ranks.size(); ++rank) {
            const double ideal = ranks[rank].host == "n0" ? 10.5 : 5.5;
            EXPECT_NEAR(ownership.count(rank), ideal, 1) << rank;
            of_first_host += ranks[rank].host == "n0" ? ownership.count(rank) : 0;
        }
        EXPECT_NEAR(of_first_host, 10.5 * kRanksOfHost, 1) << (cyclic ? "cyclic" : "neighbours");
    }
}

/// Windows lie beside the arena: planned ones leave as much to what lies in it.
TEST(PlanBudget, PlannedWindowsTakeNoMoreThanHalfOfTheBudget) {
    Config config;
    config.net.transport = TransportKind::rma;
    std::size_t windows = 0;
    for (const std::size_t ranks : {2u, 4u, 16u, 64u}) {
        for (std::uint64_t budget = 16 * kMiB; budget <= kGiB; budget += budget / 8) {
            try {
                const SortPlan plan = plan_sort(config, {}, cluster(ranks, budget, 16, kGB));
                for (const RankPlan& rank : plan.ranks) {
                    EXPECT_LE(rank.one.window_bytes(), budget / 2) << ranks << " ranks, " << budget;
                    windows += rank.one.window_bytes() > 0;
                }
            } catch (const Error& error) {
                EXPECT_EQ(error.code(), Errc::config) << error.what();
            }
        }
    }
    EXPECT_GT(windows, 100u);
}

TEST(PlanText, FloorsSmallestBudgetAndGroupsOfEqualRanksAreShown) {
    auto ranks = cluster(5, kGiB, 2, 5 * kGB);
    ranks[2].cores = 4;
    Config config;
    config.partitions.count = 100;
    const std::string text = describe(plan_sort(config, {}, ranks, true), ranks);
    EXPECT_THAT(text, AllOf(HasSubstr("ranks 0-1,3-4 on n .. n, each"), HasSubstr("rank 2 on n"), HasSubstr("floors"),
                            HasSubstr("three partitions"), HasSubstr("smallest budget that works: ")));
}

TEST(PlanBudget, MessagesBetweenHostsStayBelowWhatTcpSendsAtOnce) {
    auto ranks = cluster(4, kGiB, 1, 4 * kGB);
    const auto message_bytes = [&](const Config& config) {
        return plan_sort(config, kGensortFormat, ranks).ranks[0].one.message_bytes;
    };
    Config config;
    EXPECT_GT(message_bytes(config), 256 * kKiB) << "one host";
    ranks[3].host = "m";
    EXPECT_LT(message_bytes(config), 64 * kKiB);
    EXPECT_GE(message_bytes(config), 32 * kKiB);
    config.net.buffer_size_bytes = 2 * kMiB;
    EXPECT_GT(message_bytes(config), kMiB) << "what is set is kept";
}

TEST(PlanBudget, TransportsThatWaitForAnswersGetMoreBuffersBetweenHostsWhereMemoryAllows) {
    auto ranks = cluster(4, kGiB, 1, 4 * kGB);
    Config config;
    const auto buffers = [&](TransportKind transport) {
        config.net.transport = transport;
        const PhaseOnePlan one = plan_sort(config, kGensortFormat, ranks).ranks[0].one;
        return std::pair(one.send_buffers, one.receive_buffers);
    };
    const auto on_one_host = buffers(TransportKind::alltoallv);
    ranks[3].host = "m";
    EXPECT_EQ(buffers(TransportKind::p2p), on_one_host);
    EXPECT_GE(buffers(TransportKind::alltoallv).first, 28u * 3);
    EXPECT_GE(buffers(TransportKind::alltoallv).second, 28u * 3);
    EXPECT_EQ(buffers(TransportKind::rma).second, 3u * 3) << "four more, and one a worker, as whole slots";
    EXPECT_EQ(buffers(TransportKind::rma).first, on_one_host.first - 4 + 3 * 3);
    const std::uint64_t deep_bytes = 28u * 3 * 60 * kKiB * 2;
    const std::uint64_t smallest = plan_sort(config, kGensortFormat, ranks, true).smallest_budget_bytes;
    EXPECT_GT(smallest, 0u);
    for (RankResources& rank : ranks) rank.budget_bytes = smallest + deep_bytes / 4;
    EXPECT_LT(buffers(TransportKind::alltoallv).second, 28u * 3) << "rather fewer of them than no run";
}

TEST(PlanScale, SixtyFourThousandRanksThatShareTheirHostsDisksArePlannedInTwoSeconds) {
    auto ranks = cluster(64'000, 900 * kGiB, 8, 10'000'000 * kGB, 4);
    for (std::size_t rank = 0; rank < ranks.size(); ++rank) {
        ranks[rank].host = "node" + std::to_string(rank / 4);
        ranks[rank].shares_output_disks = true;
    }
    const std::uint64_t begin_ns = thread_cpu_ns();
    const SortPlan plan = plan_sort({}, kGensortFormat, ranks);
    const std::string text = describe(plan, ranks);
    const double cpu_s = static_cast<double>(thread_cpu_ns() - begin_ns) * 1e-9;
    EXPECT_EQ(plan.ranks.size(), ranks.size());
    EXPECT_LE(std::count(text.begin(), text.end(), '\n'), 40);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    EXPECT_LT(cpu_s, 2.0);
#else
    EXPECT_LT(cpu_s, 60.0);
#endif
}

/// Eight kinds of hosts, ranks placed cyclically, partitions that do not divide evenly.
TEST(PlanScale, TextOfManyRanksFitsAScreen) {
    constexpr std::size_t kRanks = 64'000, kHosts = 16'000, kKinds = 8;
    auto ranks = cluster(kRanks, 100 * kGiB, 8, 1'000'000 * kGB, 4);
    for (std::size_t rank = 0; rank < ranks.size(); ++rank) {
        const std::size_t host = rank % kHosts, kind = host % kKinds;
        ranks[rank].host = "node" + std::to_string(host);
        ranks[rank].budget_bytes += kind * 10 * kGiB + host * 4096;  // what is left differs by some pages
        ranks[rank].cores += static_cast<unsigned>(kind);
        ranks[rank].weight = 1 + 0.1 * static_cast<double>(kind);
    }
    Config config;
    config.partitions.count = 1'000'003;
    const SortPlan plan = plan_sort(config, kGensortFormat, ranks);
    std::set<std::uint32_t> counts;
    for (std::uint32_t rank = 0; rank < kRanks; ++rank) counts.insert(plan.ownership.count(rank));
    ASSERT_GT(counts.size(), kKinds) << "ranks of one kind differ by a partition";
    const std::string text = describe(plan, ranks);
    std::istringstream lines(text);
    std::size_t count = 0, titles = 0;
    for (std::string line; std::getline(lines, line); ++count) {
        EXPECT_LE(line.size(), 160u) << line;
        titles += line.rfind("ranks ", 0) == 0;
    }
    EXPECT_LE(count, 40u) << text;
    EXPECT_EQ(titles, kKinds) << text;
    EXPECT_THAT(text, AllOf(HasSubstr("ranks 0,8,16,24,..,63992 (8000 ranks) on node0 .. node15992, each at most"),
                            HasSubstr("11 to 12 partitions"), ::testing::Not(HasSubstr("more kinds"))))
        << text;
}

TEST(PlanText, MoreKindsOfRanksThanAScreenHasLinesAreCounted) {
    auto ranks = cluster(100, kGiB, 1, 100 * kGB);
    for (std::size_t rank = 0; rank < ranks.size(); ++rank) ranks[rank].cores += static_cast<unsigned>(rank);
    const std::string text = describe(plan_sort({}, {}, ranks), ranks);
    EXPECT_LE(std::count(text.begin(), text.end(), '\n'), 40) << text;
    EXPECT_THAT(text, HasSubstr("more kinds of ranks"));
}

}  // namespace
}  // namespace sluice
