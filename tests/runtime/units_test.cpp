// Sizes and durations are read strictly, and what is printed reads back as the same number.
#include "runtime/units.hpp"

#include <gtest/gtest.h>

#include "runtime/rng.hpp"

namespace sluice {
namespace {

constexpr std::uint64_t kMost = (std::uint64_t{1} << 63) - 1;

/// Numbers of every magnitude, many of them whole multiples of some unit.
std::uint64_t draw(Rng& rng) {
    const std::uint64_t any = rng.next() >> (1 + rng.below(63));
    switch (rng.below(4)) {
        case 0:
            return std::uint64_t{1} << rng.below(63);
        case 1:
            return any - any % kMiB;
        case 2:
            return any - any % 1000;
        default:
            return any;
    }
}

TEST(Bytes, WhatIsPrintedReadsBackAsTheSameNumber) {
    Rng rng(7);
    for (const std::uint64_t edge : {std::uint64_t{0}, std::uint64_t{1}, kKiB, kKB, kMost})
        EXPECT_EQ(parse_bytes(format_bytes(edge)), edge) << format_bytes(edge);
    for (int i = 0; i < 200'000; ++i) {
        const std::uint64_t bytes = draw(rng);
        ASSERT_EQ(parse_bytes(format_bytes(bytes)), bytes) << format_bytes(bytes);
    }
}

TEST(Durations, WhatIsPrintedReadsBackAsTheSameNumber) {
    Rng rng(8);
    for (int i = 0; i < 200'000; ++i) {
        const std::uint64_t ns = draw(rng);
        ASSERT_EQ(parse_duration_ns(format_duration_ns(ns)), ns) << format_duration_ns(ns);
    }
}

TEST(Bytes, UnitsAreBinaryAndDecimalAsTheirNamesSay) {
    EXPECT_EQ(parse_bytes("4MiB"), std::uint64_t{1} << 22);
    EXPECT_EQ(parse_bytes("4MB"), 4'000'000u);
    EXPECT_EQ(parse_bytes("512B"), 512u);
    EXPECT_EQ(parse_bytes("1.5GiB"), std::uint64_t{3} << 29);
    EXPECT_EQ(parse_bytes("3kB"), 3'000u);
    EXPECT_EQ(parse_bytes("3KB"), 3'000u);
    EXPECT_EQ(parse_bytes("3KiB"), 3'072u);
    EXPECT_EQ(parse_bytes("2PiB"), std::uint64_t{1} << 51);
    EXPECT_EQ(parse_bytes("1EB"), 1'000'000'000'000'000'000u);
    EXPECT_EQ(parse_bytes("4EiB"), std::uint64_t{1} << 62);
    EXPECT_EQ(human_bytes(1.5e18), "1.50 EB");
    EXPECT_EQ(parse_duration_ns("250ms"), 250'000'000u);
    EXPECT_EQ(parse_duration_ns("5min"), 300'000'000'000u);
}

TEST(Bytes, AnythingThatIsNoSizeIsRefused) {
    for (const char* bad : {"",
                            "4",
                            "4MiBx",
                            "10Gx",
                            "-1MiB",
                            "+1MiB",
                            " 1MiB",
                            "1 MiB",
                            "1MiB ",
                            "MiB",
                            "nan",
                            "NaNB",
                            "infB",
                            "1e3B",
                            "0x10B",
                            "1,5MiB",
                            "1.MiB",
                            ".5MiB",
                            "1.2.3MB",
                            "1..2B",
                            ".B",
                            "4mib",
                            "4mb",
                            "4G",
                            "4M",
                            "9PiBPiB",
                            "1\nMiB",
                            "1MiB\n",
                            "\xef\xbc\x98"
                            "B",
                            "1iB",
                            "B1"})
        EXPECT_EQ(parse_bytes(bad), std::nullopt) << '"' << bad << '"';
}

TEST(Bytes, SumsAndProductsEndAtTheLargestNumber) {
    static_assert(saturating_sum(3, 4) == 7 && saturating_product(3, 4) == 12);
    EXPECT_EQ(saturating_sum(UINT64_MAX, 1), UINT64_MAX);
    EXPECT_EQ(saturating_product(std::uint64_t{1} << 32, std::uint64_t{1} << 32), UINT64_MAX);
    EXPECT_EQ(saturating_product(std::uint64_t{1} << 32, (std::uint64_t{1} << 32) - 1), 0xffffffff00000000u);
}

TEST(Bytes, OverflowIsRefusedInsteadOfWrappingRound) {
    EXPECT_EQ(parse_bytes("9223372036854775807B"), kMost);
    for (const char* bad : {"9223372036854775808B", "18446744073709551616B", "18446744073709551616kB", "8192PiB",
                            "18446744073709551615PiB", "99999999999999999999999999999B", "9999999999.0PiB"})
        EXPECT_EQ(parse_bytes(bad), std::nullopt) << bad;
    EXPECT_EQ(parse_duration_ns("9999999999h"), std::nullopt);
}

TEST(Bytes, RandomBytesNeverCrashAndOnlyWholeSizesAreRead) {
    Rng rng(9);
    constexpr std::string_view kLetters = "0123456789.MGKikB-+eE \tx";
    for (int i = 0; i < 200'000; ++i) {
        std::string text;
        for (std::uint64_t n = rng.below(12); n > 0; --n) text += kLetters[rng.below(kLetters.size())];
        const auto bytes = parse_bytes(text);
        if (!bytes) continue;
        EXPECT_NE(text.find_first_of("0123456789"), std::string::npos) << text;
        EXPECT_EQ(text.find_first_of("-+e \tx"), std::string::npos) << text;
        EXPECT_EQ(text.back(), 'B') << text;
    }
}

TEST(HumanBytes, ThreeDigitsInDecimalUnits) {
    EXPECT_EQ(human_bytes(0), "0 B");
    EXPECT_EQ(human_bytes(999), "999 B");
    EXPECT_EQ(human_bytes(1000), "1.00 kB");
    EXPECT_EQ(human_bytes(2.5e9), "2.50 GB");
    EXPECT_EQ(human_bytes(12.34e6), "12.3 MB");
    EXPECT_EQ(human_bytes(999'600), "1.00 MB");
}

}  // namespace
}  // namespace sluice
