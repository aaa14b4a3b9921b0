// What a run needs on a disk, against what the disk, or a quota, has left.
#include "plan/disk_space.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "plan/one_rank_job.hpp"
#include "plan/problem_texts.hpp"
#include "runtime/units.hpp"
#include "simulated/memory_backend.hpp"

namespace sluice::testing {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class DiskSpaceTest : public ::testing::Test {
protected:
    DiskSpaceTest() : memory_(rank_.executor) {
        rank_.files = make_memory_file_system(memory_);
        rank_.files->make_directories(rank_.disk);
        memory_.capacity_bytes = 100 * kMiB;
    }
    std::vector<std::string> problems_of(const DiskNeed& need) {
        JobContext job = rank_.job();
        const RoleDisks disks = role_disks(job, DiskRole::output);
        DiskSpace space(job);
        space.need(disks.disks.at(0), need);
        Problems problems;
        space.judge("logs and output", problems);
        return texts_of(problems);
    }
    OneRankJob rank_;
    MemoryDisk memory_;
};

TEST_F(DiskSpaceTest, WhatFitsIsNoProblem) { EXPECT_THAT(problems_of({50 * kMiB, 1000, kMiB}), IsEmpty()); }

TEST_F(DiskSpaceTest, TooFewBytesOrInodesAreCodeThreeWithTheNumbers) {
    EXPECT_THAT(problems_of({200 * kMiB, 1, kMiB}), ElementsAre(AllOf(HasSubstr("[3] disk"), HasSubstr("free space"))));
    memory_.room.files_total = 5000;
    memory_.room.files_free = 900;
    EXPECT_THAT(problems_of({kMiB, 1000, kMiB}),
                ElementsAre(AllOf(HasSubstr("[3] disk"), HasSubstr("900 inodes free"))));
    memory_.room.files_free = 1100;
    EXPECT_THAT(problems_of({kMiB, 1000, kMiB}), IsEmpty());
    memory_.room.files_total = memory_.room.files_free = 0;
    EXPECT_THAT(problems_of({kMiB, 1000, kMiB}), IsEmpty()) << "this file system makes inodes as it needs them";
}

TEST_F(DiskSpaceTest, WhatAllRanksOfAHostNeedIsAddedUp) {
    InProcessCluster two(rank_.executor, 2);
    std::vector<std::string> said[2];
    std::vector<std::unique_ptr<Task>> ranks;
    for (std::uint32_t rank = 0; rank < 2; ++rank) {
        ranks.push_back(rank_.executor.spawn("rank-" + std::to_string(rank), [&, rank] {
            JobContext job = rank_.job_on(two, rank);
            DiskSpace space(job);
            space.need(role_disks(job, DiskRole::output).disks.at(0), {60 * kMiB, 1, kMiB});
            Problems problems;
            space.judge("logs and output", problems);
            said[rank] = texts_of(problems);
        }));
    }
    for (auto& rank : ranks) rank->join();
    EXPECT_THAT(said[0], ElementsAre(AllOf(HasSubstr("[3] disk"), HasSubstr("126 MB")))) << "each alone would fit";
    EXPECT_THAT(said[1], IsEmpty()) << "rank 0 says it for all";
}

TEST_F(DiskSpaceTest, AQuotaIsNamedWithWhoseItIs) {
    memory_.room.bytes_quota = memory_.room.files_quota = "user 1000";
    memory_.room.files_total = 10;
    memory_.room.files_free = 0;
    EXPECT_THAT(problems_of({200 * kMiB, 1, kMiB}),
                ElementsAre(HasSubstr("left to the quota of user 1000; have it raised"),
                            HasSubstr("0 left to the quota of user 1000")));
}

}  // namespace
}  // namespace sluice::testing
