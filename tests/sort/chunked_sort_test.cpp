#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "runtime/rng.hpp"
#include "sort/sort_partition.hpp"

namespace sluice {
namespace {

using Bytes = std::vector<std::byte>;

/// Records in chunks of 2^shift records, each chunk somewhere else and at an odd address.
struct Scattered {
    Scattered(RecordFormat format, const Bytes& data, unsigned shift) {
        const std::size_t chunk_bytes = (std::size_t{1} << shift) * format.record_bytes;
        for (std::size_t at = 0; at < data.size(); at += chunk_bytes) {
            const std::size_t bytes = std::min(chunk_bytes, data.size() - at);
            Bytes& chunk = chunks.emplace_back(bytes + 1);
            std::memcpy(chunk.data() + 1, data.data() + at, bytes);
        }
        std::reverse(chunks.begin(), chunks.end());
        for (auto chunk = chunks.rbegin(); chunk != chunks.rend(); ++chunk) begins.push_back(chunk->data() + 1);
    }
    std::vector<Bytes> chunks;
    std::vector<const std::byte*> begins;
};

Bytes random_records(RecordFormat format, std::size_t count, std::uint64_t distinct_bytes) {
    Bytes data(count * format.record_bytes);
    Rng rng(count * 31 + format.record_bytes);
    for (std::byte& b : data) b = static_cast<std::byte>(rng.below(distinct_bytes));
    return data;
}

/// The oracle: std::sort by (key, record) over copies.
Bytes sorted_by_std(RecordFormat format, const Bytes& data) {
    std::vector<std::pair<Bytes, Bytes>> records;
    for (std::size_t at = 0; at < data.size(); at += format.record_bytes) {
        const auto begin = data.begin() + static_cast<std::ptrdiff_t>(at);
        records.emplace_back(Bytes(begin + format.key_offset, begin + format.key_offset + format.key_bytes),
                             Bytes(begin, begin + format.record_bytes));
    }
    std::sort(records.begin(), records.end());
    Bytes out;
    for (const auto& [key, record] : records) out.insert(out.end(), record.begin(), record.end());
    return out;
}

Bytes sorted_by_us(RecordFormat format, const Bytes& data, unsigned shift, bool wide) {
    const std::size_t count = data.size() / format.record_bytes;
    const Scattered scattered(format, data, shift);
    Bytes scratch(sort_scratch_bytes(2 * count + 16, format) * (wide ? 2 : 1)), out(data.size());
    ChunkedSorter sorter(format, scratch);
    if (wide) sorter.force_wide_tags();
    sorter.sort({scattered.begins.data(), shift}, count, {});
    for (std::size_t first = 0; first < count; first += 7) {
        const std::size_t piece = std::min<std::size_t>(7, count - first);
        sorter.gather(first, std::span(out).subspan(first * format.record_bytes, piece * format.record_bytes));
    }
    Bytes in_one(data.size());
    RecordChecker checker(format);
    sorter.gather_out(0, in_one, &checker);
    EXPECT_TRUE(in_one == out && checker.summary().sum.count == count && checker.summary().unordered == 0);
    return out;
}

TEST(ChunkedSorter, RecordsOfAnyShapeInChunksOfAnySizeComeOutInOrder) {
    for (const RecordFormat format : {kGensortFormat, RecordFormat{8, 0, 8}, RecordFormat{97, 3, 11},
                                      RecordFormat{250, 5, 1}, RecordFormat{5000, 100, 20}}) {
        for (const std::size_t count : {0, 1, 63, 64, 65, 3000}) {
            const Bytes data = random_records(format, count, 256), expected = sorted_by_std(format, data);
            for (const unsigned shift : {0u, 3u, 6u, 12u}) {
                EXPECT_TRUE(sorted_by_us(format, data, shift, false) == expected)
                    << format.record_bytes << " B, " << count << " records, shift " << shift;
                EXPECT_TRUE(sorted_by_us(format, data, shift, true) == expected) << "16-byte tags, shift " << shift;
            }
        }
    }
}

TEST(ChunkedSorter, TiesAreSettledByTheWholeRecord) {
    for (const std::uint64_t distinct : {1u, 2u, 3u}) {
        const Bytes data = random_records(kGensortFormat, 6000, distinct);
        EXPECT_TRUE(sorted_by_us(kGensortFormat, data, 5, false) == sorted_by_std(kGensortFormat, data)) << distinct;
    }
}

}  // namespace
}  // namespace sluice
