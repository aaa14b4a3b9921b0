#include "record/splitters.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <set>
#include <string>

#include "record/compare.hpp"
#include "runtime/error.hpp"
#include "runtime/rng.hpp"

namespace sluice {
namespace {

using Record = std::vector<std::byte>;
constexpr RecordFormat kFormat{16, 2, 6};  // the key does not lead the record

Record record_of(std::uint64_t key, std::uint64_t rest) {
    Record record(16);
    for (int i = 0; i < 6; ++i) record[7 - static_cast<std::size_t>(i)] = static_cast<std::byte>(key >> (8 * i));
    std::memcpy(record.data() + 8, &rest, 8);
    return record;
}
std::vector<std::byte> flat(const std::vector<Record>& records) {
    std::vector<std::byte> bytes;
    for (const Record& r : records) bytes.insert(bytes.end(), r.begin(), r.end());
    return bytes;
}
bool less(const Record& a, const Record& b) { return compare_records(kFormat, a.data(), b.data()) < 0; }

struct Case {
    const char* name;
    std::uint64_t (*key)(Rng&, std::size_t);
    std::uint64_t (*rest)(Rng&, std::size_t);
};
const Case kCases[] = {
    {"uniform", [](Rng& r, std::size_t) { return r.next() >> 16; }, [](Rng& r, std::size_t) { return r.next(); }},
    {"all equal", [](Rng&, std::size_t) { return std::uint64_t{7}; },
     [](Rng&, std::size_t) { return std::uint64_t{1}; }},
    {"hot key, payloads differ", [](Rng&, std::size_t) { return std::uint64_t{7}; },
     [](Rng& r, std::size_t) { return r.next(); }},
    {"three values", [](Rng& r, std::size_t) { return r.below(3); },
     [](Rng&, std::size_t) { return std::uint64_t{0}; }},
    {"half of them one record",
     [](Rng& r, std::size_t) { return r.below(2) == 0 ? std::uint64_t{1} << 40 : r.next() >> 16; },
     [](Rng&, std::size_t) { return std::uint64_t{3}; }},
};

class SplittersOf : public ::testing::TestWithParam<Case> {};

/// Sampled 1 in 5, the partitions get their shares, and concatenated in order they are the sorted records.
TEST_P(SplittersOf, GivePartitionsTheirSharesInOrder) {
    constexpr std::size_t kRecords = 60'000;
    Rng rng(11);
    std::vector<Record> all, sample;
    for (std::size_t i = 0; i < kRecords; ++i) {
        const std::uint64_t key = GetParam().key(rng, i);
        all.push_back(record_of(key, GetParam().rest(rng, i)));
        if (i % 5 == 0) sample.push_back(all.back());
    }
    std::sort(sample.begin(), sample.end(), less);
    const std::vector<double> shares = {0.1, 0.2, 0.05, 0.15, 0.25, 0.25};
    const auto partitioner = choose_splitters(kFormat, flat(sample), shares).make_partitioner(kFormat);
    ASSERT_EQ(partitioner->partitions(), shares.size());

    const auto bytes = flat(all);
    std::vector<std::uint32_t> out(kRecords);
    TieCursor ties;
    for (std::size_t at = 0; at < kRecords; at += 1000)  // in blocks, as the distributors do
        partitioner->classify(bytes.data() + at * 16, std::span(out).subspan(at, 1000), ties);
    std::vector<std::vector<Record>> parts(shares.size());
    for (std::size_t i = 0; i < kRecords; ++i) {
        const auto [low, high] = partitioner->prefix_range(out[i]);
        const std::uint64_t prefix = key_prefix(kFormat, all[i].data());
        ASSERT_TRUE(low <= prefix && prefix <= high);
        parts[out[i]].push_back(all[i]);
    }
    std::vector<Record> joined;
    for (std::size_t p = 0; p < parts.size(); ++p) {
        EXPECT_NEAR(static_cast<double>(parts[p].size()) / kRecords, shares[p], 0.012) << "partition " << p;
        std::sort(parts[p].begin(), parts[p].end(), less);
        joined.insert(joined.end(), parts[p].begin(), parts[p].end());
    }
    std::sort(all.begin(), all.end(), less);
    EXPECT_TRUE(joined == all);
}
INSTANTIATE_TEST_SUITE_P(Each, SplittersOf, ::testing::ValuesIn(kCases));

TEST(Splitters, WorkerOfOneRankDealsIdenticalRecordsOverItsPartitionsOnlyInTheirProportions) {
    const std::vector<Record> sample(100, record_of(5, 5));
    const std::vector<double> shares = {0.1, 0.2, 0.3, 0.1, 0.3};
    const auto partitioner = choose_splitters(kFormat, flat(sample), shares).make_partitioner(kFormat);
    const auto bytes = flat(std::vector<Record>(8000, record_of(5, 5)));
    for (const auto& [first, last] : {std::pair(0u, 2u), std::pair(1u, 4u), std::pair(4u, 5u), std::pair(0u, 5u)}) {
        TieCursor ties{first, last, 12345};
        std::vector<std::uint32_t> out(8000);
        partitioner->classify(bytes.data(), out, ties);
        double whole = 0;
        for (std::uint32_t p = first; p < last; ++p) whole += shares[p];
        std::map<std::uint32_t, std::size_t> counts;
        for (const std::uint32_t p : out) ++counts[p];
        EXPECT_EQ(counts.size(), last - first);
        for (std::uint32_t p = first; p < last; ++p)
            EXPECT_NEAR(static_cast<double>(counts[p]) / 8000, shares[p] / whole, 0.002) << p;
    }
}

TEST(Splitters, FewerSamplesThanPartitionsStillKeepTheOrder) {
    const std::vector<Record> sample = {record_of(10, 0), record_of(20, 0)};
    const std::vector<double> shares(9, 1.0 / 9);
    const auto partitioner = choose_splitters(kFormat, flat(sample), shares).make_partitioner(kFormat);
    std::vector<Record> records;
    for (std::uint64_t key = 0; key < 30; ++key) records.push_back(record_of(key, 0));
    std::vector<std::uint32_t> out(30);
    partitioner->classify(flat(records).data(), out);
    EXPECT_TRUE(std::is_sorted(out.begin(), out.end()));
    EXPECT_EQ(out.front(), 0u);
    EXPECT_EQ(out.back(), 8u);
}

TEST(Splitters, EmptySampleGivesBoundariesThatPutEverythingInTheLastPartition) {
    const std::vector<double> shares(4, 0.25);
    const auto partitioner = choose_splitters(kFormat, {}, shares).make_partitioner(kFormat);
    std::vector<std::uint32_t> out(1);
    partitioner->classify(record_of(1, 1).data(), out);
    EXPECT_EQ(out[0], 3u);
}

TEST(Splitters, TextRoundTripsAndCutTextIsRefused) {
    const std::vector<Record> sample = {record_of(1, 2), record_of(3, 4), record_of(3, 4), record_of(5, 6)};
    const std::vector<double> shares(3, 1.0 / 3);
    const Splitters splitters = choose_splitters(kFormat, flat(sample), shares);
    const std::string text = splitters.serialize();
    const Splitters again = Splitters::deserialize(text, kFormat);
    EXPECT_EQ(again.serialize(), text);
    EXPECT_EQ(again.shares, splitters.shares);
    ASSERT_EQ(again.texts.size(), splitters.texts.size());
    for (std::size_t i = 0; i < again.texts.size(); ++i)
        EXPECT_TRUE(std::ranges::equal(again.texts[i], splitters.texts[i]));
    for (std::size_t bytes = 0; bytes < text.size(); ++bytes)
        EXPECT_THROW(Splitters::deserialize(text.substr(0, bytes), kFormat), Error) << bytes;
    EXPECT_THROW(Splitters::deserialize(text + "x", kFormat), Error);
}

/// Zeros but for four bytes at `same`, which order as their values do.
std::vector<std::byte> long_records(const RecordFormat& format, const std::vector<std::uint32_t>& values,
                                    std::size_t same) {
    std::vector<std::byte> bytes(values.size() * format.record_bytes);
    for (std::size_t i = 0; i < values.size(); ++i) {
        const std::uint32_t ordered = __builtin_bswap32(values[i]);
        std::memcpy(bytes.data() + i * format.record_bytes + same, &ordered, 4);
    }
    return bytes;
}
/// Of ascending records: lowest and highest partition that each value went to, which must not overlap out of order.
void expect_order_kept(const std::vector<std::uint32_t>& values, const std::vector<std::uint32_t>& partitions) {
    std::map<std::uint32_t, std::pair<std::uint32_t, std::uint32_t>> ranges;
    for (std::size_t i = 0; i < values.size(); ++i) {
        auto& [low, high] = ranges.try_emplace(values[i], partitions[i], partitions[i]).first->second;
        low = std::min(low, partitions[i]);
        high = std::max(high, partitions[i]);
    }
    std::uint32_t before = 0;
    for (const auto& [value, range] : ranges) {
        EXPECT_LE(before, range.first) << value;
        before = range.second;
    }
}

TEST(SplittersOfLongRecords, AreCutBehindWhatTellsThemFromTheRecordBefore) {
    constexpr RecordFormat format{1 << 20, 16, 10};
    std::vector<std::uint32_t> values;
    for (std::uint32_t i = 0; i < 40; ++i) values.push_back(i * 10);
    const auto sample = long_records(format, values, 18);  // within the key
    const std::vector<double> shares(1026, 1.0 / 1026);
    EXPECT_LT(choose_splitters(format, {}, shares).serialize().size(), 10'000u);
    const std::vector<double> eight(8, 0.125);
    Splitters splitters = choose_splitters(format, sample, eight);
    EXPECT_LT(splitters.serialize().size(), 1000u);
    const auto partitioner = std::move(splitters).make_partitioner(format);
    std::vector<std::uint32_t> out(40), expected;
    partitioner->classify(sample.data(), out);
    for (std::uint32_t i = 0; i < 40; ++i) expected.push_back(i / 5);
    EXPECT_EQ(out, expected);
}

TEST(SplittersOfLongRecords, IdenticalOnesAreWholeOnceAndDividedInTheirShares) {
    constexpr RecordFormat format{4096, 0, 10};
    const std::vector<std::uint32_t> values(200, 7);
    const auto sample = long_records(format, values, 3000);
    const std::vector<double> shares(50, 0.02);
    Splitters splitters = choose_splitters(format, sample, shares);
    const std::string text = splitters.serialize();
    EXPECT_LT(text.size(), 5000u);
    const auto partitioner = Splitters::deserialize(text, format).make_partitioner(format);
    std::vector<std::uint32_t> out(200), counts(50);
    partitioner->classify(sample.data(), out);
    for (const std::uint32_t p : out) ++counts[p];
    for (const std::uint32_t count : counts) EXPECT_NEAR(count, 4, 2);
}

/// Each boundary lies in a run of its own, of records that differ in their last bytes only: not all fit whole.
TEST(SplittersOfLongRecords, BeyondTheMemoryForWholeOnesOrderIsKeptAllTheSame) {
    constexpr RecordFormat format{65536, 0, 10};
    std::vector<std::uint32_t> values;
    for (std::uint32_t i = 0; i < 1200; ++i) values.push_back(i / 2);
    const auto sample = long_records(format, values, 65532);
    const std::vector<double> shares(601, 1.0 / 601);
    Splitters splitters = choose_splitters(format, sample, shares);
    const std::string text = splitters.serialize();
    EXPECT_GT(text.size(), kMostWholeBytes / 2) << "as many whole as fit";
    EXPECT_LT(text.size(), 2 * kMostWholeBytes + 10'000);
    const auto partitioner = std::move(splitters).make_partitioner(format);
    std::vector<std::uint32_t> out(values.size());
    TieCursor ties;
    partitioner->classify(sample.data(), out, ties);
    expect_order_kept(values, out);
    EXPECT_GT(std::set(out.begin(), out.end()).size(), 200u);
}

TEST(SplittersOfLongRecords, RandomOnesWithFewValuesKeepTheOrder) {
    constexpr RecordFormat format{300, 200, 3};
    for (std::uint64_t seed = 0; seed < 60; ++seed) {
        Rng rng(seed);
        const std::uint64_t distinct = 1 + rng.below(60);
        std::vector<std::uint32_t> values, sampled;
        for (std::size_t i = 0; i < 400; ++i) values.push_back(static_cast<std::uint32_t>(rng.below(distinct) << 9));
        std::sort(values.begin(), values.end());
        for (const std::uint32_t value : values)
            if (rng.below(4) == 0) sampled.push_back(value);
        const std::size_t same = rng.below(297);
        const std::vector<double> shares(2 + rng.below(40), 0.05);
        Splitters splitters = choose_splitters(format, long_records(format, sampled, same), shares);
        const auto partitioner = Splitters::deserialize(splitters.serialize(), format).make_partitioner(format);
        std::vector<std::uint32_t> out(values.size());
        partitioner->classify(long_records(format, values, same).data(), out);
        expect_order_kept(values, out);
    }
}

}  // namespace
}  // namespace sluice
