#pragma once
/// Phase two, first stage: loads whole partitions from the extents that phase one left on the intermediate disks.

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "io/extent_log.hpp"
#include "io/io_backend.hpp"
#include "runtime/buffer_pool.hpp"
#include "runtime/work_queue.hpp"
#include "stages/in_flight_slots.hpp"
#include "stages/kept_partitions.hpp"

namespace sluice {

/// All records of one partition in no particular order: contiguous, or, in a one-pass sort, in the chunks they came in.
struct LoadedPartition {
    std::uint32_t partition = 0;  ///< local number
    Buffer records;
    std::optional<KeptPartition> kept{};  ///< then `records` is empty
    std::uint64_t bytes() const { return kept ? kept->payload_bytes : records.size(); }
};

/// Chunks of `bytes` of which the first `payload_bytes` are records; equal where chunks have no padding.
struct PaddedChunks {
    std::uint64_t bytes = 0, payload_bytes = 0;
};

/// One worker per rank, or several that take partitions in turn. Reads partitions in key order; their extents lie on
/// all intermediate disks, so all disks work at once, and the next partition is read while memory for it is free.
class PartitionReader {
public:
    struct Share {
        std::uint32_t first = 0, step = 1;  ///< every step-th partition from the first one
    };
    struct Source {
        std::vector<IoFile*> logs;  ///< by disk number of the extent index
        const ExtentIndex& index;   ///< of all partitions
        PaddedChunks chunks;        ///< how they are padded: such partitions are made contiguous here once loaded
    };
    struct Requests {
        std::uint64_t largest_bytes = 0;  ///< of one; a multiple of kDirectIoAlign
        InFlight flight;                  ///< no more of them at a time, and none beyond that many bytes
    };
    /// @param slots  buffers that hold the largest partition, padded to kDirectIoAlign.
    PartitionReader(IoBackend& backend, Source source, Requests requests, BufferPool& slots,
                    WorkQueue<LoadedPartition>& output, Share share);
    void run();
    /// When the first read was submitted, by the executor's clock; 0: none was.
    std::uint64_t first_read_ns() const { return first_read_ns_; }
    IoCounters counters() const { return queue_->counters(); }

private:
    struct Loading {
        std::uint32_t partition = 0;
        Buffer buffer;
        std::uint64_t payload_bytes = 0;
        std::size_t reads_left = 0;  ///< submitted or still to be submitted
        std::vector<Extent> extents;
    };
    void load(std::uint32_t partition);
    void read(std::size_t slot, const Extent& extent, std::uint64_t at);
    void collect(unsigned minimum);
    void hand_on(std::size_t slot);

    std::vector<IoFile*> logs_;
    const ExtentIndex& index_;
    std::uint32_t partitions_;
    std::uint64_t read_bytes_;
    PaddedChunks chunks_;
    BufferPool& slots_;
    WorkQueue<LoadedPartition>& output_;
    Share share_;
    std::vector<Loading> loading_;  // by slot number, as many as the pool has buffers
    std::vector<std::size_t> free_;
    std::vector<IoCompletion> done_;
    struct Request {
        std::uint64_t bytes = 0;  // that the read must bring
        std::size_t slot = 0;     // of the partition that it is part of
    };
    InFlightSlots<Request> requests_;
    std::uint64_t first_read_ns_ = 0, most_bytes_ = 0, bytes_in_flight_ = 0;
    std::unique_ptr<IoQueue> queue_;  // last: its destructor waits for the kernel while buffers and files still live
};

}  // namespace sluice
