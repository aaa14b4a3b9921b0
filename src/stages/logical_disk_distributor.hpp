#pragma once
/// Phase one, receiving side: splits arrived buffers by logical disk.

#include <cstdint>
#include <vector>

#include "net/transport.hpp"
#include "record/partitioner.hpp"
#include "record/record_sum.hpp"
#include "runtime/work_queue.hpp"
#include "stages/coalescer.hpp"
#include "stages/node_distributor.hpp"
#include "stages/open_buffers.hpp"

namespace sluice {

/// One worker per instance. Input: buffers from other ranks, checksum verified here, on this core. Output: full chunks
/// for the coalescer. Throws Error(integrity) when a buffer was damaged or holds a record of somebody else's partition.
/// Source: TritonSort (NSDI 2011), logical disk distributor.
class LogicalDiskDistributor {
public:
    struct Ports {
        WorkQueue<ArrivedBuffer>& input;
        BufferPool& chunks;
        Coalescer& chains;
    };
    /// References outlive this, but for `ownership`, which is only read here.
    /// @param rank    this one: whose partitions records must belong to
    /// @param verify  check the checksum of each buffer; run.verify
    LogicalDiskDistributor(Ports ports, RecordFormat format, const Partitioner& partitioner, const Ownership& ownership,
                           std::uint32_t rank, bool verify);
    /// Sum the records of each source too, while they are in the cache; before run().
    void sum_sources() { received_.resize(ranks_); }
    void run();
    /// run()'s work on one buffer. Waits for chunks.
    void distribute(const ArrivedBuffer& arrived);
    /// By source rank; empty without sum_sources(). Exact after run().
    const std::vector<RecordSum>& received() const noexcept { return received_; }

private:
    void sum_source(std::uint32_t source, std::span<const std::byte> records);

    WorkQueue<ArrivedBuffer>& input_;
    Coalescer& chains_;
    RecordFormat format_;
    const Partitioner& partitioner_;
    std::uint32_t rank_, ranks_, first_partition_, partitions_;
    bool verify_;
    OpenBuffers open_;
    std::vector<std::uint32_t> slots_;
    TieCursor ties_;  // only this rank's partitions: the sender has dealt identical records out over the ranks
    std::vector<RecordSum> received_;
};

}  // namespace sluice
