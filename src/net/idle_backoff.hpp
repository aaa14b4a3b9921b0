#pragma once
/// What the network thread does when there is nothing to do.

#include <algorithm>
#include <cstdint>
#include <thread>

#include "runtime/doorbell.hpp"

namespace sluice {

/// Polls hard for a moment after traffic, then sleeps on the doorbell for growing, short times, so that an idle network
/// thread costs next to no core. One thread.
class IdleBackoff {
public:
    enum class Mode { adaptive, spin };
    explicit IdleBackoff(Mode mode) : mode_(mode) {}
    void did_something() noexcept { idle_turns_ = 0; }
    void idle(Doorbell& doorbell) {
        ++idle_turns_;
        if (mode_ == Mode::spin || idle_turns_ < kHardTurns) return;
        if (idle_turns_ < kHardTurns + kYieldTurns) {
            std::this_thread::yield();
            return;
        }
        // Fabric events do not ring the doorbell, so the sleep bounds how late one is seen.
        const std::uint64_t sleep_ns = std::min<std::uint64_t>(
            kLongestSleepNs, kFirstSleepNs << std::min(8u, idle_turns_ - kHardTurns - kYieldTurns));
        doorbell.wait_for_ns(sleep_ns);
    }

private:
    static constexpr unsigned kHardTurns = 20, kYieldTurns = 4;
    static constexpr std::uint64_t kFirstSleepNs = 5'000, kLongestSleepNs = 200'000;
    Mode mode_;
    unsigned idle_turns_ = 0;
};

}  // namespace sluice
