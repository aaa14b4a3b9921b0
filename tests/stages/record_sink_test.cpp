#include "stages/record_sink.hpp"

#include <gtest/gtest.h>

#include "stages/stage_fixture.hpp"

namespace sluice::testing {
namespace {

constexpr std::size_t kRecords = 3000;

struct Sink {
    /// Partition 1 of a rank whose first is 2, of four.
    void check(std::span<const std::byte> records, bool verify) {
        OwnPool chunks(executor, "chunks", 4096, 4);
        Coalescer chains(executor, chunks.pool, 128, {2, 1, 4, 0}, 1);
        RecordSink sink(chains, kBlockFormat, *partitioner, 2, 4, verify);
        sink.check(1, records);
        sum = sink.sum();
    }
    ThreadExecutor executor;
    std::unique_ptr<Partitioner> partitioner = make_uniform_partitioner(kBlockFormat, 4);
    RecordSum sum;
};

std::vector<std::byte> records_of_the_last_quarter() {
    auto records = random_records(kRecords, 9);
    for (std::size_t i = 0; i < kRecords; ++i) records[i * 128] |= std::byte{0xc0};
    return records;
}

TEST(RecordSink, SumsWhatItDrops) {
    const auto records = records_of_the_last_quarter();
    Sink sink;
    sink.check(records, true);
    EXPECT_EQ(sink.sum, sum_records(records, 128));
    sink.check(records, false);
    EXPECT_EQ(sink.sum, (RecordSum{kRecords, 0}));
}

TEST(RecordSink, NamesThePartitionThatGotAForeignKeyWhereverItIs) {
    for (const std::size_t at : {std::size_t{0}, std::size_t{1023}, std::size_t{1024}, kRecords - 1}) {
        auto records = records_of_the_last_quarter();
        records[at * 128] = std::byte{0xbf};
        Sink sink;
        const Caught caught = error_of([&] { sink.check(records, true); });
        EXPECT_EQ(caught.code, 6) << at;
        EXPECT_TRUE(caught.mentions("partition 3 got a record")) << caught.text;
        EXPECT_EQ(error_of([&] { sink.check(records, false); }).code, 0);
    }
}

}  // namespace
}  // namespace sluice::testing
