#include "runtime/watch_rules.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

namespace sluice {
namespace {

using ::testing::HasSubstr;
constexpr std::uint64_t kSecond = 1'000'000'000, kLimit = 3 * kSecond;

WatchedThread thread(std::string name, std::uint64_t progress, WaitKind kind = WaitKind::none, std::string text = "",
                     std::uint64_t generation = 1, std::uint64_t since_ns = 0) {
    return {std::move(name), progress, {kind, generation, since_ns, std::move(text)}, {}};
}

/// A rank whose main thread is alive and whose one worker moves on at every look.
struct Watched {
    WatchRules rules{kLimit};
    std::uint64_t now_ns = 100 * kSecond, progress = 0;
    std::vector<WatchedThread> threads{thread("main", 0), thread("writer-0", 0)};

    std::optional<WatchVerdict> pass(std::uint64_t ns, bool moves = true) {
        std::optional<WatchVerdict> verdict;
        for (std::uint64_t step = 0; step < ns && !verdict; step += kSecond / 10) {
            now_ns += kSecond / 10;
            if (moves) threads[1].progress = ++progress;
            rules.main_pulse(now_ns);
            verdict = rules.judge(threads, now_ns, now_ns);
        }
        return verdict;
    }
    void hear(std::uint32_t rank, std::uint64_t quiet_ns, WaitKind kind = WaitKind::none, const char* doing = "busy",
              std::uint64_t same_ns = 0) {
        Heartbeat beat{rank, static_cast<std::uint32_t>(kind), quiet_ns, same_ns, {}};
        std::strncpy(beat.doing, doing, sizeof beat.doing - 1);
        rules.heard(beat, now_ns);
    }
};

TEST(WatchRules, SilentPeerIsNamedWithItsHostAndLastWordAfterTheLimit) {
    Watched w;
    w.rules.name_hosts({"n0", "n1", "n2"});
    w.rules.listen_to({1, 2}, w.now_ns);
    w.hear(2, 0, WaitKind::disk, "phase-one: writer-0 waits for the disk");
    for (int beat = 0; beat < 29; ++beat) {
        ASSERT_FALSE(w.pass(kSecond / 10)) << "after " << beat;
        w.hear(1, 0);
    }
    const auto verdict = w.pass(kSecond);
    ASSERT_TRUE(verdict);
    EXPECT_EQ(verdict->code, Errc::peer);
    EXPECT_EQ(verdict->suspect, 2u);
    EXPECT_THAT(verdict->message, HasSubstr("rank 2 on n2 has not been heard for 3.0 s"));
    EXPECT_THAT(verdict->message, HasSubstr("its last word, 3.0 s ago: phase-one: writer-0 waits for the disk"));
}

TEST(WatchRules, PeerThatOnlyAnswersIsNotSilentButMovesNothing) {
    Watched w;
    w.rules.listen_to({1}, w.now_ns);
    for (int second = 0; second < 20; ++second) {
        ASSERT_FALSE(w.pass(kSecond)) << "after " << second << " s without a heartbeat behind the data";
        w.rules.lives(1, w.now_ns);
    }
    std::optional<WatchVerdict> verdict;
    for (int second = 0; second < 5 && !verdict; ++second) {
        verdict = w.pass(kSecond, false);
        w.rules.lives(1, w.now_ns);
    }
    ASSERT_TRUE(verdict);
    EXPECT_THAT(verdict->message, HasSubstr("no rank has got anything done for 3."));
}

/// One rank alone, which has no workers yet; its main thread is at `step`, and gets the processor or does not.
std::optional<WatchVerdict> alone(StepNote::View step, bool computes, bool new_turns = false) {
    WatchRules rules(kLimit);
    rules.set_step("start", 100 * kSecond);
    rules.require_pulse(true, 100 * kSecond);
    std::optional<WatchVerdict> verdict;
    for (std::uint64_t now_ns = 100 * kSecond; now_ns < 120 * kSecond && !verdict; now_ns += kSecond / 10) {
        if (computes) step.cpu_ns += kSecond / 20;
        if (new_turns) ++step.turn;
        WatchedThread main = thread("main", 0);
        main.step = step;
        verdict = rules.judge({main}, now_ns, now_ns);
        if (step.name == nullptr) rules.main_pulse(now_ns);
    }
    return verdict;
}

TEST(WatchRules, ProcessorTimeIsLifeWithinOneTurnOfAStepOnly) {
    EXPECT_FALSE(alone({"lists the input", 1, 0}, true));
    EXPECT_TRUE(alone({nullptr, 1, 0}, true)) << "it polls";
    EXPECT_TRUE(alone({"lists the input", 1, 0}, true, true)) << "it polls between";
    EXPECT_TRUE(alone({"lists the input", 1, 0}, false)) << "it hangs in a call";
}

TEST(WatchRules, RankAloneWaitsForNoOthers) {
    const auto idle = alone({nullptr, 1, 0}, true);
    ASSERT_TRUE(idle);
    EXPECT_THAT(idle->message, HasSubstr("here the main thread gets nothing done in step start"));
    EXPECT_THAT(idle->message, ::testing::Not(HasSubstr("other ranks")));
}

TEST(WatchRules, StepThatHangsIsNamedEvenBesideWorkers) {
    WatchRules rules(kLimit);
    WatchedThread main = thread("main", 0);
    main.step = {"lists the input", 1, 7};
    std::optional<WatchVerdict> verdict;
    for (std::uint64_t now_ns = 100 * kSecond; now_ns < 120 * kSecond && !verdict; now_ns += kSecond / 10)
        verdict = rules.judge({main, thread("toucher-0", 0, WaitKind::input, "work")}, now_ns, now_ns);
    ASSERT_TRUE(verdict);
    EXPECT_THAT(verdict->message, HasSubstr("the main thread lists the input and gets nothing done"));
}

TEST(WatchRules, RankThatHearsNobodyBlamesItsOwnNetwork) {
    Watched w;
    w.rules.listen_to({0, 1, 2}, w.now_ns);
    const auto verdict = w.pass(4 * kSecond);
    ASSERT_TRUE(verdict);
    EXPECT_THAT(verdict->message, HasSubstr("this host is cut off"));
    EXPECT_FALSE(verdict->suspect);
}

TEST(WatchRules, OneHundredSecondsOfSlowProgressOfOneWorkerEndNothing) {
    Watched w;
    for (int i = 0; i < 50; ++i) {
        ASSERT_FALSE(w.pass(2 * kSecond, false));
        w.threads[1].progress = ++w.progress;
    }
}

TEST(WatchRules, ProgressOfAnotherRankKeepsWaitingRanksAlive) {
    Watched w;
    w.rules.listen_to({1}, w.now_ns);
    w.threads[1] = thread("writer-0", 0, WaitKind::input, "input");
    for (int i = 0; i < 100; ++i) {
        ASSERT_FALSE(w.pass(kSecond, false));
        w.hear(1, kSecond / 2);
    }
    // It lives on, but nobody gets anything done: now the one that is nearest to the cause is named.
    for (int i = 0; i < 2; ++i) {
        ASSERT_FALSE(w.pass(kSecond, false));
        w.hear(1, kSecond * static_cast<std::uint64_t>(i + 1), WaitKind::memory,
               "phase-one: distributor-0 waits for a free buffer of pool 'send'", 2 * kSecond);
    }
    const auto verdict = w.pass(2 * kSecond, false);
    ASSERT_TRUE(verdict);
    EXPECT_THAT(verdict->message, HasSubstr("no rank has got anything done for"));
    EXPECT_THAT(verdict->message, HasSubstr("rank 1: phase-one: distributor-0 waits for a free buffer of pool 'send'"));
}

TEST(WatchRules, DiskWithoutCompletionIsADeviceErrorWithTheAgeOfTheOldestRequest) {
    Watched w;
    w.rules.listen_to({1}, w.now_ns);
    w.threads.push_back(thread("reader-0", 5));
    const std::uint64_t submitted_ns = w.now_ns - kSecond / 2;
    w.threads[1] = thread("writer-0", 7, WaitKind::disk, "write '/d1/log' at 4096, 1048576 bytes", 9, submitted_ns);
    std::optional<WatchVerdict> verdict;
    for (int i = 0; i < 40 && !verdict; ++i) {  // the reader and the peer go on: the disk is hung all the same
        w.threads[2].progress += 1;
        w.hear(1, 0);
        verdict = w.pass(kSecond / 10, false);
    }
    ASSERT_TRUE(verdict);
    EXPECT_EQ(verdict->code, Errc::device);
    EXPECT_TRUE(verdict->local);
    EXPECT_THAT(verdict->message, HasSubstr("'/d1/log'"));
    EXPECT_THAT(verdict->message, HasSubstr("3.6 s old"));
    EXPECT_THAT(verdict->stage, HasSubstr("writer-0"));
}

TEST(WatchRules, DiskThatCompletesNowAndThenIsSlowNotHung) {
    Watched w;
    for (std::uint64_t request = 1; request < 40; ++request) {
        w.threads[1] = thread("writer-0", request, WaitKind::disk, "write '/d1/log'", request, w.now_ns);
        ASSERT_FALSE(w.pass(2 * kSecond + kSecond / 2, false));
    }
}

TEST(WatchRules, MainThreadThatNoLongerAnswersIsNamedWithItsStep) {
    WatchRules rules(kLimit);
    rules.set_step("publish", kSecond);
    rules.require_pulse(true, kSecond);
    std::vector<WatchedThread> threads{thread("main", 0), thread("writer-0", 0)};
    std::optional<WatchVerdict> verdict;
    std::uint64_t now_ns = kSecond;
    for (std::uint64_t progress = 1; !verdict && now_ns < 10 * kSecond; ++progress, now_ns += kSecond / 10) {
        threads[1].progress = progress;
        verdict = rules.judge(threads, now_ns, now_ns);
    }
    ASSERT_TRUE(verdict);
    EXPECT_EQ(verdict->stage, "publish");
    EXPECT_THAT(verdict->message, HasSubstr("main thread of this rank has been in one call for 3.0 s"));
}

TEST(WatchRules, WithoutALimitNothingIsEverEnded) {
    Watched w;
    w.rules.set_limit(0);
    w.rules.listen_to({1, 2}, w.now_ns);
    EXPECT_FALSE(w.pass(1000 * kSecond, false));
}

TEST(WatchRules, HeartbeatSaysHowLongAgoAnythingHappenedAnywhere) {
    Watched w;
    w.rules.set_step("phase-two", w.now_ns);
    w.rules.listen_to({1}, w.now_ns);
    w.threads[1] = thread("sorter-0", 3, WaitKind::memory, "a free buffer of pool 'write'");
    ASSERT_FALSE(w.pass(2 * kSecond, false));
    EXPECT_NEAR(static_cast<double>(w.rules.heartbeat(0, w.now_ns).quiet_ns), 1.9e9, 0.2e9);
    w.hear(1, kSecond / 2);
    const Heartbeat beat = w.rules.heartbeat(0, w.now_ns);
    EXPECT_EQ(beat.quiet_ns, kSecond / 2);
    EXPECT_STREQ(beat.doing, "phase-two: sorter-0 waits for a free buffer of pool 'write'");
}

TEST(WaitNote, ViewTellsWhatIsWaitedForWhileItIs) {
    const auto before = this_worker().waiting.view();
    {
        const Waiting waiting(WaitKind::disk, "write", "/d/log", 4096, 512, 77);
        const auto view = this_worker().waiting.view();
        EXPECT_EQ(view.kind, WaitKind::disk);
        EXPECT_EQ(view.text, "write '/d/log' at 4096, 512 bytes");
        EXPECT_EQ(view.since_ns, 77u);
        EXPECT_NE(view.generation, before.generation);
    }
    EXPECT_EQ(this_worker().waiting.view().kind, WaitKind::none);
}

TEST(WaitNote, EndOfALongPathIsKept) {
    const std::string path = "/" + std::string(1000, 'x') + "/log-7";
    const Waiting waiting(WaitKind::disk, "read", path);
    EXPECT_THAT(this_worker().waiting.view().text, HasSubstr("/log-7'"));
}

TEST(WatchRules, OldNewsOfALaggardDoesNotUndoNewerOnes) {
    Watched w;
    w.rules.listen_to({1, 2}, w.now_ns);
    for (int second = 0; second < 8; ++second) {
        ASSERT_FALSE(w.pass(kSecond, false)) << "after " << second << " s in which rank 1 worked";
        w.hear(1, 0);
        w.hear(2, 20 * kSecond);  // it has heard of nothing for long
    }
}

TEST(WatchRules, TheOnlyPeerThatIsSilentDoesNotMakeThisHostCutOff) {
    Watched w;
    w.rules.listen_to({1}, w.now_ns);
    const auto one = w.pass(10 * kSecond);
    ASSERT_TRUE(one);
    EXPECT_EQ(one->suspect, 1u);
    EXPECT_THAT(one->message, HasSubstr("rank 1 has not been heard"));
    Watched several;
    several.rules.listen_to({1, 2}, several.now_ns);
    const auto all = several.pass(10 * kSecond);
    ASSERT_TRUE(all);
    EXPECT_FALSE(all->suspect);
    EXPECT_THAT(all->message, HasSubstr("this host is cut off"));
}

TEST(WatchRules, TheMainThreadIsNotBlamedForWaitingWhileAWorkerStands) {
    Watched w;
    w.threads = {thread("main", 0), thread("sorter-0", 0, WaitKind::output, "the next queue"),
                 thread("writer-0", 0, WaitKind::memory, "pool 'write'")};
    const auto verdict = w.pass(10 * kSecond, false);
    ASSERT_TRUE(verdict);
    EXPECT_THAT(verdict->message, HasSubstr("here writer-0 waits for pool 'write'"));
    Watched starved;
    starved.threads = {thread("main", 0), thread("sorter-0", 0, WaitKind::input, "input")};
    const auto other = starved.pass(10 * kSecond, false);
    ASSERT_TRUE(other);
    EXPECT_THAT(other->message, HasSubstr("here sorter-0 waits for input"));
}

}  // namespace
}  // namespace sluice
