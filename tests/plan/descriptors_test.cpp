// The files that a sort has open at a time: bounded by its plan, whatever the number of files.
#include "plan/descriptors.hpp"
#include "plan/problem_texts.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sluice {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

struct Planned {
    Config config;
    RankResources resources;
    SortPlan plan;
};

Planned plan_of(std::uint32_t partitions, unsigned disks) {
    Planned made;
    made.config.partitions.count = partitions;
    made.resources.host = "n";
    made.resources.budget_bytes = std::uint64_t{4} << 30;
    made.resources.cores = 2;
    made.resources.input_disks = made.resources.intermediate_disks = made.resources.output_disks = disks;
    made.resources.input_bytes = 1 << 30;
    made.plan = plan_sort(made.config, {128, 0, 10}, {made.resources});
    return made;
}

TEST(OpenFiles, DoNotGrowWithPartitions) {
    const Planned few = plan_of(16, 1), many = plan_of(100'000, 1);
    const std::uint64_t of_few = open_files_of(few.config, few.plan.ranks[0], few.resources, 0).most(),
                        of_many = open_files_of(many.config, many.plan.ranks[0], many.resources, 0).most();
    EXPECT_LE(of_many, of_few);
    EXPECT_LT(of_many, 128u);
}

TEST(OpenFiles, GrowWithDisksAndDistantRanks) {
    const Planned one = plan_of(16, 1), four = plan_of(16, 4);
    const auto files = [](const Planned& of, std::uint64_t remote) {
        return open_files_of(of.config, of.plan.ranks[0], of.resources, remote).most();
    };
    EXPECT_GT(files(four, 0), files(one, 0) + 60);
    EXPECT_GE(files(one, 100), files(one, 0) + 100);
}

TEST(OpenFiles, TooLowALimitIsAProblemWithTheNumbers) {
    OpenFiles files;
    files.held = 20;
    files.phase_two = 30;
    EXPECT_THAT(testing::text_of(open_files_problem(files, 10, 60, "n7")), IsEmpty());
    EXPECT_THAT(testing::text_of(open_files_problem(files, 10, 59, "n7")),
                AllOf(StartsWith("[3] host n7: 60 files"), HasSubstr("may have 59"), HasSubstr("ulimit -n")));
}

}  // namespace
}  // namespace sluice
