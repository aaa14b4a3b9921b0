#pragma once
/// A shuffle's stand-in for the writers: checks what the distributors chained, and drops it.

#include <cstdint>

#include "record/partitioner.hpp"
#include "record/record_sum.hpp"
#include "stages/coalescer.hpp"

namespace sluice {

/// One worker per instance. Input: chains of one logical disk each. Throws Error(integrity) when a record lies outside
/// its partition's key range.
class RecordSink {
public:
    /// @param first_partition  of this rank: the chains count from it.
    /// @param verify  sum the records and look at their keys; else only count them.
    RecordSink(Coalescer& chains, RecordFormat format, const Partitioner& partitioner, std::uint32_t first_partition,
               std::size_t max_chunks, bool verify);
    void run();
    /// run()'s work on one chunk.
    /// @param partition  local number.
    void check(std::uint32_t partition, std::span<const std::byte> records);
    /// Over all records dropped here; exact after run().
    const RecordSum& sum() const noexcept { return sum_; }

private:
    Coalescer& chains_;
    RecordFormat format_;
    const Partitioner& partitioner_;
    std::uint32_t first_partition_;
    bool verify_;
    Chain chain_;
    RecordSum sum_;
};

}  // namespace sluice
