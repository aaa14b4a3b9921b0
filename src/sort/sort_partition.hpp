#pragma once
/// Sorts one partition by tags and gathers it.

#include <cstddef>
#include <cstdint>
#include <span>

#include "record/record_checker.hpp"
#include "record/record_format.hpp"
#include "sort/chunked_records.hpp"

namespace sluice {

/// Bytes of scratch that a sorter needs for up to `max_records` records.
std::uint64_t sort_scratch_bytes(std::uint64_t max_records, RecordFormat format);

/// Key prefixes the partition can hold (Partitioner::prefix_range): tags spend no bits on what all its keys share.
struct PrefixRange {
    std::uint64_t low = 0, high = ~std::uint64_t{0};
};

/// Order is (key, whole record), unsigned bytes, so the result is the same for any schedule. One thread; allocates
/// nothing.
///
/// A tag is 8 bytes, leading key bits above the record's index, while there are fewer than 2^24 records, else 16. Tags
/// are radix-sorted on as many bits as tell most records apart; runs that stay equal are tagged again with the next
/// bits, down to the last byte of the record. So equal keys cost passes over tags, never a comparison by pointer each.
/// Cost: docs/performance.md, Kernels.
/// @tparam Records  where record i lies: AdjacentRecords or ChunkedRecords.
template <typename Records>
class TaggedSorter {
public:
    /// @param scratch  sort_scratch_bytes(); 64-byte aligned; the caller's, for as long as the sorter lives.
    TaggedSorter(RecordFormat format, std::span<std::byte> scratch) : format_(format), scratch_(scratch) {}
    /// Sorts references to the first `count` of `records`, which stay where they are and must live until the last
    /// gather().
    void sort(Records records, std::uint64_t count, PrefixRange range);
    /// Copies the records from rank `first` of the sorted order on into `out`, whole records.
    void gather(std::uint64_t first, std::span<std::byte> out) const;
    /// The same for memory that a device reads next: past the caches, so that they keep what is still to be gathered.
    /// @param checker  is fed the gathered records, while they are in the first-level cache; nullptr: nobody is.
    void gather_out(std::uint64_t first, std::span<std::byte> out, RecordChecker* checker) const;
    const RecordFormat& format() const noexcept { return format_; }
    /// For tests: takes the 16-byte path whatever the size; needs scratch for twice the records.
    void force_wide_tags() noexcept { force_wide_ = true; }

private:
    RecordFormat format_;
    std::span<std::byte> scratch_;
    Records records_;
    std::uint64_t count_ = 0;
    const std::byte* sorted_ = nullptr;  // tags, in order, in scratch_
    unsigned index_bits_ = 0;            // of 8-byte tags
    bool wide_ = false, force_wide_ = false;
};
extern template class TaggedSorter<AdjacentRecords>;
extern template class TaggedSorter<ChunkedRecords>;

/// Records in one piece.
class PartitionSorter : public TaggedSorter<AdjacentRecords> {
public:
    using TaggedSorter::TaggedSorter;
    void sort(std::span<const std::byte> records, PrefixRange range);
};

/// Records in chunks, as the one-pass sort keeps them: one look-up a record more, in a table that stays in the cache.
using ChunkedSorter = TaggedSorter<ChunkedRecords>;

}  // namespace sluice
