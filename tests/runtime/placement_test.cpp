#include "runtime/placement.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>
#include <thread>

#include "runtime/error.hpp"

namespace sluice {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr const char* kOneByTwo = "Package:1 NUMANode:1 Core:2 PU:1";
constexpr const char* kTwoByEight = "Package:2 NUMANode:1 Core:8 PU:1";
constexpr const char* kTwoByThirtyTwo = "Package:2 NUMANode:1 Core:32 PU:2";

PlacementRequest request_of(unsigned local_rank, unsigned local_ranks) {
    PlacementRequest request;
    request.local_rank = local_rank;
    request.local_ranks = local_ranks;
    return request;
}

std::vector<WorkerRequest> workers_of(StageKind kind, unsigned count) {
    std::vector<WorkerRequest> workers;
    for (unsigned i = 0; i < count; ++i) workers.push_back({kind, i, -1});
    return workers;
}

std::vector<Placement> plan_all(const Topology& topology, unsigned ranks) {
    std::vector<Placement> plans;
    for (unsigned rank = 0; rank < ranks; ++rank) plans.push_back(plan_placement(topology, request_of(rank, ranks)));
    return plans;
}

std::set<unsigned> bound_set(const Placement& placement) {
    std::set<unsigned> cores;
    for (const Core& core : placement.bound_cores) cores.insert(core.index);
    return cores;
}

// F34: any number of ranks, on machines of any of these shapes.
TEST(Placement, NoTwoRanksShareACoreWhileThereAreEnough) {
    for (const char* machine : {kOneByTwo, kTwoByEight, kTwoByThirtyTwo, "NUMANode:2 PU:3", "Core:1 PU:2"}) {
        const Topology topology = Topology::synthetic(machine);
        const auto cores = static_cast<unsigned>(topology.cores().size());
        for (unsigned ranks = 1; ranks <= cores; ++ranks) {
            std::set<unsigned> taken;
            std::size_t most = 0, least = cores;
            for (const Placement& plan : plan_all(topology, ranks)) {
                EXPECT_FALSE(plan.shared_with_other_ranks);
                EXPECT_THAT(plan.explanation, Not(HasSubstr("SHARED")));
                ASSERT_FALSE(plan.rank_cores.empty());
                for (const unsigned core : plan.rank_cores) EXPECT_TRUE(taken.insert(core).second) << machine;
                EXPECT_EQ(bound_set(plan), std::set<unsigned>(plan.rank_cores.begin(), plan.rank_cores.end()));
                most = std::max(most, plan.rank_cores.size());
                least = std::min(least, plan.rank_cores.size());
            }
            EXPECT_LE(most - least, 1u) << machine << " with " << ranks << " ranks";
            const bool first_is_left = cores >= 8 && cores > ranks;
            EXPECT_EQ(taken.size(), first_is_left ? cores - 1 : cores) << machine << " with " << ranks << " ranks";
            EXPECT_EQ(taken.contains(0), !first_is_left);
        }
    }
}

TEST(Placement, OneToFiveRanksOnTwoCoresDivideThemAndThenSayThatTheyShare) {
    const Topology topology = Topology::synthetic(kOneByTwo);
    EXPECT_THAT(plan_all(topology, 1)[0].rank_cores, ElementsAre(0, 1));
    EXPECT_THAT(plan_all(topology, 2)[0].rank_cores, ElementsAre(0));
    EXPECT_THAT(plan_all(topology, 2)[1].rank_cores, ElementsAre(1));
    for (unsigned ranks = 3; ranks <= 5; ++ranks) {
        std::map<unsigned, unsigned> load;
        for (const Placement& plan : plan_all(topology, ranks)) {
            EXPECT_TRUE(plan.shared_with_other_ranks);
            EXPECT_THAT(plan.explanation, HasSubstr("SHARED: " + std::to_string(ranks) + " ranks on 2 core(s)"));
            ASSERT_EQ(plan.rank_cores.size(), 1u);
            ++load[plan.rank_cores.front()];
            // An odd rank out must not be tied to the core of another: all may run on both.
            EXPECT_THAT(plan.cores_of(StageKind::sorter, 0), ElementsAre(0, 1));
            EXPECT_THAT(plan.cores_of(StageKind::network, 0), ElementsAre(0, 1));
        }
        EXPECT_LE(load[0] - load[1], 1u);
    }
}

TEST(Placement, RankWithTwoCoresBindsAllWorkersToBoth) {
    const Placement plan = plan_placement(Topology::synthetic(kOneByTwo), request_of(0, 1));
    for (const StageKind stage : {StageKind::network, StageKind::reader, StageKind::node_distributor,
                                  StageKind::logical_disk_distributor, StageKind::writer, StageKind::sorter})
        EXPECT_THAT(plan.cores_of(stage, 0), ElementsAre(0, 1)) << word_of(stage);
}

TEST(Placement, TwoPackagesEightCoresSpreadSortersOverBothAndLeaveTheFirstCore) {
    const Topology topology = Topology::synthetic(kTwoByEight);
    PlacementRequest request = request_of(0, 1);
    request.workers = workers_of(StageKind::sorter, 15);
    const Placement plan = plan_placement(topology, request);
    ASSERT_EQ(plan.worker_cores.size(), 15u);
    std::set<unsigned> used;
    for (const auto& each : plan.worker_cores) {
        ASSERT_EQ(each.cores.size(), 1u);
        EXPECT_TRUE(used.insert(each.cores.front()).second) << "two sorters on one core";
    }
    EXPECT_FALSE(used.contains(0));
    EXPECT_THAT(plan.worker_cores[0].cores, ElementsAre(1));
    EXPECT_THAT(plan.worker_cores[1].cores, ElementsAre(8));
    EXPECT_THAT(plan.worker_cores[2].cores, ElementsAre(2));
    EXPECT_THAT(plan.worker_cores[3].cores, ElementsAre(9));
    EXPECT_EQ(plan.numa_node, -1);
    EXPECT_THAT(plan.explanation, HasSubstr("core(s) 1-15 of 16, over 2 memory nodes"));
    EXPECT_THAT(plan.explanation, HasSubstr("\n  sorter: core(s) 1 | 8 | 2 | 9"));
}

TEST(Placement, FirstCoreIsUsedWhenAskedOrWhenEveryRankNeedsOne) {
    const Topology topology = Topology::synthetic(kTwoByEight);
    PlacementRequest request = request_of(0, 1);
    request.leave_first_core = false;
    EXPECT_EQ(plan_placement(topology, request).rank_cores.size(), 16u);
    EXPECT_THAT(plan_placement(topology, request_of(0, 16)).rank_cores, ElementsAre(0));
}

TEST(Placement, TwoRanksOnTwoPackagesHaveAPackageAndItsMemoryEach) {
    const Topology topology = Topology::synthetic(kTwoByThirtyTwo);
    const auto plans = plan_all(topology, 2);
    EXPECT_THAT(bound_set(plans[0]), ::testing::SizeIs(31));
    EXPECT_EQ(*bound_set(plans[0]).rbegin(), 31u);
    EXPECT_EQ(*bound_set(plans[1]).begin(), 32u);
    EXPECT_EQ(plans[0].numa_node, 0);
    EXPECT_EQ(plans[1].numa_node, 1);
    EXPECT_THAT(plans[1].explanation, HasSubstr("core(s) 32-63 of 64, memory on node 1"));
}

TEST(Placement, FourRanksOnTwoPackagesNeverStraddleThem) {
    for (const Placement& plan : plan_all(Topology::synthetic(kTwoByThirtyTwo), 4)) EXPECT_GE(plan.numa_node, 0);
}

TEST(Placement, DistributorsOfBothSidesMeetOnNoCoreWhileThereAreEnough) {
    PlacementRequest request = request_of(0, 1);
    request.workers = workers_of(StageKind::node_distributor, 8);
    for (const WorkerRequest& worker : workers_of(StageKind::logical_disk_distributor, 7))
        request.workers.push_back(worker);
    std::set<unsigned> used;
    for (const auto& slot : plan_placement(Topology::synthetic(kTwoByEight), request).worker_cores) {
        ASSERT_EQ(slot.cores.size(), 1u);
        EXPECT_TRUE(used.insert(slot.cores.front()).second);
    }
    EXPECT_EQ(used.size(), 15u);
}

TEST(Placement, MoreCpuBoundWorkersThanCoresGoRoundEvenly) {
    PlacementRequest request = request_of(0, 1);
    request.workers = workers_of(StageKind::sorter, 40);
    std::map<unsigned, unsigned> load;
    for (const auto& slot : plan_placement(Topology::synthetic(kTwoByEight), request).worker_cores)
        ++load[slot.cores.at(0)];
    EXPECT_EQ(load.size(), 15u);
    for (const auto& [core, workers] : load) EXPECT_TRUE(workers == 2 || workers == 3) << core;
}

TEST(Placement, ReadersAndWritersMayRunOnAllCoresNearTheirDisk) {
    PlacementRequest request = request_of(0, 1);
    request.disk_numa_node = 1;
    request.workers = {{StageKind::reader, 0, -1}, {StageKind::writer, 0, 0}, {StageKind::network, 0, 7}};
    const Placement plan = plan_placement(Topology::synthetic(kTwoByEight), request);
    EXPECT_THAT(plan.worker_cores[0].cores, ElementsAre(8, 9, 10, 11, 12, 13, 14, 15));
    EXPECT_THAT(plan.worker_cores[1].cores, ElementsAre(1, 2, 3, 4, 5, 6, 7)) << "its own disk's node wins";
    EXPECT_EQ(plan.worker_cores[2].cores.size(), 15u) << "no core of ours is near: all of them";
}

TEST(Placement, RankWithoutCoresNearItsDiskKeepsToItsOwn) {
    PlacementRequest request = request_of(0, 2);
    request.disk_numa_node = 1;
    const Placement plan = plan_placement(Topology::synthetic(kTwoByEight), request);
    EXPECT_THAT(plan.cores_of(StageKind::reader, 0), ElementsAre(1, 2, 3, 4, 5, 6, 7));
}

TEST(Placement, RanksThatTheLauncherBoundKeepTheirOwnCoresAndSayWhichOverlap) {
    const Topology topology = Topology::synthetic(kOneByTwo);
    PlacementRequest request = request_of(1, 2);
    request.usable_cores = {{0}, {0, 1}};  // what this rank sees is the whole machine; the other has core 0 alone
    const Placement plan = plan_placement(topology, request);
    EXPECT_THAT(plan.rank_cores, ElementsAre(0, 1));
    EXPECT_TRUE(plan.shared_with_other_ranks);
    EXPECT_THAT(plan.explanation, HasSubstr("--bind-to none"));
    request.usable_cores = {{7}, {0, 1}};
    EXPECT_FALSE(plan_placement(topology, request).shared_with_other_ranks);
    EXPECT_THAT(plan_placement(topology, request).rank_cores, ElementsAre(0, 1));
}

TEST(Placement, RanksInOneCgroupDivideItsCores) {
    const Topology topology = Topology::synthetic(kOneByTwo);
    PlacementRequest request = request_of(2, 4);  // two ranks in another group, this one and the next in ours
    request.usable_cores = {{2, 3}, {2, 3}, {0, 1}, {0, 1}};
    EXPECT_THAT(plan_placement(topology, request).rank_cores, ElementsAre(0));
    request.local_rank = 3;
    EXPECT_THAT(plan_placement(topology, request).rank_cores, ElementsAre(1));
}

TEST(Placement, ExplicitCoresAreDividedInTheirOrder) {
    const Topology topology = Topology::synthetic(kTwoByEight);
    PlacementRequest request = request_of(1, 2);
    request.policy = PlacementPolicy::explicit_cores;
    request.cores = "8-9,0-1";
    EXPECT_THAT(plan_placement(topology, request).rank_cores, ElementsAre(0, 1)) << "nothing is left to the kernel";
    request.local_rank = 0;
    EXPECT_THAT(plan_placement(topology, request).rank_cores, ElementsAre(8, 9));
}

TEST(Placement, ExplicitCoreThatIsNotThereIsNamed) {
    PlacementRequest request = request_of(0, 1);
    request.policy = PlacementPolicy::explicit_cores;
    request.cores = "0-2";
    try {
        (void)plan_placement(Topology::synthetic(kOneByTwo), request);
        FAIL() << "accepted";
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), Errc::config);
        EXPECT_THAT(error.what(), HasSubstr("core 2 is not among those this process may use (0-1)"));
    }
}

