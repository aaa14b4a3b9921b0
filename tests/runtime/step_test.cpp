#include "runtime/step.hpp"

#include <gtest/gtest.h>

#include <stdexcept>

#include "runtime/metrics.hpp"

namespace sluice {
namespace {

/// A clock that a test moves.
class TestClock : public Executor {
public:
    std::unique_ptr<Task> spawn(std::string, std::function<void()>) override { return nullptr; }
    std::uint64_t now_ns() const override { return now; }
    void sleep_for_ns(std::uint64_t nanoseconds) override { now += nanoseconds; }
    std::uint64_t now = 1'000'000'000;
};

constexpr std::uint64_t kMs = 1'000'000;

TEST(Step, TickPollsAndMarksProgressAtMostEveryHundredMilliseconds) {
    TestClock clock;
    int polls = 0;
    Step step(clock, "counts", [&] { ++polls; });
    const std::uint64_t before = this_worker().units.get();
    for (int i = 0; i < 1000; ++i) {
        tick_step();
        clock.now += kMs;
    }
    EXPECT_EQ(polls, 10);
    EXPECT_EQ(this_worker().units.get() - before, 10u);
}

TEST(Step, NoteNamesTheInnermostStepAndNothingInPollsAndPauses) {
    TestClock clock;
    const StepNote& note = this_thread_step();
    EXPECT_EQ(note.view().name, nullptr);
    const char* in_poll = "not polled";
    {
        const Step outer(clock, "outer", {});
        EXPECT_STREQ(note.view().name, "outer");
        {
            Step inner(clock, "inner", [&] { in_poll = note.view().name; });
            const std::uint64_t turn = note.view().turn;
            EXPECT_STREQ(note.view().name, "inner");
            inner.tick();
            EXPECT_EQ(in_poll, nullptr);
            EXPECT_STREQ(note.view().name, "inner");
            EXPECT_NE(note.view().turn, turn);  // what the poll took is not counted
            const StepPause pause;
            EXPECT_EQ(note.view().name, nullptr);
        }
        EXPECT_STREQ(note.view().name, "outer");
    }
    EXPECT_EQ(note.view().name, nullptr);
    tick_step();
}

TEST(Step, FailureThatThePollFindsComesOutOfTheTickAndLeavesNoStepOpen) {
    TestClock clock;
    EXPECT_THROW(
        {
            const Step step(clock, "works", [] { throw std::runtime_error("another rank failed"); });
            tick_step();
        },
        std::runtime_error);
    EXPECT_EQ(this_thread_step().view().name, nullptr);
}

}  // namespace
}  // namespace sluice
