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
        const auto spans = plan_sample_spans(whole, record_bytes, 57, rng);
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
    for (const SampleSpan& span : plan_sample_spans(ranges, 100, 0, rng)) {
        if (span.range == 1 && next != 0 && bytes == 130'000) next = 0;
        EXPECT_EQ(span.offset, next);
        next = span.offset + span.bytes;
        bytes += span.bytes;
    }
    EXPECT_EQ(bytes, 130'200u);
}

}  // namespace
}  // namespace sluice
