// The golden data of the public tools (tests/data/gensort), value by value.
#include <gtest/gtest.h>

#include <boost/crc.hpp>
#include <fstream>
#include <iterator>
#include <sstream>

#include "record/crc100.hpp"
#include "record/generator.hpp"
#include "record/record_checker.hpp"
#include "record/uint128_text.hpp"
#include "record/valsort_summary.hpp"

namespace sluice {
namespace {

const std::string kData = SLUICE_SOURCE_DIR "/tests/data/gensort/";

std::vector<std::vector<std::string>> rows(const std::string& name) {
    std::ifstream file(kData + name);
    std::vector<std::vector<std::string>> table;
    std::string line;
    std::getline(file, line);  // the header
    while (std::getline(file, line)) {
        std::istringstream fields(line);
        table.emplace_back();
        for (std::string field; std::getline(fields, field, '\t');) table.back().push_back(field);
    }
    EXPECT_FALSE(table.empty()) << name;
    return table;
}

std::vector<std::byte> bytes_of(const std::string& name) {
    std::ifstream file(kData + name, std::ios::binary);
    const std::string text((std::istreambuf_iterator<char>(file)), {});
    const auto* begin = reinterpret_cast<const std::byte*>(text.data());
    return {begin, begin + text.size()};
}

GeneratorOptions options_of(const std::string& mode) {
    return {mode.find("ascii") != std::string::npos, mode.find("skewed") != std::string::npos};
}

std::vector<std::byte> generate(GeneratorOptions options, Uint128 start, std::size_t count, std::size_t block_records) {
    std::vector<std::byte> out(count * kGensortRecordBytes);
    RecordGenerator generator(options, start);
    for (std::size_t at = 0; at < count; at += block_records) {
        generator.fill(std::span(out).subspan(at * 100, std::min(block_records, count - at) * 100));
    }
    return out;
}

TEST(Golden, GeneratorStatesMatch) {
    for (const auto& row : rows("lcg.tsv")) {
        // Leading zeros are printed there.
        std::string state = to_hex(generator_state(*parse_decimal(row[0])));
        state.insert(0, 32 - state.size(), '0');
        EXPECT_EQ(state, row[1]) << row[0];
    }
}

TEST(Golden, RecordFilesMatchByteForByteForAnyBlockSize) {
    for (const auto& row : rows("records.tsv")) {
        const auto expected = bytes_of("records/" + row[0]);
        const std::size_t count = std::stoul(row[3]);
        ASSERT_EQ(expected.size(), count * 100) << row[0];
        for (const std::size_t block : {std::size_t{1}, std::size_t{7}, std::size_t{1000}}) {
            EXPECT_TRUE(generate(options_of(row[0]), *parse_decimal(row[2]), count, block) == expected)
                << row[0] << " in blocks of " << block;
        }
        for (const auto kernel :
             {crc100::Kernel::zlib, crc100::Kernel::pclmul, crc100::Kernel::avx2, crc100::Kernel::avx512}) {
            if (kernel > crc100::best_kernel()) continue;
            EXPECT_EQ(to_hex(crc100::sum(expected.data(), count, kernel)), row[4])
                << row[0] << " kernel " << static_cast<int>(kernel);
        }
    }
}

TEST(Golden, CrcOfSingleRecordsMatchesAndAgreesWithBoost) {
    for (const auto& row : rows("crc.tsv")) {
        const auto record = generate(options_of(row[0]), *parse_decimal(row[1]), 1, 1);
        boost::crc_32_type oracle;
        oracle.process_bytes(record.data(), record.size());
        EXPECT_EQ(oracle.checksum(), std::stoul(row[2], nullptr, 16)) << row[0] << " " << row[1];
        EXPECT_EQ(record_crc(record), oracle.checksum());
        EXPECT_EQ(sum_records(record, 100).sum, oracle.checksum());
    }
}

TEST(Golden, SumsMatchForAnyThreadCount) {
    for (const auto& row : rows("sums.tsv")) {
        const std::uint64_t count = std::stoull(row[3]);
        if (count > 1'000'000 && std::getenv("SLUICE_FULL_TESTS") == nullptr) continue;
        for (const unsigned threads : {1u, 2u, 3u, 7u}) {
            EXPECT_EQ(to_hex(expected_sum(options_of(row[0]), *parse_decimal(row[2]), count, threads).sum), row[4])
                << row[0] << " " << row[3];
        }
    }
}

TEST(Golden, UnsortedDataIsJudgedAsValsortDoes) {
    for (const auto& row : rows("sums.tsv")) {
        const std::uint64_t count = std::stoull(row[3]);
        if (count == 0 || count > 100'000) continue;
        const auto data = generate(options_of(row[0]), *parse_decimal(row[2]), count, 513);
        for (const std::size_t piece : {std::size_t{1}, std::size_t{3}, std::size_t{1000}, count}) {
            RecordChecker checker(kGensortFormat);
            for (std::size_t at = 0; at < count; at += piece)
                checker.feed(std::span(data).subspan(at * 100, std::min<std::size_t>(piece, count - at) * 100));
            EXPECT_EQ(to_decimal(checker.summary().unordered), row[6]);
            EXPECT_EQ(to_decimal(checker.summary().first_unordered), row[7]);
            EXPECT_EQ(to_decimal(checker.summary().duplicate_keys), row[8]);
        }
    }
}

TEST(Golden, PartsAddUpToTheWhole) {
    RecordSum total;
    std::string whole;
    for (const auto& row : rows("parts.tsv")) {
        if (row[0] != "binary") continue;
        const RecordSum sum = expected_sum(options_of(row[0]), *parse_decimal(row[2]), std::stoull(row[3]), 2);
        EXPECT_EQ(to_hex(sum.sum), row[4]) << row[2];
        if (sum.count == 1'000'000) {
            whole = row[4];
        } else {
            total += sum;
        }
    }
    EXPECT_EQ(to_hex(total.sum), whole);
}

/// A test a row: each has the time limit of a test. 10^8 records always, 2 * 10^9 in the full suite, beyond that never.
class BigSums : public ::testing::TestWithParam<std::size_t> {};

TEST_P(BigSums, MatchWhatIsPublished) {
    const auto table = rows("bigsums.tsv");
    ASSERT_LT(GetParam(), table.size());
    const auto& row = table[GetParam()];
    const std::uint64_t count = std::stoull(row[3]);
    const std::uint64_t limit = std::getenv("SLUICE_FULL_TESTS") != nullptr ? 2'000'000'000u : 100'000'000u;
    if (count > limit) GTEST_SKIP() << row[0] << " " << row[3] << " records take too long here";
    EXPECT_EQ(to_hex(expected_sum(options_of(row[0]), *parse_decimal(row[2]), count, 2).sum), row[4])
        << row[0] << " " << row[3];
}
INSTANTIATE_TEST_SUITE_P(Row, BigSums, ::testing::Range(std::size_t{0}, std::size_t{18}));
TEST(Golden, EveryRowOfTheBigSumsHasItsTest) { EXPECT_EQ(rows("bigsums.tsv").size(), 18u); }

TEST(RecordChecker, CutsOfOneRunCombineToTheSameSummary) {
    const auto data = generate({}, 0, 300, 300);
    RecordChecker whole(kGensortFormat);
    whole.feed(data);
    for (std::size_t first = 0; first <= 300; first += 37) {
        for (std::size_t second = first; second <= 300; second += 61) {
            SortSummary total;
            for (const auto& [begin, end] :
                 {std::pair<std::size_t, std::size_t>{0, first}, {first, second}, {second, 300}}) {
                RecordChecker part(kGensortFormat);
                part.feed(std::span(data).subspan(begin * 100, (end - begin) * 100));
                combine(total, part.summary());
            }
            ASSERT_FALSE(total.empty());
            EXPECT_TRUE(encode_summary(total) == encode_summary(whole.summary())) << first << " " << second;
        }
    }
}

TEST(Uint128Text, PrintsAndParsesTheWholeRange) {
    const Uint128 most = ~Uint128{0};
    EXPECT_EQ(to_decimal(most), "340282366920938463463374607431768211455");
    EXPECT_EQ(to_hex(most), "ffffffffffffffffffffffffffffffff");
    EXPECT_EQ(to_hex(0), "0");
    EXPECT_EQ(parse_decimal("340282366920938463463374607431768211455"), most);
    EXPECT_EQ(parse_decimal("340282366920938463463374607431768211456"), std::nullopt);
    for (const char* bad : {"", "-1", "1 ", "0x10", "1k"}) EXPECT_EQ(parse_decimal(bad), std::nullopt) << bad;
}

}  // namespace
}  // namespace sluice
