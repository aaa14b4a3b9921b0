#include "record/record_checker.hpp"

#include <gtest/gtest.h>
#include <zlib.h>

#include <algorithm>
#include <cstring>

#include "runtime/rng.hpp"

namespace sluice {
namespace {

using Bytes = std::vector<std::byte>;

Bytes records_of(const std::vector<std::string>& keys, RecordFormat format) {
    Bytes data(keys.size() * format.record_bytes);
    for (std::size_t i = 0; i < keys.size(); ++i)
        std::memcpy(data.data() + i * format.record_bytes + format.key_offset, keys[i].data(), format.key_bytes);
    return data;
}

TEST(RecordChecker, CaseOfLettersIsIgnoredInTheKeyAndNothingElseIs) {
    const RecordFormat format{8, 2, 3};
    const Bytes data = records_of({"ABC", "abc", "aBd", "AC[", "ac{", "b@@", "B``", "Bab"}, format);
    RecordChecker folding(format, KeyOrder::ignore_case);
    folding.feed(data);
    // Folded: abc abc abd ac[ ac{ b@@ b`` bab.
    EXPECT_TRUE(folding.summary().unordered == 0);
    EXPECT_TRUE(folding.summary().duplicate_keys == 1);
    RecordChecker plain(format);
    plain.feed(data);
    // By bytes: abc > aBd > AC[, ac{ < b@@ > B`` < Bab... falls at 2, 3, 6.
    EXPECT_TRUE(plain.summary().unordered == 3);
    EXPECT_TRUE(plain.summary().first_unordered == 2);
    EXPECT_TRUE(plain.summary().duplicate_keys == 0);
}

TEST(RecordChecker, AnyShapeIsJudgedAsOneRecordAtATimeWouldBe) {
    Rng rng(8);
    for (const RecordFormat format :
         {RecordFormat{8, 0, 8}, RecordFormat{9, 8, 1}, RecordFormat{100, 0, 10}, RecordFormat{100, 90, 10},
          RecordFormat{1001, 500, 20}, RecordFormat{50'001, 7, 2}}) {
        const std::size_t count = std::max<std::size_t>(20, 60'000 / format.record_bytes);
        Bytes data(count * format.record_bytes);
        for (std::byte& b : data) b = static_cast<std::byte>(rng.below(3));  // many equal keys
        std::uint64_t unordered = 0, duplicates = 0, first = 0, sum = 0;
        for (std::size_t i = 0; i < count; ++i) {
            const std::byte* record = data.data() + i * format.record_bytes;
            sum += ::crc32(0, reinterpret_cast<const unsigned char*>(record), format.record_bytes);
            if (i == 0) continue;
            const int order = std::memcmp(record - format.record_bytes + format.key_offset, record + format.key_offset,
                                          format.key_bytes);
            duplicates += order == 0 ? 1 : 0;
            if (order > 0 && unordered++ == 0) first = i;
        }
        RecordChecker checker(format);
        for (std::size_t at = 0; at < count;) {
            const std::size_t piece = std::min<std::size_t>(count - at, 1 + rng.below(300));
            checker.feed(std::span(data).subspan(at * format.record_bytes, piece * format.record_bytes));
            at += piece;
        }
        const SortSummary& found = checker.summary();
        EXPECT_TRUE(found.count == count && found.sum.count == count && found.sum.sum == sum) << format.record_bytes;
        EXPECT_TRUE(found.unordered == unordered && found.duplicate_keys == duplicates &&
                    found.first_unordered == first)
            << format.record_bytes;
        EXPECT_TRUE(std::equal(found.last_record.begin(), found.last_record.end(), data.end() - format.record_bytes));
    }
}

}  // namespace
}  // namespace sluice
