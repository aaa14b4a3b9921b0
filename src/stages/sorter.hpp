#pragma once
/// Phase two: sorts one partition at a time by tags and gathers it straight into the write buffers.

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "record/partitioner.hpp"
#include "record/record_checker.hpp"
#include "record/record_stream.hpp"
#include "runtime/work_queue.hpp"
#include "sort/sort_partition.hpp"
#include "stages/partition_reader.hpp"

namespace sluice {

/// A piece of an output part, in order within the part; the last piece of a part may be short.
struct SortedPiece {
    std::uint32_t partition = 0;   ///< local number
    std::uint64_t offset = 0;      ///< in the part file
    std::uint64_t part_bytes = 0;  ///< of the whole part: the file is preallocated to it
    Buffer buffer;                 ///< empty for a partition without records
};

/// One worker per instance. Order, count and checksum of each part are taken as the records leave, on the gathered
/// bytes. Throws Error(integrity) when records are out of order or outside their partition's key range.
class Sorter {
public:
    struct Ports {
        WorkQueue<LoadedPartition>& input;
        BufferPool& write_buffers;
        std::function<WorkQueue<SortedPiece>&(std::uint32_t partition)> output;  ///< the queue of the part's disk
        std::function<void()> done;                                              ///< this producer has ended
    };
    struct KeyRanges {
        const PrefixRanges& by_partition;
        std::uint32_t first_partition = 0;  ///< global number of local partition 0
    };
    /// @param parts            by local partition; this worker fills in those it sorts. Of the first and the last
    /// record
    ///                         only the keys are kept: records may have 1 MiB.
    Sorter(Ports ports, RecordFormat format, KeyRanges ranges, std::span<std::byte> scratch, bool verify,
           std::vector<SortSummary>& parts);
    void run();

private:
    void sort(const LoadedPartition& loaded);
    void emit(const LoadedPartition& loaded);

    Ports ports_;
    RecordFormat format_;
    KeyRanges ranges_;
    PartitionSorter sorter_;
    ChunkedSorter chunked_sorter_;  // over the same scratch: a partition is either contiguous or in chunks
    RecordStream stream_;
    bool verify_;
    std::vector<SortSummary>& parts_;
};

}  // namespace sluice
