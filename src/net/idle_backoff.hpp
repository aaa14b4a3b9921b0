#pragma once
/// What the network thread does when there is nothing to do.

#include <algorithm>
#include <cstdint>
#include <thread>

#include "runtime/choices.hpp"
#include "runtime/doorbell.hpp"

namespace sluice {

/// Polls hard for a moment after traffic, then sleeps on the doorbell for growing, short times, so that an idle network
/// thread costs next to no core. One thread.
class IdleBackoff {
public:
    /// @param mode  spin: idle() and idle_until_rung() return at once
    explicit IdleBackoff(Polling mode) : mode_(mode) {}
    void did_something() noexcept { idle_turns_ = 0; }
    void idle(Doorbell& doorbell) {
        ++idle_turns_;
        if (mode_ == Polling::spin || idle_turns_ < kHardTurns) return;
        if (idle_turns_ < kHardTurns + kYieldTurns) {
            std::this_thread::yield();
            return;
        }
        // Fabric events do not ring the doorbell, so the sleep bounds how late one is seen.
        doorbell.wait_for_ns(
            std::min(kLongestSleepNs, kFirstSleepNs << std::min(10u, idle_turns_ - kHardTurns - kYieldTurns)));
    }
    /// Where all that is waited for rings the doorbell, and only heartbeats and failures come unannounced: one more
    /// look, and to sleep.
    void idle_until_rung(Doorbell& doorbell) {
        if (mode_ == Polling::spin || ++idle_turns_ < 2) return;
        if (doorbell.wait_for_ns(kNothingExpectedSleepNs)) idle_turns_ = 0;  // a word may come just behind its ring
    }

private:
    static constexpr unsigned kHardTurns = 20, kYieldTurns = 4;
    static constexpr std::uint64_t kFirstSleepNs = 20'000, kLongestSleepNs = 320'000,
                                   kNothingExpectedSleepNs = 5'000'000;
    Polling mode_;
    unsigned idle_turns_ = 0;
};

}  // namespace sluice
