#include "record/valsort_summary.hpp"

#include <algorithm>
#include <cstring>

namespace sluice {
namespace {

constexpr std::size_t kRecord = 100, kFirstRecord = 80, kLastRecord = 180;

/// High word first, each little-endian.
void put(std::byte* to, Uint128 value) {
    const std::uint64_t words[2] = {static_cast<std::uint64_t>(value >> 64), static_cast<std::uint64_t>(value)};
    std::memcpy(to, words, sizeof words);
}

Uint128 get(const std::byte* from) {
    std::uint64_t words[2];
    std::memcpy(words, from, sizeof words);
    return make_uint128(words[0], words[1]);
}

}  // namespace

std::array<std::byte, kSummaryBytes> encode_summary(const SortSummary& summary) {
    std::array<std::byte, kSummaryBytes> bytes{};
    put(bytes.data(), summary.first_unordered);
    put(bytes.data() + 16, summary.unordered);
    put(bytes.data() + 32, summary.count);
    put(bytes.data() + 48, summary.duplicate_keys);
    put(bytes.data() + 64, summary.sum.sum);
    std::copy(summary.first_record.begin(), summary.first_record.end(), bytes.begin() + kFirstRecord);
    std::copy(summary.last_record.begin(), summary.last_record.end(), bytes.begin() + kLastRecord);
    return bytes;
}

SortSummary decode_summary(std::span<const std::byte, kSummaryBytes> bytes) {
    SortSummary summary;
    summary.first_unordered = get(bytes.data());
    summary.unordered = get(bytes.data() + 16);
    summary.count = get(bytes.data() + 32);
    summary.duplicate_keys = get(bytes.data() + 48);
    summary.sum = {static_cast<std::uint64_t>(summary.count), get(bytes.data() + 64)};
    summary.first_record.assign(bytes.begin() + kFirstRecord, bytes.begin() + kFirstRecord + kRecord);
    summary.last_record.assign(bytes.begin() + kLastRecord, bytes.begin() + kLastRecord + kRecord);
    return summary;
}

}  // namespace sluice
