#pragma once
/// Maps records to partitions in key order.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "record/record_format.hpp"

namespace sluice {

/// Immutable; all methods are thread-safe.
class Partitioner {
public:
    virtual ~Partitioner() = default;
    virtual std::uint32_t partitions() const = 0;
    /// out[i] = partition of record i; out.size() adjacent whole records from `records` on.
    virtual void classify(const std::byte* records, std::span<std::uint32_t> out) const = 0;
    /// Smallest and largest key prefix (first eight key bytes as a big-endian number) the partition can hold.
    virtual std::pair<std::uint64_t, std::uint64_t> prefix_range(std::uint32_t partition) const = 0;
};

/// Equal pieces of the key space: right for uniform keys. One multiplication a record.
std::unique_ptr<Partitioner> make_uniform_partitioner(RecordFormat format, std::uint32_t partitions);

/// Pieces between splitters, for any keys: partition p holds the records r with splitter[p-1] <= r < splitter[p],
/// compared by key, then whole record.
/// @param splitters  whole records, ascending, one fewer than there are partitions; equal ones make empty partitions.
/// Cost: a branch-free search over the splitters' prefixes, a comparison of records only where prefixes are equal.
std::unique_ptr<Partitioner> make_splitter_partitioner(RecordFormat format, std::vector<std::byte> splitters);

}  // namespace sluice
