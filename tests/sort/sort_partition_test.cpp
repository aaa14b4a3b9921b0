#include "sort/sort_partition.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <functional>
#include <vector>

#include "record/compare.hpp"
#include "runtime/rng.hpp"

namespace sluice {
namespace {

using Bytes = std::vector<std::byte>;

Bytes random_records(RecordFormat format, std::size_t count, std::uint64_t seed) {
    Bytes data(count * format.record_bytes);
    Rng rng(seed);
    for (std::byte& b : data) b = static_cast<std::byte>(rng.next());
    return data;
}

/// The oracle: std::sort over copies of the records.
Bytes sorted_by_std(RecordFormat format, const Bytes& data) {
    std::vector<Bytes> records;
    for (std::size_t at = 0; at < data.size(); at += format.record_bytes) {
        records.emplace_back(data.begin() + static_cast<std::ptrdiff_t>(at),
                             data.begin() + static_cast<std::ptrdiff_t>(at + format.record_bytes));
    }
    std::sort(records.begin(), records.end(), [&](const Bytes& a, const Bytes& b) {
        const Bytes ka(a.begin() + format.key_offset, a.begin() + format.key_offset + format.key_bytes);
        const Bytes kb(b.begin() + format.key_offset, b.begin() + format.key_offset + format.key_bytes);
        return ka != kb ? ka < kb : a < b;
    });
    Bytes out;
    for (const Bytes& record : records) out.insert(out.end(), record.begin(), record.end());
    return out;
}

Bytes sorted_by_us(RecordFormat format, const Bytes& data, bool wide, PrefixRange range = {}) {
    const std::size_t count = data.size() / format.record_bytes;
    Bytes scratch(sort_scratch_bytes(2 * count + 16, format) * (wide ? 2 : 1)), out(data.size());
    PartitionSorter sorter(format, scratch);
    if (wide) sorter.force_wide_tags();
    sorter.sort(data, range);
    for (std::size_t first = 0; first < count; first += 7) {  // in pieces, as the write buffers take it
        const std::size_t piece = std::min<std::size_t>(7, count - first);
        sorter.gather(first, std::span(out).subspan(first * format.record_bytes, piece * format.record_bytes));
    }
    // The other way out, to addresses of every kind, with the records checked as they pass.
    for (const std::size_t offset : {0, 32, 4, 1}) {
        Bytes memory(data.size() + 128, std::byte{0xA5});
        const auto address = reinterpret_cast<std::uintptr_t>(memory.data());
        std::byte* const to = memory.data() + (64 - address % 64) % 64 + offset;
        RecordChecker checker(format);
        for (std::size_t first = 0; first < count; first += 1100) {
            const std::size_t piece = std::min<std::size_t>(1100, count - first);
            sorter.gather_out(first, {to + first * format.record_bytes, piece * format.record_bytes},
                              offset == 4 ? nullptr : &checker);
        }
        EXPECT_TRUE(std::equal(out.begin(), out.end(), to)) << "streamed to +" << offset;
        for (const std::byte* b = to + out.size(); b < memory.data() + memory.size(); ++b)
            EXPECT_EQ(*b, std::byte{0xA5});
        if (offset == 4) continue;
        EXPECT_TRUE(checker.summary().sum == sum_records(data, format.record_bytes));
        EXPECT_TRUE(checker.summary().unordered == 0);
    }
    return out;
}

void expect_sorted(RecordFormat format, const Bytes& data) {
    const Bytes expected = sorted_by_std(format, data);
    EXPECT_TRUE(sorted_by_us(format, data, false) == expected);
    EXPECT_TRUE(sorted_by_us(format, data, true) == expected);
}

TEST(PartitionSorter, UniformKeysOfAllSizesComeOutInOrder) {
    for (const std::size_t count : {0, 1, 2, 3, 100, 2000, 30000})
        expect_sorted(kGensortFormat, random_records(kGensortFormat, count, count + 1));
}

TEST(PartitionSorter, RecordShapesAndKeyPlacesAreRespected) {
    for (const RecordFormat format :
         {RecordFormat{8, 0, 8}, RecordFormat{12, 3, 2}, RecordFormat{100, 50, 10}, RecordFormat{250, 5, 1},
          RecordFormat{64, 0, 64}, RecordFormat{16, 4, 12}, RecordFormat{4096, 100, 20}}) {
        expect_sorted(format, random_records(format, 3000 / (format.record_bytes / 64 + 1), format.record_bytes));
    }
}

TEST(PartitionSorter, TiesAreSettledByTheWholeRecord) {
    Bytes data = random_records(kGensortFormat, 5000, 3);
    for (std::size_t i = 0; i < 5000; ++i) std::memset(data.data() + i * 100, 7, 10);  // all keys equal
    expect_sorted(kGensortFormat, data);
    for (std::size_t i = 0; i < 5000; ++i)
        std::memset(data.data() + i * 100, static_cast<int>(i % 3), 97);  // few distinct, late differences
    expect_sorted(kGensortFormat, data);
    for (std::size_t i = 0; i < 5000; ++i) std::memset(data.data() + i * 100, 9, 100);  // byte-identical
    expect_sorted(kGensortFormat, data);
    for (const RecordFormat format : {RecordFormat{40, 13, 9}, RecordFormat{40, 13, 3}}) {
        Bytes other = random_records(format, 4000, 5);
        for (std::size_t i = 0; i < 4000; ++i) std::memset(other.data() + i * 40, static_cast<int>(i % 2), 30);
        expect_sorted(format, other);
    }
}

TEST(PartitionSorter, KeysSharingLongPrefixesAndPresortedInputs) {
    Bytes data = random_records(kGensortFormat, 4000, 8);
    for (std::size_t i = 0; i < 4000; ++i) std::memset(data.data() + i * 100, 0x80, 8);
    expect_sorted(kGensortFormat, data);
    const Bytes sorted = sorted_by_std(kGensortFormat, data);
    expect_sorted(kGensortFormat, sorted);
    Bytes reversed;
    for (std::size_t i = 4000; i > 0; --i) {
        reversed.insert(reversed.end(), sorted.begin() + static_cast<std::ptrdiff_t>(i * 100 - 100),
                        sorted.begin() + static_cast<std::ptrdiff_t>(i * 100));
    }
    expect_sorted(kGensortFormat, reversed);
}

TEST(PartitionSorter, ClusteredKeysAreOrderedByTheBitsBelowTheFirstDigits) {
    for (const std::size_t cluster : {2, 23, 24, 25, 26, 700, 999, 1001, 6000}) {
        Bytes data = random_records(kGensortFormat, 12'000, cluster);
        Rng rng(cluster);
        for (std::size_t i = 0; i < 12'000; ++i) {
            std::memset(data.data() + i * 100, static_cast<int>(i / cluster), 4);
            if (rng.below(3) == 0) std::memset(data.data() + i * 100 + 4, 0x55, 20);
        }
        expect_sorted(kGensortFormat, data);
    }
}

TEST(PartitionSorter, LateDifferencesOfLongRecordsAreFound) {
    for (const RecordFormat format :
         {RecordFormat{1000, 0, 10}, RecordFormat{1000, 700, 10}, RecordFormat{997, 5, 3}}) {
        for (const std::size_t place : {std::size_t{11}, std::size_t{500}, std::size_t{995}, std::size_t{996}}) {
            Bytes data(400 * format.record_bytes, std::byte{3});
            Rng rng(place);
            for (std::size_t i = 0; i < 400; ++i)
                data[i * format.record_bytes + place] = static_cast<std::byte>(rng.below(40));
            expect_sorted(format, data);
        }
    }
}

TEST(PartitionSorter, NarrowKeyRangesUseTheirLowBitsWithoutError) {
    for (const std::uint64_t width :
         {std::uint64_t{1}, std::uint64_t{255}, std::uint64_t{1} << 20, std::uint64_t{1} << 50}) {
        Bytes data = random_records(kGensortFormat, 6000, width);
        Rng rng(9);
        const std::uint64_t low = 0x7fffffffffffff80u;  // crosses a carry into every byte
        for (std::size_t i = 0; i < 6000; ++i) {
            const std::uint64_t prefix = __builtin_bswap64(low + rng.below(width));
            std::memcpy(data.data() + i * 100, &prefix, 8);
        }
        const Bytes expected = sorted_by_std(kGensortFormat, data);
        EXPECT_TRUE(sorted_by_us(kGensortFormat, data, false, {low, low + width - 1}) == expected) << width;
        EXPECT_TRUE(sorted_by_us(kGensortFormat, data, true, {low, low + width - 1}) == expected) << width;
    }
}

}  // namespace
}  // namespace sluice
