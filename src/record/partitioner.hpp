#pragma once
/// Maps records to partitions in key order.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "record/record_format.hpp"
#include "record/splitter_texts.hpp"

namespace sluice {

/// Where one worker stands in dealing out records that are byte-identical to a splitter, and the partitions it may
/// name. Not shared between workers.
struct TieCursor {
    std::uint32_t first_partition = 0, last_partition = ~0u;  ///< last exclusive
    std::uint32_t position = 0;                               ///< moves on with each record dealt out
};

/// Which keys a partition, or another part of the output, can hold. Immutable and thread-safe.
class PrefixRanges {
public:
    virtual ~PrefixRanges() = default;
    /// Smallest and largest key prefix (first eight key bytes as a big-endian number) the partition can hold.
    virtual std::pair<std::uint64_t, std::uint64_t> prefix_range(std::uint32_t partition) const = 0;
};

/// Immutable; all methods are thread-safe.
class Partitioner : public PrefixRanges {
public:
    virtual std::uint32_t partitions() const = 0;
    /// out[i] = partition of record i; out.size() adjacent whole records from `records` on. Only records that are
    /// byte-identical to a splitter can go to more than one partition: those are spread by `ties`.
    virtual void classify(const std::byte* records, std::span<std::uint32_t> out, TieCursor& ties) const = 0;
    void classify(const std::byte* records, std::span<std::uint32_t> out) const {
        TieCursor ties;
        classify(records, out, ties);
    }
};

/// Equal pieces of the key space: right for uniform keys. One multiplication a record.
std::unique_ptr<Partitioner> make_uniform_partitioner(RecordFormat format, std::uint32_t partitions);

/// Pieces between splitters, for any keys: partition p holds the records r with splitter[p-1] <= r < splitter[p],
/// compared by key, then whole record. Records byte-identical to the splitters a .. b-1 are dealt out by position over
/// the partitions a .. b, which changes no byte of the sorted output.
/// @param splitters  ascending, one fewer than there are partitions.
/// @param shares     by splitter: which part, in 2^-32, of the records identical to it belongs below it; ascending
///                   among equal splitters. Empty: nothing is dealt out, all belong above.
/// Cost: a branch-free search over the splitters' prefixes; where a prefix is equal, a comparison of records for each
/// halving of the distinct splitters with that prefix.
std::unique_ptr<Partitioner> make_splitter_partitioner(RecordFormat format, SplitterTexts splitters,
                                                       std::vector<std::uint32_t> shares);
/// The same between whole records, ascending, none of which is dealt out.
std::unique_ptr<Partitioner> make_splitter_partitioner(RecordFormat format, std::span<const std::byte> records);

}  // namespace sluice
