#pragma once
/// Phase one, receiving side: splits arrived buffers by logical disk.

#include <cstdint>
#include <vector>

#include "net/transport.hpp"
#include "record/partitioner.hpp"
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
    LogicalDiskDistributor(WorkQueue<ArrivedBuffer>& input, BufferPool& chunks, Coalescer& chains, RecordFormat format,
                           const Partitioner& partitioner, const Ownership& ownership, std::uint32_t rank, bool verify);
    void run();

private:
    void distribute(const ArrivedBuffer& arrived);

    WorkQueue<ArrivedBuffer>& input_;
    Coalescer& chains_;
    RecordFormat format_;
    const Partitioner& partitioner_;
    std::uint32_t rank_, first_partition_, partitions_;
    bool verify_;
    OpenBuffers open_;
    std::vector<std::uint32_t> slots_;
    TieCursor ties_;  // only this rank's partitions: the sender has dealt identical records out over the ranks
};

}  // namespace sluice
