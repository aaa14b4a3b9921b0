#include "runtime/binding_check.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <unistd.h>

#include <numeric>

namespace sluice {
namespace {

using ::testing::HasSubstr;

std::vector<unsigned> cores(unsigned count) {
    std::vector<unsigned> list(count);
    std::iota(list.begin(), list.end(), 0u);
    return list;
}

TEST(BindingCheck, UnboundRanksAreFine) {
    EXPECT_FALSE(binding_advice({{"a", cores(16), 16}, {"a", cores(16), 16}, {"b", cores(4), 4}}));
}

TEST(BindingCheck, TwoRanksOnOneCoreEachOfSixteenAreToldTheFix) {
    const auto advice = binding_advice({{"a", {0}, 16}, {"a", {1}, 16}});
    ASSERT_TRUE(advice);
    EXPECT_THAT(*advice, HasSubstr("rank 0 on a may use 1 core(s) (0)"));
    EXPECT_THAT(*advice, HasSubstr("reach 2 of the 16 their launcher has, so 8 each would be fair"));
    EXPECT_THAT(*advice, HasSubstr("1 more ranks are tied as well"));
    EXPECT_THAT(*advice, HasSubstr("--bind-to none"));
    EXPECT_THAT(*advice, HasSubstr("scripts/launch.sh"));
}

TEST(BindingCheck, FairShareBySocketIsFine) {
    EXPECT_FALSE(binding_advice({{"a", {0, 1, 2, 3}, 8}, {"a", {4, 5, 6, 7}, 8}}));
    EXPECT_FALSE(binding_advice({{"a", {0}, 2}, {"a", {1}, 2}}));
}

TEST(BindingCheck, TwoRanksOnTheSameCoreAreTold) { EXPECT_TRUE(binding_advice({{"a", {0}, 2}, {"a", {0}, 2}})); }

TEST(BindingCheck, CpusetThatHoldsTheLauncherTooIsNoBinding) {
    EXPECT_FALSE(binding_advice({{"a", {3}, 1}, {"a", {3}, 1}, {"a", {3}, 1}}));
    EXPECT_FALSE(binding_advice({{"a", {0, 1}, 0}}));  // nobody knows what the launcher has
}

TEST(BindingCheck, OnlyTheHostWithBoundRanksIsNamed) {
    const auto advice = binding_advice({{"a", cores(8), 8}, {"b", {5}, 8}});
    ASSERT_TRUE(advice);
    EXPECT_THAT(*advice, HasSubstr("rank 1 on b"));
}

TEST(BindingCheck, OwnAffinityIsCounted) {
    cpu_set_t set;
    ASSERT_EQ(::sched_getaffinity(0, sizeof set, &set), 0);
    EXPECT_EQ(threads_of_process(::getpid()), static_cast<unsigned>(CPU_COUNT(&set)));
    EXPECT_EQ(threads_of_process(1 << 30), 0u);
}

}  // namespace
}  // namespace sluice
