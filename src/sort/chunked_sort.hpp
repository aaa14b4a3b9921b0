#pragma once
/// Sorts one partition whose records lie in chunks, as the one-pass sort keeps them, and gathers it.

#include <cstddef>
#include <cstdint>
#include <span>

#include "record/record_checker.hpp"
#include "record/record_format.hpp"
#include "sort/chunked_records.hpp"
#include "sort/sort_partition.hpp"

namespace sluice {

/// As PartitionSorter, same order, tags and scratch; only the records are not in one piece. One thread; allocates
/// nothing. Cost: as PartitionSorter's, and one look-up a record in a table of chunks that stays in the cache.
class ChunkedSorter {
public:
    /// @param scratch  sort_scratch_bytes(); 64-byte aligned; the caller's, for as long as the sorter lives.
    ChunkedSorter(RecordFormat format, std::span<std::byte> scratch) : format_(format), scratch_(scratch) {}
    /// Sorts references to the first `count` of `records`, which stay where they are and must live until the last
    /// gather().
    void sort(ChunkedRecords records, std::uint64_t count, PrefixRange range);
    /// Copies the records from rank `first` of the sorted order on into `out`, whole records.
    void gather(std::uint64_t first, std::span<std::byte> out) const;
    /// The same for memory that a device reads next, as PartitionSorter::gather_out.
    void gather_out(std::uint64_t first, std::span<std::byte> out, RecordChecker* checker) const;
    /// For tests: takes the 16-byte path whatever the size; needs scratch for twice the records.
    void force_wide_tags() noexcept { force_wide_ = true; }

private:
    RecordFormat format_;
    std::span<std::byte> scratch_;
    ChunkedRecords records_;
    std::uint64_t count_ = 0;
    const std::byte* sorted_ = nullptr;  // tags, in order, in scratch_
    unsigned index_bits_ = 0;
    bool wide_ = false, force_wide_ = false;
};

}  // namespace sluice
