#include "stages/kept_partitions.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <vector>

namespace sluice {
namespace {

constexpr std::uint32_t kRecord = 24;
constexpr std::uint64_t kChunkRecords = 4;
constexpr std::size_t kChunkBytes = 112;  // 96 B of records, rounded up: no room for a fifth

class KeptPartitionsTest : public ::testing::Test {
protected:
    ThreadExecutor executor;
    std::vector<std::byte> memory = std::vector<std::byte>(10 * kChunkBytes);
    KeptPartitions kept{executor, memory, {10, kChunkBytes, kChunkRecords, kRecord, 3}};

    /// A chain of chunks of `partition` with so many records each; every byte of the n-th record of all is n.
    Chain chain(std::uint32_t partition, std::initializer_list<std::size_t> records) {
        Chain made;
        made.partition = partition;
        for (const std::size_t count : records) {
            Buffer chunk = kept.pool().take();
            for (std::size_t i = 0; i < count; ++i)
                std::memset(chunk.storage().data() + i * kRecord, static_cast<int>(next++), kRecord);
            chunk.set_size(count * kRecord);
            made.chunks.push_back(std::move(chunk));
        }
        return made;
    }
    int next = 0;
};

TEST_F(KeptPartitionsTest, RecordsAreFoundInTheOrderInWhichTheyWereKept) {
    Chain a = chain(1, {4, 4}), b = chain(2, {4}), c = chain(1, {4, 3});
    for (Chain* each : {&a, &b, &c}) kept.keep(*each);
    kept.seal();
    KeptPartition one = kept.partition(1);
    ASSERT_EQ(one.payload_bytes, 15 * kRecord);
    const int values[] = {0, 1, 2, 3, 4, 5, 6, 7, 12, 13, 14, 15, 16, 17, 18};
    for (std::size_t i = 0; i < 15; ++i) {
        const std::byte* record = one.records.at(i, kRecord);
        for (std::uint32_t at = 0; at < kRecord; ++at) ASSERT_EQ(static_cast<int>(record[at]), values[i]) << i;
    }
    EXPECT_EQ(kept.partition(0).payload_bytes, 0u);
    EXPECT_EQ(kept.partition(2).payload_bytes, 4 * kRecord);
    EXPECT_EQ(kept.total_bytes(), 19 * kRecord);
    EXPECT_EQ(kept.largest_bytes(), 15 * kRecord);
}

TEST_F(KeptPartitionsTest, ChunksOfAPartitionGoHomeWhenItIsGivenBack) {
    Chain a = chain(0, {4, 4, 1}), b = chain(2, {2});
    kept.keep(a);
    kept.keep(b);
    EXPECT_EQ(kept.pool().free_buffers(), 6u);
    kept.seal();
    kept.partition(0).give_back();
    EXPECT_EQ(kept.pool().free_buffers(), 9u);
    kept.partition(2).give_back();
    EXPECT_EQ(kept.pool().free_buffers(), 10u);
}

TEST_F(KeptPartitionsTest, LetGoAllChunksGoHomeAlsoLaterOnesAndBytesAreStillCounted) {
    Chain a = chain(1, {4, 4}), b = chain(0, {4, 2});
    kept.keep(a);
    kept.let_go();
    EXPECT_EQ(kept.pool().free_buffers(), 8u) << "b is not kept yet";
    kept.keep(b);
    kept.seal();
    EXPECT_TRUE(kept.was_let_go());
    EXPECT_EQ(kept.pool().free_buffers(), 10u);
    EXPECT_EQ(kept.total_bytes(), 14 * kRecord);
    EXPECT_EQ(kept.largest_bytes(), 8 * kRecord);
}

TEST_F(KeptPartitionsTest, ShortChunkBeforeTheLastIsABug) {
    Chain a = chain(0, {3}), b = chain(0, {4});
    kept.keep(a);
    kept.keep(b);
    EXPECT_THROW(kept.seal(), Error);
}

}  // namespace
}  // namespace sluice
