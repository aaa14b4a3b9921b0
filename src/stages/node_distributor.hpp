#pragma once
/// Phase one: looks at each key once and copies each record once, to the rank that owns it or straight into its logical
/// disk.

#include <cstdint>
#include <vector>

#include "net/transport.hpp"
#include "record/partitioner.hpp"
#include "record/record_sum.hpp"
#include "runtime/doorbell.hpp"
#include "runtime/work_queue.hpp"
#include "stages/coalescer.hpp"
#include "stages/open_buffers.hpp"
#include "stages/shared_open_buffers.hpp"
#include "stages/source_sums.hpp"

namespace sluice {

/// Which rank owns which partitions: contiguous ranges in key order.
struct Ownership {
    std::vector<std::uint32_t> first_partition;  ///< by rank, and one past the end: size ranks + 1
    std::uint32_t ranks() const { return static_cast<std::uint32_t>(first_partition.size()) - 1; }
    std::uint32_t first(std::uint32_t rank) const { return first_partition[rank]; }
    std::uint32_t count(std::uint32_t rank) const { return first_partition[rank + 1] - first_partition[rank]; }
    std::uint32_t partitions() const { return first_partition.back(); }
};

/// One worker per instance. Input: buffers of whole records in any order. Output: full send buffers (header space
/// first, checksum sealed) for other ranks, full chunks for the coalescer. Source: TritonSort (NSDI 2011), node
/// distributor.
class NodeDistributor {
public:
    struct Ports {
        WorkQueue<Buffer>& input;
        BufferPool& chunks;
        Coalescer& chains;
        BufferPool* send_buffers = nullptr;  ///< nullptr with one rank: the network stages do not exist
        WorkQueue<OutgoingBuffer>* output = nullptr;
        Transport* lender = nullptr;          ///< asked for a buffer before send_buffers is; may be nullptr
        bool stream_messages = false;         ///< as into lent ones: for the limit of a shuffle that has those
        Doorbell* network = nullptr;          ///< rung after each buffer handed to the sender
        SourceSums* sources = nullptr;        ///< gets the sum of each input buffer, by Buffer::source; may be nullptr
        SharedOpenBuffers* shared = nullptr;  ///< of its group; nullptr: open send buffers of its own
    };
    /// References outlive this, but for `ownership`, which is only read here.
    /// @param rank    this one: its records go into chunks, all others into messages
    /// @param verify  sum what is read and seal what is sent; else only count (run.verify)
    NodeDistributor(Ports ports, RecordFormat format, const Partitioner& partitioner, const Ownership& ownership,
                    std::uint32_t rank, bool verify);
    void run();
    /// run()'s work on one buffer: whole records, each copied to where it belongs. Waits for buffers of the pools.
    void distribute(std::span<const std::byte> records);
    /// Sum over the records this worker read; exact after run().
    const RecordSum& input_sum() const noexcept { return input_sum_; }

private:
    void distribute_block(std::span<const std::byte> records, std::span<const std::byte> next);
    void append_shared(std::span<const std::byte> records, std::span<const std::uint32_t> block);
    void full(std::uint32_t slot, Buffer buffer);
    void send(std::uint32_t slot, Buffer buffer);

    Ports ports_;
    RecordFormat format_;
    const Partitioner& partitioner_;
    std::uint32_t local_partitions_;
    bool verify_;
    OpenBuffers open_;
    std::vector<std::uint32_t> slot_of_partition_;
    std::vector<std::uint32_t> slots_;  // of the records of one block
    TieCursor ties_;
    RecordSum input_sum_;
};

}  // namespace sluice
