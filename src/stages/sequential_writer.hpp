#pragma once
/// The bare two-pass copy's writer: the sort's own writes without the sort.

#include <memory>
#include <vector>

#include "io/io_backend.hpp"
#include "runtime/buffer_pool.hpp"
#include "runtime/work_queue.hpp"
#include "stages/in_flight_slots.hpp"

namespace sluice {

/// One worker per instance. Writes each buffer as it comes at the next offset of one preallocated file.
class SequentialWriter {
public:
    /// @param file   opened for writing; the caller's, like `input`, and outlives this
    /// @param depth  writes in flight, from 1. Throws Error(environment) where the host has no room for them
    SequentialWriter(IoBackend& backend, IoFile& file, unsigned depth, WorkQueue<Buffer>& input);
    void run();
    IoCounters counters() const { return queue_->counters(); }

private:
    void collect();

    IoFile& file_;
    WorkQueue<Buffer>& input_;
    InFlightSlots<Buffer> slots_;
    std::vector<IoCompletion> done_;
    std::uint64_t offset_ = 0;
    std::unique_ptr<IoQueue> queue_;  // last: its destructor waits for the kernel while buffers still live
};

}  // namespace sluice
