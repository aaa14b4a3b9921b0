#include "record/chunk_layout.hpp"

#include <algorithm>
#include <cstring>

#include "runtime/units.hpp"

namespace sluice {

std::uint64_t chunk_bytes_for(const RecordFormat& format, std::uint64_t limit_bytes) {
    const std::uint64_t record = format.record_bytes;
    if (format.fills_blocks())
        return std::max(format.aligned_unit_bytes(), round_down(limit_bytes, format.aligned_unit_bytes()));
    const std::uint64_t least = round_up(record, kDirectIoAlign);
    std::uint64_t best = least, best_records = record;
    for (std::uint64_t bytes = least; bytes <= limit_bytes; bytes += kDirectIoAlign) {
        const std::uint64_t records = round_down(bytes, record);
        if (round_up(records, kDirectIoAlign) != bytes) continue;  // its last block would hold nothing
        // padding / records is smaller than the best so far
        if ((bytes - records) * best_records < (best - best_records) * records) {
            best = bytes;
            best_records = records;
        }
        if ((best - best_records) * 1000 <= best_records) break;
    }
    return best;
}

std::uint64_t padded_bytes(const RecordFormat& format, std::uint64_t chunk_bytes, std::uint64_t record_bytes_total) {
    const std::uint64_t full = chunk_record_bytes(chunk_bytes, format.record_bytes);
    if (full == chunk_bytes) return round_up(record_bytes_total, kDirectIoAlign);
    return record_bytes_total / full * chunk_bytes + round_up(record_bytes_total % full, kDirectIoAlign);
}

void compact_extent(std::span<const std::byte> extent, std::byte* target, std::uint64_t record_bytes,
                    std::uint64_t chunk_bytes, std::uint64_t chunk_records_bytes) {
    const std::byte* chunk = extent.data();
    for (std::uint64_t left = record_bytes; left > 0; chunk += chunk_bytes) {
        const std::uint64_t bytes = std::min(left, chunk_records_bytes);
        if (target != chunk) std::memmove(target, chunk, bytes);
        target += bytes;
        left -= bytes;
    }
}

}  // namespace sluice