TEST(Placement, PolicyNoneBindsNothing) {
    PlacementRequest request = request_of(0, 3);
    request.policy = PlacementPolicy::none;
    request.workers = workers_of(StageKind::sorter, 2);
    const Placement plan = plan_placement(Topology::synthetic(kOneByTwo), request);
    EXPECT_THAT(plan.rank_cores, IsEmpty());
    EXPECT_EQ(plan.worker_cores.size(), 2u);
    EXPECT_THAT(plan.worker_cores[0].cores, IsEmpty());
    EXPECT_THAT(plan.cores_of(StageKind::reader, 0), IsEmpty());
    EXPECT_THAT(plan.explanation, HasSubstr("not bound"));
}

TEST(Placement, PlanForADescribedMachineSaysThatNothingIsBound) {
    EXPECT_THAT(plan_placement(Topology::synthetic(kTwoByEight), request_of(0, 1)).explanation,
                HasSubstr("a described machine: nothing is bound"));
}

TEST(Placement, ThreadsBoundByAPlanRunWhereItSays) {
    const Topology topology = Topology::this_machine();
    const Placement plan = plan_placement(topology, request_of(0, 1));
    EXPECT_THAT(plan.explanation, Not(HasSubstr("nothing is bound")));
    for (const StageKind stage :
         {StageKind::reader, StageKind::node_distributor, StageKind::sorter, StageKind::network}) {
        std::thread([&] {
            const std::vector<unsigned> cores = plan.cores_of(stage, 0);
            EXPECT_TRUE(topology.bind_this_thread(cores));
            EXPECT_EQ(topology.affinity_of_this_thread(), cores) << word_of(stage);
        }).join();
    }
}

