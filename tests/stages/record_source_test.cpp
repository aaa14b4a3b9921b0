#include "stages/record_source.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <set>

#include "runtime/executor.hpp"
#include "stages/record_sink.hpp"

namespace sluice {
namespace {

constexpr std::size_t kBufferBytes = 8192, kBuffers = 3;

/// A source alone: everything it hands out is kept, as copies.
struct SourceRun {
    SourceRun(RecordFormat format, const Ownership& ownership, RecordSource::Options options)
        : memory(kBufferBytes * kBuffers),
          pool(executor, "read", memory, kBufferBytes, kBuffers),
          queue(executor, kBuffers, 1),
          partitioner(make_uniform_partitioner(format, ownership.partitions())),
          source(format, *partitioner, ownership, std::move(options), pool, queue) {
        source.prepare();
        auto task = executor.spawn("source", [this] { source.run(); });
        while (const auto buffer = queue.pop())
            records.insert(records.end(), buffer->data().begin(), buffer->data().end());
        task->join();
    }
    ThreadExecutor executor;
    std::vector<std::byte> memory, records;
    BufferPool pool;
    WorkQueue<Buffer> queue;
    std::unique_ptr<Partitioner> partitioner;
    RecordSource source;
};

/// By owner, found through the partitioner.
std::vector<RecordSum> sums_by_owner(const SourceRun& run, RecordFormat format, const Ownership& ownership) {
    std::vector<std::uint32_t> partition(run.records.size() / format.record_bytes);
    run.partitioner->classify(run.records.data(), partition);
    std::vector<RecordSum> sums(ownership.ranks());
    for (std::size_t i = 0; i < partition.size(); ++i) {
        const auto record = std::span(run.records).subspan(i * format.record_bytes, format.record_bytes);
        std::uint32_t owner = 0;
        while (partition[i] >= ownership.first(owner + 1)) ++owner;
        sums[owner] += {1, record_crc(record)};
    }
    return sums;
}

const Ownership kOwnership{{0, 3, 3, 8, 13}};  // the second rank owns nothing

TEST(RecordSource, HandsOutExactlyAsManyAsAskedAndAccountsForTheirOwners) {
    for (const std::uint32_t record_bytes : {100u, 64u}) {
        const RecordFormat format{record_bytes, record_bytes == 64 ? 7u : 0u, 10};
        const SourceRun run(format, kOwnership, {.records = 1001});
        EXPECT_EQ(run.records.size(), 1001u * record_bytes);
        EXPECT_EQ(run.source.made(), sums_by_owner(run, format, kOwnership));
        EXPECT_EQ(run.source.made()[1].count, 0u);
        EXPECT_GT(run.source.made()[3].count, 200u) << "uniform keys reach everybody who owns something";
    }
}

TEST(RecordSource, ChosenDestinationsGetAllRecordsInTurnOverAllTheirPartitions) {
    const SourceRun run(kGensortFormat, kOwnership, {.records = 1000, .destinations = {0, 2}});
    // A buffer of 81 records has one more for the first or for the second.
    EXPECT_NEAR(static_cast<double>(run.source.made()[0].count), 500, 13);
    EXPECT_EQ(run.source.made()[0].count + run.source.made()[2].count, 1000u);
    EXPECT_EQ(run.source.made(), sums_by_owner(run, kGensortFormat, kOwnership));
    std::vector<std::uint32_t> partition(1000);
    run.partitioner->classify(run.records.data(), partition);
    EXPECT_EQ(std::set<std::uint32_t>(partition.begin(), partition.end()),
              (std::set<std::uint32_t>{0, 1, 2, 3, 4, 5, 6, 7}));
}

TEST(RecordSource, IdleOneHandsOutNothing) {
    const SourceRun run(kGensortFormat, kOwnership, {.records = 1000, .idle = true});
    EXPECT_TRUE(run.records.empty());
    EXPECT_EQ(run.source.made(), std::vector<RecordSum>(4));
}

TEST(RecordSource, ByTheClockStopsSoonAfterItsTime) {
    const SourceRun run(kGensortFormat, kOwnership, {.duration_ns = 20'000'000});
    EXPECT_FALSE(run.records.empty());
    EXPECT_EQ(run.source.made(), sums_by_owner(run, kGensortFormat, kOwnership));
}

/// One chunk of one record for partition 1 of 4, which a sink of this rank's partitions takes.
RecordSum sink_one(const std::array<std::byte, 128>& record, bool verify) {
    ThreadExecutor executor;
    const RecordFormat format{128, 0, 10};
    std::vector<std::byte> memory(4096);
    BufferPool pool(executor, "chunks", memory, 4096, 1);
    Coalescer chains(executor, pool, 128, {2, 1, 1, 0}, 1);
    const auto partitioner = make_uniform_partitioner(format, 4);
    RecordSink sink(chains, format, *partitioner, 1, 1, verify);
    Buffer chunk = pool.take();
    std::memcpy(chunk.free_space().data(), record.data(), record.size());
    chunk.commit(record.size());
    chains.add(0, std::move(chunk));  // local number: partition 1
    chains.producer_done();
    sink.run();
    EXPECT_EQ(pool.free_buffers(), 1u) << "dropped";
    return sink.sum();
}

TEST(RecordSink, SumsWhatLiesInItsPartition) {
    std::array<std::byte, 128> record{};
    record[0] = std::byte{0x7f};  // the second quarter of the keys
    record[100] = std::byte{42};
    EXPECT_EQ(sink_one(record, true), (RecordSum{1, record_crc(record)}));
    EXPECT_EQ(sink_one(record, false), (RecordSum{1, 0}));
}

TEST(RecordSink, RecordOutsideItsPartitionIsAnIntegrityError) {
    for (const int first_byte : {0x3f, 0x80}) {
        std::array<std::byte, 128> record{};
        record[0] = static_cast<std::byte>(first_byte);
        try {
            sink_one(record, true);
            ADD_FAILURE() << "not noticed";
        } catch (const Error& error) {
            EXPECT_EQ(error.code(), Errc::integrity);
            EXPECT_NE(std::string(error.what()).find("partition 1"), std::string::npos) << error.what();
        }
    }
}

}  // namespace
}  // namespace sluice
