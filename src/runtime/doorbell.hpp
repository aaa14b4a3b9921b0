#pragma once
/// Wakes one sleeping thread: the network thread's way to hear of work without burning a core.

#include <cstdint>
#include <exception>

#include "runtime/executor.hpp"

namespace sluice {

/// ring() is remembered until the next wait, so a ring between the last look and the wait is not lost.
class Doorbell {
public:
    explicit Doorbell(Executor& executor) : mutex_(executor), rung_condition_(executor) {}
    void ring() {
        Lock lock(mutex_);
        rung_ = true;
        rung_condition_.notify_one();
    }
    /// Returns after a ring, or after `nanoseconds`; true if it was rung.
    bool wait_for_ns(std::uint64_t nanoseconds) {
        Lock lock(mutex_);
        const bool rung = rung_condition_.wait_for_ns(lock, nanoseconds, [&] { return rung_; });
        rung_ = false;
        return rung;
    }
    /// Returns after a ring only: for transports whose peers ring it (in-process), where a missing ring is a deadlock.
    void wait() {
        Lock lock(mutex_);
        rung_condition_.wait(lock, [&] { return rung_; });
        rung_ = false;
    }

private:
    Mutex mutex_;
    Condition rung_condition_;
    bool rung_ = false;
};

}  // namespace sluice
