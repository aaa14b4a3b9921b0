#include "record/generator.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <vector>

namespace sluice {
namespace {

/// Made one at a time, which the golden files check byte for byte.
std::vector<std::byte> one_by_one(GeneratorOptions options, Uint128 first, std::size_t count) {
    std::vector<std::byte> records(count * kGensortRecordBytes);
    for (std::size_t i = 0; i < count; ++i)
        RecordGenerator(options, first + i).fill(std::span(records).subspan(i * 100, 100));
    return records;
}

TEST(RecordGenerator, BytesAreTheSameForAnyAddressAndCountAndNoneIsWrittenBeyond) {
    constexpr std::byte kGuard{0xA5};
    for (const GeneratorOptions options : {GeneratorOptions{}, {false, true}}) {
        const auto expected = one_by_one(options, 999, 300);
        std::vector<std::byte> memory(300 * 100 + 128);
        const auto address = reinterpret_cast<std::uintptr_t>(memory.data());
        std::byte* const aligned = memory.data() + (64 - address % 64) % 64;
        for (std::size_t offset = 1; offset < 64; offset = offset < 8 ? offset + 1 : offset + 4) {
            for (const std::size_t count : {1, 7, 8, 9, 15, 16, 17, 24, 31, 100, 255, 256, 257, 264, 300}) {
                std::fill(memory.begin(), memory.end(), kGuard);
                std::byte* const out = aligned + offset;
                RecordGenerator(options, 999).fill({out, count * 100});
                ASSERT_EQ(std::memcmp(out, expected.data(), count * 100), 0) << count << " records at +" << offset;
                for (const std::byte* b = memory.data(); b < out; ++b) ASSERT_EQ(*b, kGuard);
                for (const std::byte* b = out + count * 100; b < memory.data() + memory.size(); ++b)
                    ASSERT_EQ(*b, kGuard) << count << " records at +" << offset;
            }
        }
    }
}

TEST(RecordGenerator, CallsOfAnyLengthContinueOneAnother) {
    const auto expected = one_by_one({}, 5, 1000);
    std::vector<std::byte> records(1000 * 100);
    RecordGenerator generator({}, 5);
    std::size_t at = 0;
    for (std::size_t piece = 0; at < 1000; ++piece) {
        const std::size_t count = std::min<std::size_t>(piece * 13 % 61, 1000 - at);
        generator.fill(std::span(records).subspan(at * 100, count * 100));
        at += count;
    }
    EXPECT_TRUE(records == expected);
}

TEST(RecordGenerator, FillSummedMakesTheSameRecordsAndGivesTheSumOfTheirCrcs) {
    constexpr std::uint64_t kFirst = (1 << 13) - 5000;  // the row of the skew table changes within
    for (const GeneratorOptions options : {GeneratorOptions{}, {false, true}, {true, false}, {true, true}}) {
        RecordGenerator plain(options, kFirst), summed(options, kFirst);
        for (const std::size_t count : {1, 4095, 4103, 0, 8192, 17}) {
            std::vector<std::byte> expected(count * 100), records(count * 100);
            plain.fill(expected);
            const RecordSum sum = summed.fill_summed(records);
            EXPECT_TRUE(records == expected) << count;
            Uint128 by_zlib = 0;
            for (std::size_t i = 0; i < count; ++i)
                by_zlib += record_crc(std::span<const std::byte>(expected).subspan(i * 100, 100));
            EXPECT_EQ(sum.count, count);
            EXPECT_TRUE(sum.sum == by_zlib) << count;
        }
    }
}

}  // namespace
}  // namespace sluice
