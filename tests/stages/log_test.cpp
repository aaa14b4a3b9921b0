// The two ends of the intermediate logs: what a log writer put down, a partition reader brings back.
#include <gtest/gtest.h>

#include "simulated/fault_backend.hpp"
#include "simulated/memory_backend.hpp"
#include "stages/log_writer.hpp"
#include "stages/partition_reader.hpp"
#include "stages/stage_fixture.hpp"

namespace sluice::testing {
namespace {

constexpr std::uint32_t kPartitions = 5;
constexpr std::uint64_t kChunk = 8192, kLogBytes = 4 << 20;

class Logs : public ::testing::Test {
protected:
    Logs() { disk_.directories["/d"] = true; }

    /// Partition p gets p full chunks and one with p records; partition 0 is empty.
    void write(InFlight flight, const RecordFormat& format = kBlockFormat) {
        OwnPool chunks(executor_, "chunks", kChunk, 32);
        Coalescer chains(executor_, chunks.pool, format.record_bytes, {kPartitions, 1, 3, 0}, 1);
        const std::uint64_t full = kChunk / format.record_bytes;
        for (std::uint32_t p = 1; p < kPartitions; ++p) {
            records_[p] = random_records(p * full + p, p, format);
            std::span<const std::byte> rest = records_[p];
            for (std::uint32_t chunk = 0; chunk < p; ++chunk) {
                chains.add(p, filled(chunks.pool, rest.first(full * format.record_bytes)));
                rest = rest.subspan(full * format.record_bytes);
            }
            chains.add_partial(p, filled(chunks.pool, rest));
        }
        chains.producer_done();
        file_ = io_->create("/d/log");
        file_->preallocate(kLogBytes);
        LogWriter writer(*io_, {*file_, log_, 0}, index_, flight, 3, chains);
        writer.run();
        written_ = writer.counters();
    }
    /// What the reader hands on, by partition.
    std::vector<std::vector<std::byte>> read(PartitionReader::Share share, PartitionReader::Requests requests,
                                             const RecordFormat& format = kBlockFormat) {
        OwnPool slots(executor_, "slots", 8 * kChunk, kPartitions);
        WorkQueue<LoadedPartition> output(executor_, kPartitions, 1);
        const std::uint64_t record_bytes = kChunk / format.record_bytes * format.record_bytes;
        PartitionReader reader(*io_, {{file_.get()}, index_, {kChunk, record_bytes}}, requests, slots.pool, output,
                               share);
        reader.run();
        read_ = reader.counters();
        std::vector<std::vector<std::byte>> loaded(kPartitions);
        while (auto partition = output.pop()) {
            order_.push_back(partition->partition);
            loaded[partition->partition].assign(partition->records.data().begin(), partition->records.data().end());
        }
        return loaded;
    }

    ThreadExecutor executor_;
    MemoryDisk disk_{executor_};
    std::unique_ptr<IoBackend> io_ = make_memory_backend(executor_, disk_, 3, 0);
    std::unique_ptr<IoFile> file_;
    ExtentLog log_{executor_, "/d/log", kLogBytes};
    ExtentIndex index_{executor_, kPartitions};
    std::vector<std::vector<std::byte>> records_ = std::vector<std::vector<std::byte>>(kPartitions);
    IoCounters written_, read_;
    std::vector<std::uint32_t> order_;
};

TEST_F(Logs, GiveBackEachPartitionAsItWas) {
    write({4});
    EXPECT_EQ(index_.total_bytes(), written_.written_bytes - index_.padding_bytes());
    EXPECT_EQ(index_.padding_bytes(), 4 * 4096 - (1 + 2 + 3 + 4) * 128u) << "of the short last chunks alone";
    EXPECT_EQ(log_.used_bytes(), written_.written_bytes);
    const auto loaded = read({0, 1}, {4096, {4}});
    for (std::uint32_t p = 0; p < kPartitions; ++p) {
        EXPECT_EQ(index_.bytes(p), records_[p].size());
        EXPECT_EQ(sorted_texts(loaded[p]), sorted_texts(records_[p])) << p;
    }
    EXPECT_EQ(order_.size(), kPartitions);
    EXPECT_EQ(read_.read_bytes, written_.written_bytes) << "each block once";
}

TEST_F(Logs, GiveBackRecordsThatFillNoBlock) {
    const RecordFormat odd{1001, 0, 10};
    write({4}, odd);
    const auto loaded = read({0, 1}, {8192, {2}}, odd);
    for (std::uint32_t p = 0; p < kPartitions; ++p)
        EXPECT_EQ(sorted_texts(loaded[p], odd), sorted_texts(records_[p], odd)) << p;
}

TEST_F(Logs, KeepNoMoreInFlightThanTheyAreAllowed) {
    write({8, 1});  // one byte: a request goes out where none is
    EXPECT_EQ(written_.max_in_flight, 1u);
    read({0, 1}, {4096, {8, 2 * 4096}});
    EXPECT_EQ(read_.max_in_flight, 2u);
}

TEST_F(Logs, ReadersTakePartitionsInTurn) {
    write({4});
    const auto loaded = read({1, 2}, {4096, {4}});
    EXPECT_EQ(order_, (std::vector<std::uint32_t>{1, 3}));
    EXPECT_EQ(sorted_texts(loaded[3]), sorted_texts(records_[3]));
    EXPECT_TRUE(loaded[2].empty());
}

TEST_F(Logs, ALogThatWasCutIsNamed) {
    write({4});
    disk_.files["/d/log"]->bytes.resize(log_.used_bytes() - 4096);
    const Caught caught = error_of([&] { read({0, 1}, {4096, {4}}); });
    EXPECT_EQ(caught.code, 6);
    EXPECT_TRUE(caught.mentions("an extent ended early (0 of 4096 bytes)")) << caught.text;
}

}  // namespace
}  // namespace sluice::testing
