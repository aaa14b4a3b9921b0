#include "record/crc100.hpp"

#include <gtest/gtest.h>

#include <boost/crc.hpp>
#include <vector>

#include "record/generator.hpp"
#include "runtime/rng.hpp"

namespace sluice {
namespace {

constexpr crc100::Kernel kKernels[] = {crc100::Kernel::zlib, crc100::Kernel::pclmul, crc100::Kernel::avx2,
                                       crc100::Kernel::avx512};

std::uint64_t boost_sum(std::span<const std::byte> records) {
    std::uint64_t sum = 0;
    for (; !records.empty(); records = records.subspan(100)) {
        boost::crc_32_type crc;
        crc.process_bytes(records.data(), 100);
        sum += crc.checksum();
    }
    return sum;
}

TEST(Crc100, EveryKernelOfThisProcessorAgreesWithBoostForAnyCountAndAddress) {
    std::vector<std::byte> data(64 * 100 + 64);
    Rng rng(11);
    for (std::byte& b : data) b = static_cast<std::byte>(rng.next());
    for (std::size_t count = 0; count <= 64; ++count) {
        const auto records = std::span(data).subspan(count, count * 100);  // at another address each time
        const std::uint64_t expected = boost_sum(records);
        for (const auto kernel : kKernels) {
            if (kernel > crc100::best_kernel()) continue;
            EXPECT_EQ(crc100::sum(records.data(), count, kernel), expected)
                << count << " records, kernel " << static_cast<int>(kernel);
        }
    }
}

TEST(Crc100, EachBitOfARecordCounts) {
    std::vector<std::byte> record(100);
    for (unsigned bit = 0; bit < 800; ++bit) {
        record[bit / 8] ^= std::byte(1u << bit % 8);
        for (const auto kernel : kKernels) {
            if (kernel > crc100::best_kernel()) continue;
            ASSERT_EQ(crc100::sum(record.data(), 1, kernel), boost_sum(record)) << "bit " << bit;
        }
    }
}

TEST(ExpectedSum, AgreesWithSummingTheRecordsMade) {
    const Uint128 near_wrap = ~Uint128{0} - 5000;
    for (const GeneratorOptions options : {GeneratorOptions{}, {false, true}, {true, false}, {true, true}}) {
        for (const Uint128 start : {Uint128{0}, Uint128{1}, Uint128{40'001}, (Uint128{1} << 60) - 9000,
                                    (Uint128{1} << 64) - 4100, (Uint128{1} << 124) - 4097, near_wrap}) {
            for (const std::uint64_t count : {0, 1, 4095, 4096, 4103, 4104, 20'011}) {
                std::vector<std::byte> made(count * 100);
                RecordGenerator(options, start).fill(made);
                const RecordSum sum = expected_sum(options, start, count, 1);
                EXPECT_EQ(sum.count, count);
                EXPECT_TRUE(sum.sum == boost_sum(made))
                    << (options.ascii ? "ascii" : "binary") << (options.skewed ? " skewed " : " ") << count
                    << " records from " << static_cast<std::uint64_t>(start >> 64) << ":"
                    << static_cast<std::uint64_t>(start);
            }
        }
    }
}

}  // namespace
}  // namespace sluice
