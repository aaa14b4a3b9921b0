#include "stages/coalescer.hpp"

#include <gtest/gtest.h>

#include <cstring>

#include "simulated/seeded_executor.hpp"

namespace sluice {
namespace {

constexpr std::uint32_t kRecord = 16;
constexpr std::size_t kChunk = 64;

struct Fixture {
    explicit Fixture(Executor& executor, Coalescer::Options options, std::size_t producers = 1,
                     std::size_t chunk_count = 8)
        : memory(kChunk * chunk_count),
          pool(executor, "chunks", memory, kChunk, chunk_count),
          chains(executor, pool, kRecord, options, producers) {
        chain.chunks.reserve(options.max_chunks);
    }
    Buffer filled(std::size_t bytes, int mark = 0) {
        Buffer buffer = pool.take();
        std::memset(buffer.free_space().data(), mark, bytes);
        buffer.commit(bytes);
        return buffer;
    }
    std::vector<std::byte> memory;
    BufferPool pool;
    Coalescer chains;
    Chain chain;
};

TEST(Coalescer, LongestChainGoesFirstAndShortOnesWait) {
    ThreadExecutor executor;
    Fixture f(executor, {3, 2, 4, 0});
    f.chains.add(0, f.filled(kChunk));
    EXPECT_FALSE(f.chains.take(f.chain, false)) << "one chunk is below the target of two";
    f.chains.add(1, f.filled(kChunk));
    f.chains.add(1, f.filled(kChunk));
    f.chains.add(2, f.filled(kChunk));
    f.chains.add(2, f.filled(kChunk));
    f.chains.add(2, f.filled(kChunk));
    ASSERT_TRUE(f.chains.take(f.chain, false));
    EXPECT_EQ(f.chain.partition, 2u);
    EXPECT_EQ(f.chain.chunks.size(), 3u);
    ASSERT_TRUE(f.chains.take(f.chain, false));
    EXPECT_EQ(f.chain.partition, 1u);
    EXPECT_FALSE(f.chains.take(f.chain, false));
    f.chain.chunks.clear();
    f.chains.producer_done();
    ASSERT_TRUE(f.chains.take(f.chain, true));
    EXPECT_EQ(f.chain.partition, 0u);
    EXPECT_TRUE(f.chains.drained());
}

TEST(Coalescer, WaitingDistributorLetsAChainOfAnyLengthOut) {
    SeededExecutor executor(5);
    Fixture f(executor, {2, 4, 4, 0}, 1, 2);
    f.pool.on_pressure([&] { f.chains.look_again(); });
    f.chains.add(0, f.filled(kChunk));
    f.chains.add(1, f.filled(kChunk));
    EXPECT_FALSE(f.chains.take(f.chain, false));
    auto distributor = executor.spawn("distributor", [&] { Buffer chunk = f.pool.take(); });
    ASSERT_TRUE(f.chains.take(f.chain, true));
    EXPECT_EQ(f.chain.chunks.size(), 1u);
    f.chain.chunks.clear();
    distributor->join();
    f.chains.producer_done();
    while (f.chains.take(f.chain, false)) f.chain.chunks.clear();
}

TEST(Coalescer, FewFreeChunksLetAChainOfAnyLengthOut) {
    ThreadExecutor executor;
    Fixture f(executor, {2, 4, 4, 3}, 1, 5);
    f.chains.add(0, f.filled(kChunk));
    f.chains.add(1, f.filled(kChunk));
    EXPECT_FALSE(f.chains.take(f.chain, false)) << "three are free, as many as the mark";
    f.chains.add(1, f.filled(kChunk));
    ASSERT_TRUE(f.chains.take(f.chain, false)) << "two are free, and nobody waits yet";
    EXPECT_EQ(f.chain.partition, 1u) << "the longest first";
    f.chain.chunks.clear();
    EXPECT_FALSE(f.chains.take(f.chain, false)) << "they came home";
    f.chains.producer_done();
    while (f.chains.take(f.chain, false)) f.chain.chunks.clear();
}

TEST(Coalescer, PartialChunksOfAllWorkersMergeIntoOneShortChunk) {
    ThreadExecutor executor;
    Fixture f(executor, {1, 1, 4, 0}, 3);
    f.chains.add_partial(0, f.filled(48, 1));
    f.chains.add_partial(0, f.filled(32, 2));
    f.chains.add_partial(0, f.filled(16, 3));
    f.chains.add(0, f.filled(kChunk, 4));
    for (int i = 0; i < 3; ++i) f.chains.producer_done();
    std::size_t bytes = 0, short_chunks = 0;
    int counts[5] = {};
    while (f.chains.take(f.chain, false)) {
        for (std::size_t i = 0; i < f.chain.chunks.size(); ++i) {
            const auto data = f.chain.chunks[i].data();
            bytes += data.size();
            if (data.size() < kChunk) {
                ++short_chunks;
                EXPECT_EQ(i + 1, f.chain.chunks.size()) << "the short chunk is the last";
            }
            for (std::size_t at = 0; at < data.size(); at += kRecord) ++counts[static_cast<int>(data[at])];
        }
        f.chain.chunks.clear();
    }
    EXPECT_EQ(bytes, 48u + 32 + 16 + 64);
    EXPECT_LE(short_chunks, 1u);
    EXPECT_EQ(counts[1], 3);
    EXPECT_EQ(counts[2], 2);
    EXPECT_EQ(counts[3], 1);
    EXPECT_EQ(counts[4], 4);
}

TEST(Coalescer, NoChainIsLongerThanTheLimitAndOrderIsKept) {
    ThreadExecutor executor;
    Fixture f(executor, {1, 1, 3, 0}, 1, 8);
    for (int i = 0; i < 8; ++i) f.chains.add(0, f.filled(kChunk, i));
    f.chains.producer_done();
    int expected = 0;
    while (f.chains.take(f.chain, false)) {
        EXPECT_LE(f.chain.chunks.size(), 3u);
        for (const Buffer& chunk : f.chain.chunks) EXPECT_EQ(static_cast<int>(chunk.data()[0]), expected++);
        f.chain.chunks.clear();
    }
    EXPECT_EQ(expected, 8);
}

}  // namespace
}  // namespace sluice
