#pragma once
/// The total order of records: key first, then the whole record, unsigned bytes. Equal means byte-identical.

#include <cstring>

#include "record/record_format.hpp"

namespace sluice {

inline int compare_records(const RecordFormat& format, const std::byte* left, const std::byte* right) {
    const int by_key = std::memcmp(left + format.key_offset, right + format.key_offset, format.key_bytes);
    return by_key != 0 ? by_key : std::memcmp(left, right, format.record_bytes);
}

/// First eight bytes of the key as a number that orders as they do; a shorter key is padded with zeros.
inline std::uint64_t key_prefix(const RecordFormat& format, const std::byte* record) {
    std::uint64_t prefix = 0;
    if (format.key_bytes >= 8) {
        std::memcpy(&prefix, record + format.key_offset, 8);
    } else {
        std::memcpy(&prefix, record + format.key_offset, format.key_bytes);
    }
    return __builtin_bswap64(prefix);
}

}  // namespace sluice
