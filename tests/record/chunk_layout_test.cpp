#include "record/chunk_layout.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <vector>

#include "runtime/rng.hpp"

namespace sluice {
namespace {

RecordFormat of(std::uint32_t bytes) { return {bytes, 0, 1}; }

TEST(ChunkLayout, ShapesThatFillBlocksHaveNoPadding) {
    EXPECT_EQ(chunk_bytes_for(kGensortFormat, 102'400), 102'400u);
    EXPECT_EQ(chunk_bytes_for(kGensortFormat, 300'000), 204'800u);
    EXPECT_EQ(chunk_bytes_for(of(4096), 4096), 4096u);
    EXPECT_EQ(chunk_bytes_for(of(1 << 20), 4096), 1u << 20);
    EXPECT_TRUE(of(255).fills_blocks());
    EXPECT_FALSE(of(257).fills_blocks());
}

TEST(ChunkLayout, EveryChunkIsWholeBlocksThatAreAllUsed) {
    for (std::uint32_t bytes = 8; bytes <= 1 << 20; bytes += bytes / 50 + 1) {
        for (const std::uint64_t limit : {4096u, 65536u, 1u << 20}) {
            const std::uint64_t chunk = chunk_bytes_for(of(bytes), limit);
            const std::uint64_t records = chunk_record_bytes(chunk, bytes);
            ASSERT_EQ(chunk % kDirectIoAlign, 0u) << bytes;
            ASSERT_GE(records, bytes);
            ASSERT_LT(chunk - records, kDirectIoAlign) << bytes << " a block without records";
            const std::uint64_t needed =
                of(bytes).fills_blocks() ? of(bytes).aligned_unit_bytes() : (bytes + 4095) / 4096 * 4096;
            ASSERT_LE(chunk, std::max(limit, needed)) << bytes;
        }
        const std::uint64_t chunk = chunk_bytes_for(of(bytes), 1 << 20), records = chunk_record_bytes(chunk, bytes);
        ASSERT_LE(static_cast<double>(chunk - records), 0.008 * static_cast<double>(records)) << bytes;
    }
}

TEST(ChunkLayout, CompactedExtentsAreTheRecordsEndToEnd) {
    Rng rng(3);
    for (const std::uint32_t bytes : {257u, 1001u, 4097u, 65537u}) {
        const std::uint64_t chunk = chunk_bytes_for(of(bytes), 16384), full = chunk_record_bytes(chunk, bytes);
        for (int round = 0; round < 20; ++round) {
            // As the log writer lays it out: extents of full chunks, the last chunk of an extent maybe short.
            std::vector<std::byte> log, expected;
            struct Run {
                std::uint64_t written, records;
            };
            std::vector<Run> runs;
            for (std::uint64_t extent = 0; extent < 1 + rng.below(4); ++extent) {
                Run run{0, 0};
                const std::uint64_t chunks = 1 + rng.below(4);
                for (std::uint64_t i = 0; i < chunks; ++i) {
                    const bool last = i + 1 == chunks;
                    const std::uint64_t filled = last ? (1 + rng.below(full / bytes)) * bytes : full;
                    for (std::uint64_t b = 0; b < filled; ++b) {
                        log.push_back(static_cast<std::byte>(rng.next()));
                        expected.push_back(log.back());
                    }
                    const std::uint64_t padding = (4096 - filled % 4096) % 4096;
                    log.insert(log.end(), padding, std::byte{0xEE});
                    run.written += filled + padding;
                    run.records += filled;
                }
                runs.push_back(run);
            }
            EXPECT_LE(log.size(), padded_bytes(of(bytes), chunk, expected.size()) + runs.size() * chunk);
            std::uint64_t from = 0, to = 0;
            for (const Run& run : runs) {
                compact_extent(std::span(log).subspan(from, run.written), log.data() + to, run.records, chunk, full);
                from += run.written;
                to += run.records;
            }
            ASSERT_EQ(to, expected.size());
            ASSERT_EQ(std::memcmp(log.data(), expected.data(), to), 0) << bytes;
        }
    }
}

}  // namespace
}  // namespace sluice
