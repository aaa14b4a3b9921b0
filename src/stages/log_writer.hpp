#pragma once
/// Phase one, last stage: appends chains to the log of one intermediate disk and notes them as extents.

#include <memory>
#include <vector>

#include "io/extent_log.hpp"
#include "io/io_backend.hpp"
#include "stages/coalescer.hpp"
#include "stages/in_flight_slots.hpp"

namespace sluice {

/// One worker per instance, one or more of them a disk. Takes the longest chain whenever the disk has room for one more
/// request, so a faster disk takes more. Needs no buffer to make progress.
class LogWriter {
public:
    struct Log {
        IoFile& file;
        ExtentLog& space;
        std::uint32_t disk = 0;  ///< its number in the extent index
    };
    /// @param flight  writes in flight: no more of them, and none beyond that many bytes.
    LogWriter(IoBackend& backend, Log log, ExtentIndex& index, InFlight flight, std::size_t max_chunks,
              Coalescer& chains);
    void run();
    IoCounters counters() const { return queue_->counters(); }

private:
    void submit(std::size_t slot);
    void collect();

    IoFile& file_;
    ExtentLog& log_;
    ExtentIndex& index_;
    std::uint32_t disk_;
    Coalescer& chains_;
    struct Slot {
        Chain chain;
        Extent extent;
    };
    InFlightSlots<Slot> slots_;
    std::vector<IoCompletion> done_;
    std::vector<std::span<const std::byte>> pieces_;
    std::uint64_t most_bytes_ = 0, bytes_in_flight_ = 0;
    std::unique_ptr<IoQueue> queue_;  // last: its destructor waits for the kernel while buffers and files still live
};

}  // namespace sluice
