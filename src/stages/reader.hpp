#pragma once
/// Phase one, first stage: streams the input with large direct reads.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "io/io_backend.hpp"
#include "runtime/buffer_pool.hpp"
#include "runtime/work_queue.hpp"
#include "stages/in_flight_slots.hpp"

namespace sluice {

/// A range of one input file: whole records. Where it does not begin at a device block, the block is read as well.
struct ReadRange {
    std::string path;
    std::uint64_t offset = 0, bytes = 0;
    std::uint32_t file = 0;                  ///< its number, which goes with what is read of it (Buffer::source)
    const FileIdentity* expected = nullptr;  ///< what it must be when it is opened; outlives the reader
};

/// Opens the range's file. Throws Error(input) where it is not the one that was expected.
std::unique_ptr<IoFile> open_range(IoBackend& backend, const ReadRange& range);

/// One worker per instance. Output: buffers of whole records, in no particular order; each read is one buffer.
/// Keeps `depth` reads in flight while buffers are free, and so at most depth + 1 files open. Throws Error(input) when
/// a file ends before its range does.
class Reader {
public:
    /// @param pool  buffers of a multiple of lcm(record, kDirectIoAlign) bytes, so that every read holds whole records;
    ///              for records without such a buffer size, any whole blocks that hold a record and a block more: reads
    ///              then overlap by the block that a border lies in.
    /// @param record_bytes  no record is split between buffers; 1 for bytes that are no records.
    Reader(IoBackend& backend, std::vector<ReadRange> ranges, unsigned depth, BufferPool& pool,
           WorkQueue<Buffer>& output, std::uint32_t record_bytes);
    void run();
    /// From completed reads only. Any thread, exact after run().
    IoCounters counters() const { return queue_->counters(); }
    /// When the first read was submitted, by the executor's clock; 0 when there was none. Exact after run().
    std::uint64_t first_read_ns() const noexcept { return first_read_ns_; }

private:
    bool submit_next();
    void collect();

    IoBackend& backend_;
    std::vector<ReadRange> ranges_;
    std::uint32_t record_bytes_;
    BufferPool& pool_;
    WorkQueue<Buffer>& output_;
    struct Slot {
        Buffer buffer;
        std::shared_ptr<IoFile> file;
        std::uint64_t head_bytes = 0, expected_bytes = 0;  // in front of the records; of the records
        std::size_t range = 0;
    };
    InFlightSlots<Slot> slots_;
    std::vector<IoCompletion> done_;
    std::shared_ptr<IoFile> file_;  // of the range being read: opened with its first read, once for neighbours in it
    std::size_t range_ = 0;
    std::uint64_t first_read_ns_ = 0;
    std::uint64_t position_ = 0;      // within the range
    std::unique_ptr<IoQueue> queue_;  // last: its destructor waits for the kernel while buffers and files still live
};

}  // namespace sluice
