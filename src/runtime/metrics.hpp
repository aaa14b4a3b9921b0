#pragma once
/// Counters of one worker: written by that worker only, read by anyone at any time.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>

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

enum class WaitKind : std::uint8_t {
    none,    ///< it works
    input,   ///< for the stage before
    memory,  ///< for a free buffer
    output,  ///< for room in the next queue
    disk,    ///< for the kernel: a request in flight, or a file system call
};

/// What a thread waits for at this moment. Written by that thread, read by the watchdog; allocates nothing.
class WaitNote {
public:
    struct View {
        WaitKind kind = WaitKind::none;
        std::uint64_t generation = 0;  ///< another number for every wait
        std::uint64_t since_ns = 0;    ///< steady clock, disk only: when the oldest request was submitted
        std::string text;              ///< "pool 'chunks'", "write '/d/log' at 4096, 1048576 bytes"
    };
    void begin(WaitKind kind, std::string_view what, std::string_view object, std::uint64_t offset, std::uint64_t bytes,
               std::uint64_t since_ns) noexcept;
    void end() noexcept;
    View view() const;

private:
    static constexpr std::size_t kMostText = 240;
    mutable std::mutex mutex_;
    WaitKind kind_ = WaitKind::none;
    std::uint64_t generation_ = 0, since_ns_ = 0, offset_ = 0, bytes_ = 0;
    std::size_t what_size_ = 0, object_size_ = 0;
    char what_[32], object_[kMostText];
};

/// What a worker did and what it waited for, in its own cache lines. Busy time is the rest: end - start - waits.
struct alignas(64) WorkerMetrics {
    Counter input_bytes, output_bytes, records, units;
    Counter wait_input_ns;   ///< nothing to do yet: the stage before is slower
    Counter wait_memory_ns;  ///< no free buffer: a later stage is slower
    Counter wait_output_ns;  ///< the next queue is full
    Counter wait_io_ns;      ///< for a completion of the kernel or the fabric
    Counter start_ns, end_ns, cpu_ns;
    WaitNote waiting;

    /// Changes whenever the worker has got something done.
    std::uint64_t progress() const noexcept {
        return input_bytes.get() + output_bytes.get() + records.get() + units.get();
    }
};

/// The metrics of the worker that runs on this thread; a spare record on threads that are no worker. Never nullptr.
WorkerMetrics& this_worker() noexcept;
/// Set by the pipeline runner around a worker's body; nullptr restores the spare.
void set_this_worker(WorkerMetrics* metrics) noexcept;

/// Notes on this_worker() what it waits for, while it lives: around every call that may block.
class Waiting {
public:
    /// For disks also what is waited for. Texts are copied; allocates nothing.
    /// @param object    path of the file, or name of the pool
    /// @param offset    in the file; with `bytes`, the length of the request
    /// @param since_ns  steady clock: when the oldest request was submitted; 0: not known
    Waiting(WaitKind kind, std::string_view what, std::string_view object = {}, std::uint64_t offset = 0,
            std::uint64_t bytes = 0, std::uint64_t since_ns = 0) noexcept
        : note_(this_worker().waiting) {
        note_.begin(kind, what, object, offset, bytes, since_ns);
    }
    ~Waiting() { note_.end(); }
    Waiting(const Waiting&) = delete;

private:
    WaitNote& note_;
};

}  // namespace sluice
