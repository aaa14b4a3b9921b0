#include "cli/progress.hpp"

#include <unistd.h>

#include <chrono>
#include <cstdio>

namespace sluice {

Progress::Progress(const LiveCounters& live, ProgressMode mode)
    : live_(live),
      rewrite_(mode == ProgressMode::automatic && ::isatty(STDERR_FILENO) != 0),
      on_(mode != ProgressMode::none) {
    if (on_) thread_ = std::thread([this] { run(); });
}

Progress::~Progress() {
    if (!on_) return;
    {
        const std::lock_guard lock(mutex_);
        stop_ = true;
    }
    stop_condition_.notify_all();
    thread_.join();
    if (rewrite_) std::fprintf(stderr, "\r\033[K");
}

void Progress::run() {
    const auto period = rewrite_ ? std::chrono::milliseconds(500) : std::chrono::milliseconds(10'000);
    LiveCounters::Snapshot before;
    std::unique_lock lock(mutex_);
    while (!stop_condition_.wait_for(lock, period, [this] { return stop_; })) {
        const LiveCounters::Snapshot now = live_.read();
        if (now.phase.empty() || now.goal_bytes == 0) continue;
        const bool same = now.phase == before.phase;
        const double period_s = std::chrono::duration<double>(period).count();
        const auto rate = [&](std::uint64_t total, std::uint64_t earlier) {
            return static_cast<double>(total - (same ? earlier : 0)) / 1e6 / period_s;
        };
        const double done_rate = rate(now.done_bytes, before.done_bytes) * 1e6;
        const double left_s =
            done_rate > 0 ? static_cast<double>(now.goal_bytes - std::min(now.goal_bytes, now.done_bytes)) / done_rate
                          : 0;
        std::fprintf(stderr, "%s%s %3.0f %%  disk %.0f MB/s  net %.0f MB/s  ETA %.0f s (rank 0)%s",
                     rewrite_ ? "\r\033[K" : "", now.phase.c_str(),
                     100.0 * static_cast<double>(now.done_bytes) / static_cast<double>(now.goal_bytes),
                     rate(now.disk_bytes, before.disk_bytes), rate(now.network_bytes, before.network_bytes), left_s,
                     rewrite_ ? "" : "\n");
        before = now;
    }
}

}  // namespace sluice
