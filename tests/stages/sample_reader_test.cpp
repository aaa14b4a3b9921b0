#include "stages/sample_reader.hpp"

#include <gtest/gtest.h>

namespace sluice {
namespace {

TEST(SampleSpans, LieInEachStratumAndHoldWholeRecordsOfOneBlock) {
    const std::vector<ReadRange> ranges = {{"a", 409'600, 30'000}, {"b", 0, 1'000'000}, {"a", 0, 409'600}};
    for (const std::uint32_t record_bytes : {8u, 100u, 1000u, 2500u, 10'000u}) {
        std::vector<ReadRange> whole = ranges;
        for (ReadRange& range : whole) {
            range.offset = range.offset / record_bytes * record_bytes;
            range.bytes = range.bytes / record_bytes * record_bytes;
        }
        Rng rng(3);
        const auto spans = plan_sample_spans({whole}, record_bytes, 57, 1, rng).front();
        ASSERT_EQ(spans.size(), 57u);
        std::uint64_t total = 0, stratum = 0;
        for (const ReadRange& range : whole) total += range.bytes;
        for (const SampleSpan& span : spans) {
            const ReadRange& range = whole[span.range];
            ASSERT_EQ(span.offset % record_bytes, 0u);
            ASSERT_EQ(span.bytes % record_bytes, 0u);
            ASSERT_GT(span.bytes, 0u);
            ASSERT_GE(span.offset, range.offset);
            ASSERT_LE(span.offset + span.bytes, range.offset + range.bytes);
            if (span.bytes > record_bytes) {
                ASSERT_EQ(span.offset / 4096, (span.offset + span.bytes - 1) / 4096) << "one block";
            }
            std::uint64_t at = span.offset - range.offset;
            for (std::uint32_t r = 0; r < span.range; ++r) at += whole[r].bytes;
            const double low = static_cast<double>(stratum) * static_cast<double>(total) / 57;
            EXPECT_GT(static_cast<double>(at + span.bytes) + 4096, low);
            EXPECT_LT(static_cast<double>(at), low + static_cast<double>(total) / 57 + 4096);
            ++stratum;
        }
        EXPECT_LE(largest_span_read_bytes(spans), (record_bytes + 4095) / 4096 * 4096 + 4096);
    }
}

TEST(SampleSpans, EverythingCoversEachRecordOnce) {
    const std::vector<ReadRange> ranges = {{"a", 409'600, 130'000}, {"b", 0, 200}};
    Rng rng(1);
    std::uint64_t next = 409'600, bytes = 0;
    const auto spans = plan_sample_spans({ranges}, 100, 0, 1, rng).front();
    for (const SampleSpan& span : spans) {
        if (span.range == 1 && next != 0 && bytes == 130'000) next = 0;
        EXPECT_EQ(span.offset, next);
        next = span.offset + span.bytes;
        bytes += span.bytes;
    }
    EXPECT_EQ(bytes, 130'200u);
}

TEST(SampleSpans, OfSeveralBlocksAreAsTheirSizeSays) {
    const std::vector<ReadRange> ranges = {{"a", 0, 40'960'000}};
    for (const std::uint32_t record_bytes : {10u, 100u, 1000u, 2048u, 4096u, 10'000u, 64'000u}) {
        for (const std::uint32_t blocks : {1u, 7u, 32u}) {
            const SpanSize size(record_bytes, blocks);
            std::vector<ReadRange> whole = ranges;
            whole[0].bytes = whole[0].bytes / record_bytes * record_bytes;
            Rng rng(blocks);
            const auto spans = plan_sample_spans({whole}, record_bytes, 300, blocks, rng).front();
            ASSERT_EQ(spans.size(), 300u);
            double records = 0;
            for (const SampleSpan& span : spans) {
                ASSERT_LE(span.offset + span.bytes, whole[0].bytes);
                ASSERT_LE(span.bytes / record_bytes, size.most_records);
                records += static_cast<double>(span.bytes / record_bytes);
            }
            EXPECT_LE(largest_span_read_bytes(spans), size.read_bytes);
            EXPECT_NEAR(records / 300, size.mean_records, 0.05 * size.mean_records) << record_bytes << " B";
        }
    }
}

TEST(SampleSpans, NeighboursAreAtMostOneAndAHalfStrataApartAcrossReaders) {
    // So sorted data gives each partition of six strata 7.5 at most, a quarter more than its share.
    const std::vector<std::vector<ReadRange>> readers = {{{"a", 0, 10'000'000}, {"b", 0, 3'000'000}},
                                                         {{"c", 0, 7'000'000}}};
    std::vector<std::uint64_t> first_places;
    for (const std::uint64_t seed : {1u, 2u, 3u}) {
        Rng rng(seed);
        const auto spans = plan_sample_spans(readers, 100, 200, 1, rng);
        std::vector<std::uint64_t> places;
        for (const SampleSpan& span : spans[0]) places.push_back(span.offset + (span.range == 1 ? 10'000'000 : 0));
        for (const SampleSpan& span : spans[1]) places.push_back(span.offset + 13'000'000);
        ASSERT_EQ(places.size(), 200u);
        for (std::size_t i = 0; i < places.size(); ++i) {
            EXPECT_LT(places[i] / 100'000, i + 2) << "in its stratum, or the block around its begin";
            if (i > 0) {
                EXPECT_LE(places[i] - places[i - 1], 150'000u + 4200);
                EXPECT_GE(places[i] - places[i - 1], 50'000u - 4200);
            }
        }
        first_places.push_back(places[0]);
    }
    EXPECT_NE(first_places[0], first_places[1]);
    EXPECT_NE(first_places[1], first_places[2]);
}

TEST(SampleSpans, ReadersWithNothingToReadHaveNone) {
    Rng rng(1);
    const auto spans =
        plan_sample_spans({{}, {{"a", 0, 409'600}}, {}, {{"b", 0, 0}, {"c", 0, 409'600}}, {}}, 100, 10, 1, rng);
    ASSERT_EQ(spans.size(), 5u);
    EXPECT_EQ(spans[1].size() + spans[3].size(), 10u);
    EXPECT_EQ(spans[1].size(), 5u);
    for (const SampleSpan& span : spans[3]) EXPECT_EQ(span.range, 1u);
}

}  // namespace
}  // namespace sluice
