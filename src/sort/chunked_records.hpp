#pragma once
/// Where record i of a partition lies: in one piece, or spread over chunks that hold a power of two of records each.

#include <cstddef>
#include <cstdint>

namespace sluice {

/// All records in one piece.
struct AdjacentRecords {
    const std::byte* begin = nullptr;
    const std::byte* at(std::uint64_t index, std::uint32_t record_bytes) const { return begin + index * record_bytes; }
};

/// Records in chunks of 2^shift records, all full but the last. Two shifts and a look-up instead of a division.
struct ChunkedRecords {
    const std::byte* const* chunks = nullptr;  ///< start of each chunk; any alignment
    unsigned shift = 0;
    const std::byte* at(std::uint64_t index, std::uint32_t record_bytes) const {
        return chunks[index >> shift] + (index & ((std::uint64_t{1} << shift) - 1)) * record_bytes;
    }
};

}  // namespace sluice
