#pragma once
/// Wakes one sleeping thread: the network thread's way to hear of work without burning a core.

#include <atomic>
#include <cstdint>

#include "runtime/executor.hpp"

namespace sluice {

/// The state of a doorbell that other processes ring as well: a word of memory that they share, 0 at first.
using SharedBell = std::atomic<std::uint32_t>;
static_assert(SharedBell::is_always_lock_free && sizeof(SharedBell) == sizeof(std::uint32_t));

/// Any thread of any process. One atomic operation, and a system call only where somebody sleeps.
void ring(SharedBell& bell);

/// ring() is remembered until the next wait, so a ring between the last look and the wait is not lost. Any thread
/// rings, one waits.
class Doorbell {
public:
    /// @param shared  rung by other processes too; must live as long as this. nullptr: only by this process.
    explicit Doorbell(Executor& executor, SharedBell* shared = nullptr)
        : shared_(shared), mutex_(executor), rung_condition_(executor) {}
    void ring();
    /// Returns after a ring, or after `nanoseconds`; true if it was rung.
    bool wait_for_ns(std::uint64_t nanoseconds);
    /// Returns after a ring only: for transports whose peers ring it (in-process), where a missing ring is a deadlock.
    void wait();

private:
    SharedBell* shared_;
    Mutex mutex_;
    Condition rung_condition_;
    bool rung_ = false;
};

}  // namespace sluice
