#include "record/record_checker.hpp"

#include <algorithm>
#include <cstring>

namespace sluice {
namespace {

unsigned char folded(std::byte b) {
    const auto c = static_cast<unsigned char>(b);
    return c >= 'A' && c <= 'Z' ? static_cast<unsigned char>(c + 32) : c;
}

/// A ten-byte key as two numbers that compare as its bytes do.
struct Key10 {
    std::uint64_t high;
    std::uint16_t low;
    explicit Key10(const std::byte* key) {
        std::memcpy(&high, key, 8);
        std::memcpy(&low, key + 8, 2);
        high = __builtin_bswap64(high);
        low = __builtin_bswap16(low);
    }
};

/// Checksum and order check look at the same bytes while they are in the first-level cache. The checksum goes first: it
/// reads byte after byte, as the processor's prefetcher likes it.
constexpr std::size_t kBlockBytes = 16 * 1024;

}  // namespace

int compare_keys(const RecordFormat& format, KeyOrder order, const std::byte* left, const std::byte* right) {
    left += format.key_offset;
    right += format.key_offset;
    if (order == KeyOrder::bytes) return std::memcmp(left, right, format.key_bytes);
    for (std::uint32_t i = 0; i < format.key_bytes; ++i) {
        const int difference = folded(left[i]) - folded(right[i]);
        if (difference != 0) return difference;
    }
    return 0;
}

void RecordChecker::found_unordered(Uint128 index) {
    if (summary_.unordered == 0) summary_.first_unordered = index;
    ++summary_.unordered;
}

void RecordChecker::check_gensort_keys(const std::byte* records, std::size_t count) {
    Key10 previous(summary_.empty() ? records : summary_.last_record.data());
    std::size_t i = summary_.empty() ? 1 : 0;
    std::uint64_t equal = 0;
    const bool whole = ties_ == Ties::whole_records;
    for (; i < count; ++i) {
        const Key10 key(records + i * 100);
        const bool less = key.high < previous.high || (key.high == previous.high && key.low < previous.low);
        const bool same = key.high == previous.high && key.low == previous.low;
        equal += static_cast<std::uint64_t>(same);
        if (same && whole) [[unlikely]] {
            const std::byte* const record = records + i * 100;
            const std::byte* const before = i == 0 ? summary_.last_record.data() : record - 100;
            if (std::memcmp(before, record, 100) > 0) ++summary_.unordered_ties;
        }
        if (less) [[unlikely]]
            found_unordered(summary_.count + i);
        previous = key;
    }
    summary_.duplicate_keys += equal;
}

void RecordChecker::check_keys(const std::byte* records, std::size_t count) {
    const std::byte* previous = summary_.empty() ? records : summary_.last_record.data();
    for (std::size_t i = summary_.empty() ? 1 : 0; i < count; ++i) {
        const std::byte* record = records + i * format_.record_bytes;
        const int difference = compare_keys(format_, order_, previous, record);
        if (difference == 0) {
            ++summary_.duplicate_keys;
            if (ties_ == Ties::whole_records && std::memcmp(previous, record, format_.record_bytes) > 0)
                ++summary_.unordered_ties;
        }
        if (difference > 0) found_unordered(summary_.count + i);
        previous = record;
    }
}

void RecordChecker::feed(std::span<const std::byte> records) {
    const std::size_t block_bytes = std::max<std::size_t>(1, kBlockBytes / format_.record_bytes) * format_.record_bytes;
    const bool gensort = format_ == kGensortFormat && order_ == KeyOrder::bytes;
    for (; !records.empty(); records = records.subspan(std::min(block_bytes, records.size()))) {
        const auto block = records.first(std::min(block_bytes, records.size()));
        const std::size_t count = block.size() / format_.record_bytes;
        summary_.sum += sum_records(block, format_.record_bytes);
        if (gensort) {
            check_gensort_keys(block.data(), count);
        } else {
            check_keys(block.data(), count);
        }
        if (summary_.empty()) summary_.first_record.assign(block.begin(), block.begin() + format_.record_bytes);
        summary_.last_record.assign(block.end() - format_.record_bytes, block.end());
        summary_.count += count;
    }
}

const SortSummary& RecordChecker::summary() { return summary_; }

void keep_keys(SortSummary& summary, const RecordFormat& format) {
    for (std::vector<std::byte>* record : {&summary.first_record, &summary.last_record}) {
        if (record->empty()) continue;
        const auto key = record->begin() + format.key_offset;
        *record = std::vector<std::byte>(key, key + format.key_bytes);
    }
}

void keep_borders(SortSummary& summary, const RecordFormat& format) {
    for (std::vector<std::byte>* record : {&summary.first_record, &summary.last_record}) {
        if (record->empty()) continue;
        const auto key = record->begin() + format.key_offset;
        std::vector<std::byte> border(key, key + format.key_bytes);
        border.insert(border.end(), record->begin(), record->begin() + std::min(format.record_bytes, kBorderBytes));
        *record = std::move(border);
    }
}

void combine(SortSummary& total, const SortSummary& next, const RecordFormat& format, KeyOrder order, Ties ties) {
    if (next.empty()) return;
    if (total.empty()) {
        total = next;
        return;
    }
    const int difference = compare_keys(format, order, total.last_record.data(), next.first_record.data());
    if (difference == 0) {
        ++total.duplicate_keys;
        if (ties == Ties::whole_records &&
            std::memcmp(total.last_record.data(), next.first_record.data(), format.record_bytes) > 0)
            ++total.unordered_ties;
    }
    if (difference > 0) {
        ++total.unordered;
        if (total.first_unordered == 0) total.first_unordered = total.count;
    }
    if (total.first_unordered == 0 && next.first_unordered != 0)
        total.first_unordered = total.count + next.first_unordered;
    total.unordered += next.unordered;
    total.duplicate_keys += next.duplicate_keys;
    total.unordered_ties += next.unordered_ties;
    total.count += next.count;
    total.sum += next.sum;
    total.last_record = next.last_record;
}

}  // namespace sluice
