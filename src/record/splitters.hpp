#pragma once
/// Boundaries between partitions, chosen from a sample of the input.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "record/partitioner.hpp"
#include "record/record_format.hpp"

namespace sluice {

/// One boundary between each two neighbouring partitions.
struct Splitters {
    /// No boundaries yet: one partition.
    explicit Splitters(const RecordFormat& format) : texts(format) {}
    SplitterTexts texts;                ///< ascending, one fewer than there are partitions
    std::vector<std::uint32_t> shares;  ///< by splitter: part of the records identical to it, in 2^-32, that lies below

    std::uint32_t partitions() const { return static_cast<std::uint32_t>(shares.size()) + 1; }
    std::string serialize() const;
    /// Throws Error(integrity) when the text is no set of splitters of this format.
    static Splitters deserialize(const std::string& text, const RecordFormat& format);
    std::unique_ptr<Partitioner> make_partitioner(const RecordFormat& format) && {
        return make_splitter_partitioner(format, std::move(texts), std::move(shares));
    }
};

/// Splitters such that partition p gets about `shares[p]` of what the sample stands for. Where a boundary falls among
/// identical records of the sample, those are divided in the same proportion. Long records are cut behind the byte that
/// tells them from the sample's record before; whole are only those that must be divided, heaviest first, as far as
/// kMostWholeBytes go, so that all ranks can hold all splitters beside their memory budget.
/// @param sorted  whole records in the total order (key, then whole record); none: boundaries of zeros.
/// @param shares  by partition; they sum to 1.
inline constexpr std::size_t kMostWholeBytes = 16 << 20;
Splitters choose_splitters(const RecordFormat& format, std::span<const std::byte> sorted,
                           std::span<const double> shares);

}  // namespace sluice
