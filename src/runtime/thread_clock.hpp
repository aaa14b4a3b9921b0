#pragma once
/// What the scheduler gives the calling thread, and how it asks for it.

#include <sched.h>
#include <time.h>

#include <cstdint>

namespace sluice {

/// Processor time that the calling thread has had so far.
inline std::uint64_t thread_cpu_ns() {
    timespec spent{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &spent);
    return static_cast<std::uint64_t>(spent.tv_sec) * 1'000'000'000u + static_cast<std::uint64_t>(spent.tv_nsec);
}

/// From now on the calling thread does not push others off its core when it wakes; it runs when they wait or their turn
/// ends, and finds more to do then. For the last stage of a chain on few cores. No privilege is needed; a kernel that
/// refuses changes nothing.
inline void wake_without_preempting() {
    const sched_param none{};
    ::sched_setscheduler(0, SCHED_BATCH, &none);
}

}  // namespace sluice
