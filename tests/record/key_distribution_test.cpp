#include "record/key_distribution.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <map>
#include <set>

#include "record/compare.hpp"
#include "record/record_stream.hpp"
#include "runtime/rng.hpp"

namespace sluice {
namespace {

using Bytes = std::vector<std::byte>;

constexpr RecordFormat kShapes[] = {{100, 0, 10}, {100, 37, 20}, {100, 3, 1},     {8, 0, 8},
                                    {9, 1, 3},    {101, 90, 11}, {1000, 0, 1000}, {4097, 4000, 97}};
const char* const kAllKinds[] = {"uniform", "skewed",  "zipf:0.99", "all-equal",     "all-same", "few-distinct:7",
                                 "sorted",  "reverse", "drift",     "nearly-sorted", "hot-range"};

GeneratedData data_of(const std::string& keys, std::uint64_t records, RecordFormat format = kGensortFormat) {
    GeneratedData data;
    data.format = format;
    data.keys = KeyDistribution::parse(keys).value();
    data.records = records;
    return data;
}

Bytes make(const GeneratedData& data) {
    Bytes out(data.records * data.format.record_bytes);
    DataGenerator(data, 0).fill(out);
    return out;
}

std::vector<Bytes> keys_in(const Bytes& data, const RecordFormat& format) {
    std::vector<Bytes> keys;
    for (std::size_t at = 0; at < data.size(); at += format.record_bytes) {
        const auto* key = data.data() + at + format.key_offset;
        keys.emplace_back(key, key + format.key_bytes);
    }
    return keys;
}

std::vector<double> fractions_in(const Bytes& data, const RecordFormat& format) {
    std::vector<double> fractions;
    for (std::size_t at = 0; at < data.size(); at += format.record_bytes)
        fractions.push_back(static_cast<double>(key_prefix(format, data.data() + at)) / 0x1p64);
    return fractions;
}

/// Five standard deviations of a binomial count.
void expect_count(std::uint64_t found, std::uint64_t draws, double chance, const std::string& what) {
    const double mean = static_cast<double>(draws) * chance;
    EXPECT_NEAR(static_cast<double>(found), mean, 5 * std::sqrt(mean * (1 - chance)) + 1) << what;
}

TEST(KeyDistribution, TextIsReadBackAndNonsenseIsRefused) {
    for (const char* text : kAllKinds) EXPECT_EQ(KeyDistribution::parse(text).value().text(), text);
    EXPECT_EQ(KeyDistribution::parse("zipf:1.5").value().theta, 1.5);
    EXPECT_EQ(KeyDistribution::parse("few-distinct:18446744073709551615").value().distinct, ~std::uint64_t{0});
    for (const char* text :
         {"", "zipf", "zipf:", "zipf:-0", "zipf:-1", "zipf:nan", "zipf:inf", "zipf:1x", "few-distinct",
          "few-distinct:0", "few-distinct:1.5", "few-distinct:-1", "sorted:1", "Sorted", "sorted "}) {
        EXPECT_FALSE(KeyDistribution::parse(text)) << text;
    }
    EXPECT_EQ(KeyDistribution::parse("zipf:0").value().theta, 0);
    EXPECT_EQ(key_distribution_names().size(), std::size(kAllKinds));
}

TEST(GeneratedDataProblem, MoreKeysThanRecordsOrThanKeysCanTellApartAreRefusedWithTheNumbers) {
    GeneratedData data = data_of("few-distinct:1000", 1000);
    EXPECT_EQ(data.problem(), "");
    data.records = 999;
    EXPECT_NE(data.problem().find("from 1 to --records 999"), std::string::npos) << data.problem();
    data = data_of("few-distinct:257", 1000);
    data.format.key_bytes = 1;
    EXPECT_NE(data.problem().find("from 1 to 256"), std::string::npos) << data.problem();
    data = data_of("few-distinct:256", 1000);
    data.format.key_bytes = 1;
    EXPECT_EQ(data.problem(), "");
    EXPECT_EQ(data_of("uniform", 1).problem(), "");
}

TEST(DataGenerator, ZipfWithoutAnExponentGivesEachKeyEquallyOften) {
    GeneratedData data = data_of("zipf:0", 100'000);
    std::vector<std::byte> bytes(data.records * data.format.record_bytes);
    DataGenerator(data, 0).fill(bytes);
    std::map<std::uint64_t, std::uint64_t> counts;
    for (std::size_t at = 0; at < bytes.size(); at += data.format.record_bytes)
        ++counts[key_prefix(data.format, bytes.data() + at)];
    // 100,000 draws of as many keys: a share of 1 - 1/e comes at all, none much oftener than by chance.
    EXPECT_NEAR(static_cast<double>(counts.size()), 100'000 * 0.632, 1000);
    for (const auto& [key, count] : counts) EXPECT_LE(count, 12u) << key;
}

TEST(DataGenerator, UniformAndSkewedAreGensortsOwnBytes) {
    for (const bool ascii : {false, true}) {
        for (const bool skewed : {false, true}) {
            GeneratedData data = data_of(skewed ? "skewed" : "uniform", 3000);
            data.ascii = ascii;
            data.start = make_uint128(1, 77);
            Bytes expected(3000 * 100);
            RecordGenerator({ascii, skewed}, data.start).fill(expected);
            EXPECT_TRUE(make(data) == expected) << ascii << skewed;
        }
    }
}

TEST(DataGenerator, AnyDivisionOfTheRecordsGivesTheSameBytes) {
    Rng rng(11);
    for (const RecordFormat& format : kShapes) {
        for (const char* keys : kAllKinds) {
            GeneratedData data = data_of(keys, 700, format);
            data.start = ~Uint128{0} - 300;  // wraps on the way
            const Bytes whole = make(data);
            const DataGenerator origin(data, 0);
            for (std::uint64_t first = 0; first < data.records;) {
                const std::uint64_t count = std::min(data.records - first, 1 + rng.below(200));
                Bytes part(count * format.record_bytes);
                DataGenerator generator = origin.from(first);
                const std::size_t cut = rng.below(count + 1) * format.record_bytes;  // in two calls
                generator.fill(std::span(part).first(cut));
                generator.fill(std::span(part).subspan(cut));
                ASSERT_EQ(std::memcmp(part.data(), whole.data() + first * format.record_bytes, part.size()), 0)
                    << keys << " of " << format.record_bytes << " from " << first;
                first += count;
            }
        }
    }
}

TEST(DataGenerator, SeedChangesWhatGensortDoesNotDetermine) {
    for (const char* keys : {"zipf:0.99", "all-equal", "few-distinct:7", "drift", "nearly-sorted", "hot-range"}) {
        GeneratedData data = data_of(keys, 1000);
        const Bytes first = make(data);
        data.seed = 43;
        EXPECT_FALSE(make(data) == first) << keys;
    }
}

TEST(DataGenerator, OnlyTheKeyDiffersFromGensortsRecords) {
    for (const RecordFormat format : {kGensortFormat, RecordFormat{100, 37, 20}}) {
        const Bytes plain = make(data_of("uniform", 500, format));
        for (const char* keys :
             {"zipf:0.99", "all-equal", "few-distinct:7", "sorted", "reverse", "drift", "hot-range"}) {
            const Bytes made = make(data_of(keys, 500, format));
            for (std::size_t i = 0; i < plain.size(); ++i) {
                const std::size_t place = i % 100;
                const bool in_key = place >= format.key_offset && place < format.key_offset + format.key_bytes;
                ASSERT_TRUE(in_key || made[i] == plain[i]) << keys << " byte " << i;
            }
        }
    }
}

TEST(DataGenerator, SortedKeysRiseAndReverseKeysFallOverTheWholeKeySpace) {
    for (const RecordFormat& format : kShapes) {
        const auto rising = keys_in(make(data_of("sorted", 999, format)), format);
        const auto falling = keys_in(make(data_of("reverse", 999, format)), format);
        for (std::size_t i = 1; i < rising.size(); ++i) {
            const bool strict = format.key_bytes >= 3;  // shorter keys have too few values for 999 records
            ASSERT_TRUE(strict ? rising[i - 1] < rising[i] : rising[i - 1] <= rising[i]) << i;
            ASSERT_TRUE(strict ? falling[i - 1] > falling[i] : falling[i - 1] >= falling[i]) << i;
        }
        EXPECT_EQ(rising.front()[0], std::byte{0});
        EXPECT_EQ(rising.back()[0], std::byte{255});
    }
}

TEST(DataGenerator, OneInAHundredNearlySortedRecordsIsElsewhere) {
    const std::uint64_t records = 50'000;
    const auto sorted = keys_in(make(data_of("sorted", records)), kGensortFormat);
    const auto nearly = keys_in(make(data_of("nearly-sorted", records)), kGensortFormat);
    std::uint64_t displaced = 0;
    for (std::size_t i = 0; i < records; ++i) displaced += sorted[i] != nearly[i] ? 1 : 0;
    expect_count(displaced, records, 0.01, "displaced");
}

TEST(DataGenerator, ZipfKeysAppearAsOftenAsTheirRankSays) {
    for (const double theta : {0.5, 0.99, 1.5}) {
        const std::uint64_t records = 100'000;
        GeneratedData data = data_of("uniform", records, {16, 4, 10});
        data.keys = {KeyDistribution::Kind::zipf, theta, 0};
        std::map<Bytes, std::uint64_t> counts;
        for (const Bytes& key : keys_in(make(data), data.format)) ++counts[key];
        std::vector<std::uint64_t> by_count;
        for (const auto& [key, count] : counts) by_count.push_back(count);
        std::sort(by_count.rbegin(), by_count.rend());
        double total = 0;
        for (std::uint64_t rank = 1; rank <= records; ++rank) total += 1 / std::pow(rank, theta);
        // Where ranks are far enough apart, the order of the counts is the order of the ranks.
        for (std::uint64_t rank = 1; rank <= 3; ++rank)
            expect_count(by_count[rank - 1], records, 1 / std::pow(rank, theta) / total,
                         "rank " + std::to_string(rank));
        std::uint64_t of_first_hundred = 0;
        double chance_of_first_hundred = 0;
        for (std::uint64_t rank = 1; rank <= 100; ++rank) {
            of_first_hundred += by_count[rank - 1];
            chance_of_first_hundred += 1 / std::pow(rank, theta) / total;
        }
        EXPECT_NEAR(static_cast<double>(of_first_hundred) / static_cast<double>(records), chance_of_first_hundred,
                    0.05 * chance_of_first_hundred + 0.01);
    }
}

TEST(DataGenerator, FewDistinctKeysAreExactlySoManyAndEven) {
    std::map<Bytes, std::uint64_t> counts;
    for (const Bytes& key : keys_in(make(data_of("few-distinct:17", 40'000)), kGensortFormat)) ++counts[key];
    ASSERT_EQ(counts.size(), 17u);
    for (const auto& [key, count] : counts) expect_count(count, 40'000, 1.0 / 17, "one of 17");
}

TEST(DataGenerator, AllEqualIsOneKeyAndAllSameIsOneRecord) {
    const auto distinct_records = [](const Bytes& data) {
        const auto records = keys_in(data, {100, 0, 100});
        return std::set<Bytes>(records.begin(), records.end()).size();
    };
    const Bytes equal = make(data_of("all-equal", 2000)), same = make(data_of("all-same", 2000));
    const auto keys = keys_in(equal, kGensortFormat);
    EXPECT_EQ(std::set<Bytes>(keys.begin(), keys.end()).size(), 1u);
    EXPECT_EQ(distinct_records(equal), 2000u);
    EXPECT_EQ(distinct_records(same), 1u);
}

TEST(DataGenerator, DriftingKeysMoveThroughTheKeySpaceAlongTheFile) {
    const auto keys = fractions_in(make(data_of("drift", 16'000)), kGensortFormat);
    for (std::size_t i = 0; i < keys.size(); ++i) {
        const double window_low = static_cast<double>(i) / 16'000 * 7 / 8;
        ASSERT_GE(keys[i], window_low - 1e-6);
        ASSERT_LE(keys[i], window_low + 0.125 + 1e-6);
    }
    // Each window is filled evenly: the upper half of it about half of the time.
    std::uint64_t upper = 0;
    for (std::size_t i = 0; i < keys.size(); ++i)
        upper += keys[i] - static_cast<double>(i) / 16'000 * 7 / 8 > 0.0625 ? 1 : 0;
    expect_count(upper, keys.size(), 0.5, "upper half");
}

TEST(DataGenerator, NineTenthsOfHotRangeKeysLieInAHundredthOfTheKeySpace) {
    auto keys = fractions_in(make(data_of("hot-range", 40'000)), kGensortFormat);
    std::sort(keys.begin(), keys.end());
    std::size_t most = 0;  // in any window of a hundredth
    for (std::size_t first = 0, last = 0; first < keys.size(); ++first) {
        while (last < keys.size() && keys[last] - keys[first] <= 0.01) ++last;
        most = std::max(most, last - first);
    }
    expect_count(most, keys.size(), 0.901, "hot");
    EXPECT_LT(keys.front(), 0.01);
    EXPECT_GT(keys.back(), 0.99);
}

TEST(DataGenerator, PrintableRecordsStayPrintableAndOrderAsTheirKeysShould) {
    for (const RecordFormat format : {kGensortFormat, RecordFormat{100, 60, 40}, RecordFormat{100, 5, 4}}) {
        for (const char* kind : kAllKinds) {
            GeneratedData data = data_of(kind, 600, format);
            data.ascii = true;
            const Bytes made = make(data);
            for (std::size_t i = 0; i < made.size(); ++i) {
                const char c = static_cast<char>(made[i]);
                const std::size_t place = i % 100;
                ASSERT_TRUE(place == 98   ? c == '\r'
                            : place == 99 ? c == '\n'
                                          : c >= ' ' && c <= '~')
                    << kind << " " << i;
            }
            const auto keys = keys_in(made, format);
            if (std::string(kind) == "sorted") {
                EXPECT_TRUE(std::is_sorted(keys.begin(), keys.end()));
            }
            if (std::string(kind) == "reverse") {
                EXPECT_TRUE(std::is_sorted(keys.rbegin(), keys.rend()));
            }
            if (std::string(kind) == "all-equal") {
                EXPECT_EQ(keys.front(), keys.back());
            }
        }
    }
}

TEST(RecordStream, BuffersOfAnySizeHoldTheRecordsEndToEnd) {
    Rng rng(4);
    for (const std::uint32_t record_bytes : {1u, 7u, 16u, 100u, 1000u}) {
        for (const std::size_t buffer_bytes : {std::size_t{1}, std::size_t{16}, std::size_t{100}, std::size_t{333}}) {
            for (const std::uint64_t records : {0u, 1u, 2u, 50u}) {
                Bytes expected(records * record_bytes), found;
                for (std::byte& b : expected) b = static_cast<std::byte>(rng.next());
                std::size_t made = 0;
                RecordStream stream(record_bytes, buffer_bytes);
                stream.begin(records);
                while (stream.bytes_left() > 0) {
                    ASSERT_EQ(stream.bytes_left(), expected.size() - found.size());
                    Bytes buffer(buffer_bytes);
                    const std::size_t filled = stream.fill(buffer, [&](std::span<std::byte> out) {
                        ASSERT_EQ(out.size() % record_bytes, 0u);
                        std::memcpy(out.data(), expected.data() + made, out.size());
                        made += out.size();
                    });
                    ASSERT_TRUE(filled == buffer_bytes || stream.bytes_left() == 0) << "a gap inside the stream";
                    found.insert(found.end(), buffer.begin(), buffer.begin() + static_cast<std::ptrdiff_t>(filled));
                }
                EXPECT_TRUE(found == expected) << record_bytes << " in " << buffer_bytes;
            }
        }
    }
}

TEST(RecordJoiner, StreamsCutAnywhereGiveWholeRecordsInOrder) {
    Rng rng(5);
    for (const std::uint32_t record_bytes : {1u, 7u, 100u, 1000u}) {
        Bytes stream(30 * record_bytes), found;
        for (std::byte& b : stream) b = static_cast<std::byte>(rng.next());
        RecordJoiner joiner(record_bytes);
        const auto take = [&](std::span<const std::byte> records) {
            ASSERT_EQ(records.size() % record_bytes, 0u);
            found.insert(found.end(), records.begin(), records.end());
        };
        for (std::size_t at = 0; at < stream.size();) {
            const std::size_t bytes = std::min<std::size_t>(stream.size() - at, rng.below(250));
            joiner.feed(std::span(stream).subspan(at, bytes), take);
            at += bytes;
            ASSERT_EQ(joiner.pending_bytes(), at % record_bytes);
        }
        EXPECT_TRUE(found == stream) << record_bytes;
    }
}

}  // namespace
}  // namespace sluice
