#include "record/partitioner.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

#include "record/compare.hpp"
#include "record/crc32c.hpp"
#include "runtime/rng.hpp"

namespace sluice {
namespace {

std::vector<std::byte> random_records(std::size_t count, std::uint64_t seed) {
    std::vector<std::byte> data(count * 100);
    Rng rng(seed);
    for (auto& b : data) b = static_cast<std::byte>(rng.next());
    return data;
}

TEST(UniformPartitioner, FollowsKeyOrderAndItsOwnRanges) {
    auto data = random_records(2003, 1);
    std::memset(data.data(), 0, 100);
    std::memset(data.data() + 100, 0xff, 100);
    for (const std::uint32_t partitions : {1u, 2u, 3u, 7u, 256u, 1021u, 65536u}) {
        const auto partitioner = make_uniform_partitioner(kGensortFormat, partitions);
        std::vector<std::uint32_t> out(2003);
        partitioner->classify(data.data(), out);
        EXPECT_EQ(out[0], 0u);
        EXPECT_EQ(out[1], partitions - 1);
        std::uint64_t next = 0;
        for (std::uint32_t p = 0; p < partitions; ++p) {
            const auto [low, high] = partitioner->prefix_range(p);
            ASSERT_EQ(low, next);
            ASSERT_LE(low, high);
            next = high + 1;
        }
        EXPECT_EQ(next, 0u) << "the ranges cover all prefixes";
        for (std::size_t i = 0; i < out.size(); ++i) {
            const auto [low, high] = partitioner->prefix_range(out[i]);
            const std::uint64_t prefix = key_prefix(kGensortFormat, data.data() + i * 100);
            ASSERT_TRUE(low <= prefix && prefix <= high);
        }
    }
}

void expect_to_agree_with_counting(std::size_t splitters, bool hot_keys) {
    auto data = random_records(1500, splitters + 5);
    // A third of the records share their whole key, and so do some splitters.
    for (std::size_t i = 0; hot_keys && i < 1500; i += 3) std::memset(data.data() + i * 100, 0x55, 10);
    std::vector<std::vector<std::byte>> chosen;
    for (std::size_t i = 0; i < splitters; ++i) {
        const std::size_t at = i * 1500 / std::max<std::size_t>(splitters, 1) * 100;
        chosen.emplace_back(data.begin() + static_cast<std::ptrdiff_t>(at),
                            data.begin() + static_cast<std::ptrdiff_t>(at + 100));
    }
    std::sort(chosen.begin(), chosen.end());
    std::vector<std::byte> flat;
    for (const auto& s : chosen) flat.insert(flat.end(), s.begin(), s.end());
    const auto partitioner = make_splitter_partitioner(kGensortFormat, flat);
    ASSERT_EQ(partitioner->partitions(), splitters + 1);
    std::vector<std::uint32_t> out(1500);
    partitioner->classify(data.data(), out);
    for (std::size_t i = 0; i < 1500; ++i) {
        const std::vector<std::byte> record(data.begin() + static_cast<std::ptrdiff_t>(i * 100),
                                            data.begin() + static_cast<std::ptrdiff_t>(i * 100 + 100));
        const auto expected = static_cast<std::uint32_t>(
            std::count_if(chosen.begin(), chosen.end(), [&](const auto& s) { return s <= record; }));
        ASSERT_EQ(out[i], expected) << i << " of " << splitters;
    }
}

/// Crowded splitters are searched by the tree, the others from cells: both must agree.
TEST(SplitterPartitioner, AgreesWithCountingTheSplittersNotAboveTheRecord) {
    for (const std::size_t splitters : {0, 1, 2, 3, 4, 100, 255, 256, 1000}) {
        expect_to_agree_with_counting(splitters, true);
        expect_to_agree_with_counting(splitters, false);
    }
}

TEST(Crc32c, MatchesKnownVectorsAndABitwiseOracle) {
    const std::string digits = "123456789";
    EXPECT_EQ(crc32c(std::as_bytes(std::span(digits))), 0xE3069283u);
    const std::vector<std::byte> zeros(32);
    EXPECT_EQ(crc32c(zeros), 0x8A9136AAu);  // RFC 3720, B.4
    const auto data = random_records(400, 7);
    for (const std::size_t bytes : {0, 1, 7, 8, 100, 12287, 12288, 12289, 40000}) {
        std::uint32_t crc = ~0u;
        for (std::size_t i = 0; i < bytes; ++i) {
            crc ^= static_cast<std::uint32_t>(data[i]);
            for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82F63B78u : 0);
        }
        EXPECT_EQ(crc32c(std::span(data).first(bytes)), ~crc) << bytes;
        EXPECT_EQ(crc32c(std::span(data).first(bytes).subspan(bytes / 3), crc32c(std::span(data).first(bytes / 3))),
                  ~crc)
            << "continued, " << bytes;
    }
}

}  // namespace
}  // namespace sluice
