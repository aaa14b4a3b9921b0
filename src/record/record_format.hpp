#pragma once
/// Shape of one record (tuple). Fixed size; the key is a byte range of it, compared as unsigned bytes.

#include <cstddef>
#include <cstdint>
#include <numeric>

namespace sluice {

inline constexpr std::size_t kDirectIoAlign = 4096;      ///< offsets, lengths and addresses of direct I/O, in bytes
inline constexpr std::uint64_t kMaxUnitBytes = 1 << 20;  ///< beyond, buffers do not hold whole aligned units

/// Sizes in bytes. The key lies within the record: key_offset + key_bytes <= record_bytes.
struct RecordFormat {
    std::uint32_t record_bytes = 100;
    std::uint32_t key_offset = 0;
    std::uint32_t key_bytes = 10;

    /// Smallest byte count that is whole records and whole device blocks: 102,400 for gensort data.
    constexpr std::uint64_t aligned_unit_bytes() const { return std::lcm<std::uint64_t>(record_bytes, kDirectIoAlign); }
    /// Chunks, reads and writes are multiples of the aligned unit, so that nothing is padded and no record is split.
    /// Elsewhere (1,001-byte records: 4.1 MB) chunks are padded to the device block, reads begin inside blocks, and
    /// sorted records lie across write buffers.
    constexpr bool fills_blocks() const { return aligned_unit_bytes() <= kMaxUnitBytes; }
    /// What buffers of aligned data are multiples of.
    constexpr std::uint64_t buffer_unit_bytes() const { return fills_blocks() ? aligned_unit_bytes() : kDirectIoAlign; }
    /// Where the input may be cut: its pieces are multiples of this, counted from the begin of a file.
    constexpr std::uint64_t slice_unit_bytes() const { return fills_blocks() ? aligned_unit_bytes() : record_bytes; }
    bool operator==(const RecordFormat&) const = default;
};

inline constexpr RecordFormat kGensortFormat{};

}  // namespace sluice
