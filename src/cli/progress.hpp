#pragma once
/// The live line: where a run stands, on stderr, never in the way of it.

#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>

#include "runtime/choices.hpp"
#include "stages/stage_report.hpp"

namespace sluice {

/// A thread that looks at the counters: twice a second on a terminal (one line, rewritten), every 10 s otherwise.
class Progress {
public:
    /// Starts the thread, unless `mode` is none. @param live  must outlive this
    Progress(const LiveCounters& live, ProgressMode mode);
    ~Progress();
    Progress(const Progress&) = delete;

private:
    void run();

    const LiveCounters& live_;
    bool rewrite_ = false, on_ = true;
    std::mutex mutex_;
    std::condition_variable stop_condition_;
    bool stop_ = false;
    std::thread thread_;
};

}  // namespace sluice
