#pragma once
/// How whole records lie in chunks of device blocks (ARCHITECTURE.md, Record shapes).

#include <cstdint>
#include <span>

#include "record/record_format.hpp"

namespace sluice {

/// Size of a chunk of up to `limit_bytes` (more only where one record needs it): a multiple of the aligned unit where
/// that exists, else the smallest whose padding is at most 0.1 % of its records, or the one with the least padding.
std::uint64_t chunk_bytes_for(const RecordFormat& format, std::uint64_t limit_bytes);

/// Bytes of records in a full chunk; the chunk is written with padding when this is less than its size.
constexpr std::uint64_t chunk_record_bytes(std::uint64_t chunk_bytes, std::uint32_t record_bytes) {
    return chunk_bytes / record_bytes * record_bytes;
}

/// At most what `record_bytes_total` bytes of records take when written in chunks: padding, and a short last chunk.
std::uint64_t padded_bytes(const RecordFormat& format, std::uint64_t chunk_bytes, std::uint64_t record_bytes_total);

/// Moves the records of an extent to the front of `extent`, out of its padded chunks, to `target` (at or before it).
/// @param extent        as it was written: full chunks, the last one possibly short.
/// @param record_bytes  of records in it.
/// Cost: a copy of what is not in place yet.
void compact_extent(std::span<const std::byte> extent, std::byte* target, std::uint64_t record_bytes,
                    std::uint64_t chunk_bytes, std::uint64_t chunk_records_bytes);

}  // namespace sluice