TEST(CoreList, RangesAreParsedInOrderAndPrintedBack) {
    EXPECT_THAT(parse_core_list("0-3,8"), ElementsAre(0, 1, 2, 3, 8));
    EXPECT_THAT(parse_core_list("5,1"), ElementsAre(5, 1));
    EXPECT_EQ(format_core_list(parse_core_list("0-3,8,10-11")), "0-3,8,10-11");
    EXPECT_EQ(format_core_list({}), "");
}

TEST(CoreList, WrongPartsAreRefusedByName) {
    const std::map<std::string, std::string> wrong{{"", "empty"},
                                                   {"a", "'a'"},
                                                   {"1-", "'1-'"},
                                                   {"-1", "'-1'"},
                                                   {"0,,1", "''"},
                                                   {"3-1", "backwards"},
                                                   {"0,0-1", "core 0 is named twice"},
                                                   {"0-70000", "'0-70000'"},
                                                   {"1 ,2", "'1 '"},
                                                   {"99999999999", "'99999999999'"}};
    for (const auto& [text, expected] : wrong) {
        try {
            (void)parse_core_list(text);
            ADD_FAILURE() << "accepted: " << text;
        } catch (const Error& error) {
            EXPECT_EQ(error.code(), Errc::config);
            EXPECT_THAT(error.what(), HasSubstr(expected));
        }
    }
}

TEST(StageKinds, EveryStageNameComesBack) {
    std::set<std::string> names;
    for (const Word<StageKind>& word : words_of(StageKind{})) {
        EXPECT_EQ(parse_word<StageKind>(word.text), word.value);
        EXPECT_EQ(word_of(word.value), word.text);
        names.insert(word.text);
    }
    EXPECT_EQ(names.size(), static_cast<std::size_t>(StageKind::validator) + 1) << "each has a name of its own";
}

}  // namespace
}  // namespace sluice
