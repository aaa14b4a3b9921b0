#pragma once
/// Sorts adjacent records with several workers at once, where no stages are there to share the work: phase zero's
/// samples.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "record/record_format.hpp"

namespace sluice {

/// Calls work(0) to work(count - 1), each once, at the same time or one after the other; returns when all have.
using OnWorkers = std::function<void(std::uint64_t count, const std::function<void(std::uint64_t turn)>& work)>;

/// Runs of records, each in order, one run after the other.
struct SortedRuns {
    std::span<std::byte> records;     ///< the caller's
    std::vector<std::uint64_t> ends;  ///< by run, in records from the begin of all; the last one is all of them
};

/// Order is (key, whole record), unsigned bytes: records that compare equal are the same bytes, so the result is the
/// same for any number of workers.
///
/// Each worker gets a range of keys, which lies in one piece in each run: it copies those pieces to one place and sorts
/// them by tags. So a record moves twice, and is compared with others of its range only.
class ParallelSorter {
public:
    /// @param workers     at most, few where there are few records. Records that are all alike keep one of them busy.
    /// @param on_workers  kept.
    ParallelSorter(RecordFormat format, unsigned workers, OnWorkers on_workers)
        : format_(format), workers_(workers), on_workers_(std::move(on_workers)) {}

    /// Of scratch, for up to so many records.
    std::uint64_t scratch_bytes(std::uint64_t records) const;
    /// Returns the sorted records, which lie in `records` or in `spare`; the other holds anything.
    /// @param spare    as many bytes as `records`
    /// @param scratch  scratch_bytes(); 64-byte aligned
    std::span<std::byte> sort(std::span<std::byte> records, std::span<std::byte> spare,
                              std::span<std::byte> scratch) const;
    /// The same of runs.
    std::span<std::byte> merge(const SortedRuns& runs, std::span<std::byte> spare, std::span<std::byte> scratch) const;

private:
    unsigned workers_for(std::uint64_t records) const;
    std::vector<const std::byte*> choose_borders(std::span<const std::byte> records, unsigned slices) const;
    /// How many of the run, [first, last) in records, come before `border`.
    std::uint64_t before(const SortedRuns& runs, std::uint64_t first, std::uint64_t last,
                         const std::byte* border) const;
    /// Sorts slice by slice from `from` to the same place in `to`.
    /// @param ends  by slice, in records
    void sort_slices(std::span<const std::byte> from, const std::vector<std::uint64_t>& ends, std::span<std::byte> to,
                     std::span<std::byte> scratch) const;

    RecordFormat format_;
    unsigned workers_;
    OnWorkers on_workers_;
};

}  // namespace sluice
