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
    static constexpr std::uint64_t kLongestSleepNs = 320'000;
    explicit IdleBackoff(Mode mode) : mode_(mode) {}
    void did_something() noexcept { idle_turns_ = 0; }
    /// @param longest_sleep_ns  how late a fabric event may be seen.
    void idle(Doorbell& doorbell, std::uint64_t longest_sleep_ns = kLongestSleepNs) {
        ++idle_turns_;
        if (mode_ == Mode::spin || idle_turns_ < kHardTurns) return;
        if (idle_turns_ < kHardTurns + kYieldTurns) {
            std::this_thread::yield();
            return;
        }
        // Fabric events do not ring the doorbell, so the sleep bounds how late one is seen.
        const std::uint64_t sleep_ns = std::min<std::uint64_t>(
            longest_sleep_ns, kFirstSleepNs << std::min(10u, idle_turns_ - kHardTurns - kYieldTurns));
        doorbell.wait_for_ns(sleep_ns);
    }

private:
    static constexpr unsigned kHardTurns = 20, kYieldTurns = 4;
    static constexpr std::uint64_t kFirstSleepNs = 20'000;
    Mode mode_;
    unsigned idle_turns_ = 0;
};

}  // namespace sluice
