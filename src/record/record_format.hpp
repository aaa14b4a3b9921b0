#pragma once
/// Shape of one record (tuple). Fixed size; the key is a byte range of it, compared as unsigned bytes.

#include <cstddef>
#include <cstdint>
#include <numeric>

namespace sluice {

inline constexpr std::size_t kDirectIoAlign = 4096;  ///< offsets, lengths and addresses of direct I/O, in bytes

struct RecordFormat {
    std::uint32_t record_bytes = 100;
    std::uint32_t key_offset = 0;
    std::uint32_t key_bytes = 10;

    /// Smallest byte count that is whole records and whole device blocks: 102,400 for gensort data.
    constexpr std::uint64_t aligned_unit_bytes() const { return std::lcm<std::uint64_t>(record_bytes, kDirectIoAlign); }
    bool operator==(const RecordFormat&) const = default;
};

inline constexpr RecordFormat kGensortFormat{};

}  // namespace sluice
