// How a process ends: each end in a child of its own.
#include "runtime/watchdog.hpp"

#include <gtest/gtest.h>
#include <poll.h>
#include <unistd.h>

#include <chrono>
#include <csignal>

#include "runtime/signals.hpp"

namespace sluice {
namespace {

using ::testing::ExitedWithCode;
constexpr std::uint64_t kMs = 1'000'000;

void rest_ms(int ms) { std::this_thread::sleep_for(std::chrono::milliseconds(ms)); }
/// Longer than any end takes; then with a code that none has.
[[noreturn]] void outlive() {
    rest_ms(20'000);
    ::_exit(99);
}

class WatchdogDeathTest : public ::testing::Test {
protected:
    WatchdogDeathTest() { GTEST_FLAG_SET(death_test_style, "threadsafe"); }
};
using SignalsDeathTest = WatchdogDeathTest;

TEST_F(WatchdogDeathTest, ASignalEndsTheRunInItsStepWithCodeEight) {
    const auto body = [] {
        install_signal_handlers();
        Watchdog watchdog(0);
        watchdog.set_place("h1", 0);
        watchdog.enter("phase one", "0123456789abcdef0123456789abcdef");
        ::kill(::getpid(), SIGTERM);
        outlive();
    };
    EXPECT_EXIT(body(), ExitedWithCode(8), "ERROR.*host=h1.*SIGTERM");
}

TEST_F(WatchdogDeathTest, AfterPublishingASignalCostsAWarningAndTheResultIsSaid) {
    const auto body = [] {
        install_signal_handlers();
        Watchdog watchdog(0);
        watchdog.set_place("h1", 0);
        watchdog.settle("RESULT status=VALID");
        ::kill(::getpid(), SIGTERM);
        outlive();
    };
    EXPECT_EXIT(body(), ExitedWithCode(0), "WARNING");
}

TEST_F(WatchdogDeathTest, ASignalWaitsForTheCommitAndIsAnsweredByWhatCameOfIt) {
    const auto body = [] {
        install_signal_handlers();
        Watchdog watchdog(0);
        watchdog.set_place("h1", 0);
        auto commit = watchdog.begin_commit();
        ::kill(::getpid(), SIGTERM);
        rest_ms(500);  // it is not answered meanwhile
        watchdog.settle("RESULT status=VALID");
        commit.reset();
        outlive();
    };
    EXPECT_EXIT(body(), ExitedWithCode(0), "WARNING");
    const auto never = [] {
        install_signal_handlers();
        Watchdog watchdog(0);
        watchdog.set_place("h1", 0);
        auto commit = watchdog.begin_commit();
        ::kill(::getpid(), SIGTERM);
        rest_ms(100);
        commit.reset();  // and nothing was published
        outlive();
    };
    EXPECT_EXIT(never(), ExitedWithCode(8), "ERROR");
}

TEST_F(WatchdogDeathTest, AJobThatStandsStillIsEndedAndOneThatMovesIsNot) {
    const auto stands = [] {
        Watchdog watchdog(500 * kMs);
        watchdog.set_place("h1", 0);
        watchdog.enter("phase one");
        outlive();
    };
    EXPECT_EXIT(stands(), ExitedWithCode(7), "in step phase one, for");
    const auto moves = [] {
        Watchdog watchdog(500 * kMs);
        watchdog.enter("phase one");
        for (int i = 0; i < 15; ++i) {
            this_worker().units.add(1);
            rest_ms(100);
        }
        ::_exit(42);
    };
    EXPECT_EXIT(moves(), ExitedWithCode(42), "");
}

TEST_F(SignalsDeathTest, TheFirstIsRememberedTheSecondEndsAndOthersAreNothing) {
    const auto body = [] {
        install_signal_handlers();
        ::raise(SIGPIPE);
        ::raise(SIGHUP);
        if (received_signal().number != 0) ::_exit(1);
        ::kill(::getpid(), SIGINT);
        pollfd waiter{signal_descriptor(), POLLIN, 0};
        if (::poll(&waiter, 1, 5000) != 1) ::_exit(2);
        if (received_signal().number != SIGINT || received_signal().from_parent) ::_exit(3);
        if (signal_name(SIGINT) != "SIGINT" || signal_name(SIGTERM) != "SIGTERM") ::_exit(4);
        ::kill(::getpid(), SIGTERM);
        outlive();
    };
    EXPECT_EXIT(body(), ExitedWithCode(8), "");
}

}  // namespace
}  // namespace sluice
