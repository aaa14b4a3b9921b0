#include "runtime/doorbell.hpp"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

namespace sluice {
namespace {

constexpr std::uint32_t kRung = 1, kAsleep = 2;

long futex(SharedBell& bell, int operation, std::uint32_t value, const timespec* timeout) {
    return ::syscall(SYS_futex, reinterpret_cast<std::uint32_t*>(&bell), operation, value, timeout, nullptr, 0);
}

/// In words: sleeps until somebody has set kRung, or the time is over. A signal is as good as a ring: callers look
/// again.
bool sleep_at(SharedBell& bell, const timespec* timeout) {
    if ((bell.fetch_or(kAsleep, std::memory_order_acq_rel) & kRung) == 0) futex(bell, FUTEX_WAIT, kAsleep, timeout);
    return (bell.exchange(0, std::memory_order_acq_rel) & kRung) != 0;
}

}  // namespace

void ring(SharedBell& bell) {
    const std::uint32_t before = bell.fetch_or(kRung, std::memory_order_acq_rel);
    if (before == kAsleep) futex(bell, FUTEX_WAKE, 1, nullptr);
}

void Doorbell::ring() {
    if (shared_ != nullptr) return sluice::ring(*shared_);
    Lock lock(mutex_);
    rung_ = true;
    rung_condition_.notify_one();
}

bool Doorbell::wait_for_ns(std::uint64_t nanoseconds) {
    if (shared_ != nullptr) {
        const timespec timeout{static_cast<time_t>(nanoseconds / 1'000'000'000),
                               static_cast<long>(nanoseconds % 1'000'000'000)};
        return sleep_at(*shared_, &timeout);
    }
    Lock lock(mutex_);
    const bool rung = rung_condition_.wait_for_ns(lock, nanoseconds, [&] { return rung_; });
    rung_ = false;
    return rung;
}

void Doorbell::wait() {
    if (shared_ != nullptr) {
        while (!sleep_at(*shared_, nullptr)) {
        }
        return;
    }
    Lock lock(mutex_);
    rung_condition_.wait(lock, [&] { return rung_; });
    rung_ = false;
}

}  // namespace sluice
