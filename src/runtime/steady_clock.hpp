#pragma once
/// The clock by which this host measures how long something takes.

#include <chrono>
#include <cstdint>

namespace sluice {

/// Nanoseconds since some moment in the past, never set back. Of the machine's real time: what may run in simulated
/// time asks its Executor.
inline std::uint64_t steady_ns() noexcept {
    return static_cast<std::uint64_t>(
        std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch())
            .count());
}

}  // namespace sluice
