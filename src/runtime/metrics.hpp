#pragma once
/// Counters of one worker: written by that worker only, read by anyone at any time.

#include <atomic>
#include <cstdint>

namespace sluice {

/// Single-writer counter: relaxed load and store, so adding costs no locked instruction.
class Counter {
public:
    void add(std::uint64_t amount) noexcept {
        value_.store(value_.load(std::memory_order_relaxed) + amount, std::memory_order_relaxed);
    }
    void set(std::uint64_t value) noexcept { value_.store(value, std::memory_order_relaxed); }
    std::uint64_t get() const noexcept { return value_.load(std::memory_order_relaxed); }

private:
    std::atomic<std::uint64_t> value_{0};
};

/// What a worker did and what it waited for, in its own cache lines. Busy time is the rest: end - start - waits.
struct alignas(64) WorkerMetrics {
    Counter input_bytes, output_bytes, records, units;
    Counter wait_input_ns;   ///< nothing to do yet: the stage before is slower
    Counter wait_memory_ns;  ///< no free buffer: a later stage is slower
    Counter wait_output_ns;  ///< the next queue is full
    Counter wait_io_ns;      ///< for a completion of the kernel or the fabric
    Counter start_ns, end_ns, cpu_ns;
};

/// The metrics of the worker that runs on this thread; a spare record on threads that are no worker. Never nullptr.
WorkerMetrics& this_worker() noexcept;
/// Set by the pipeline runner around a worker's body; nullptr restores the spare.
void set_this_worker(WorkerMetrics* metrics) noexcept;

}  // namespace sluice
