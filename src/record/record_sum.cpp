#include "record/record_sum.hpp"

#include <zlib.h>

#include "record/crc100.hpp"
#include "record/uint128_text.hpp"
#include "runtime/error.hpp"

namespace sluice {

std::string RecordSum::text() const { return std::to_string(count) + " records, checksum " + to_hex(sum); }

std::uint32_t record_crc(std::span<const std::byte> bytes) {
    return static_cast<std::uint32_t>(::crc32_z(0, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size()));
}

RecordSum sum_records(std::span<const std::byte> records, std::uint32_t record_bytes) {
    SLUICE_CHECK(records.size() % record_bytes == 0);
    RecordSum result{records.size() / record_bytes, 0};
    if (record_bytes == 100) {
        result.sum = crc100::sum(records.data(), result.count, crc100::best_kernel());
        return result;
    }
    for (auto rest = records; !rest.empty(); rest = rest.subspan(record_bytes))
        result.sum += record_crc(rest.first(record_bytes));
    return result;
}

}  // namespace sluice
