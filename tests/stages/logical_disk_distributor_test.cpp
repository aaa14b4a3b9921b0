#include "stages/logical_disk_distributor.hpp"

#include <gtest/gtest.h>

#include <cstring>

#include "io/io_fixture.hpp"
#include "record/crc32c.hpp"
#include "runtime/rng.hpp"

namespace sluice {
namespace {

using testing::Caught;
using testing::error_of;

constexpr std::size_t kRecord = 100, kRecords = 5000, kChunk = 102'400, kChunks = 16;

/// Rank 1 of two, which owns the upper half of the keys in two partitions; one message of rank 0, several blocks long.
struct Fixture {
    Fixture() {
        Rng rng(7);
        for (std::byte& byte : message) byte = static_cast<std::byte>(rng.next() >> 32);
        for (std::size_t i = 0; i < kRecords; ++i) record(i)[0] |= std::byte{0x80};
    }
    std::byte* record(std::size_t i) { return message.data() + kHeaderBytes + i * kRecord; }
    std::span<const std::byte> records() const { return std::span(message).subspan(kHeaderBytes); }
    void seal() { header.payload_crc32c = crc32c(records()); }
    /// The records that came out, with their partitions; or the error.
    Caught distribute(bool verify = true) {
        header.record_count = kRecords;
        BufferPool messages(executor, "receive", message, message.size(), 1);
        ArrivedBuffer arrived{header, messages.take()};
        arrived.buffer.set_size(message.size());
        WorkQueue<ArrivedBuffer> unused(executor, 1, 1);
        BufferPool chunks(executor, "chunks", memory, kChunk, kChunks);
        Coalescer chains(executor, chunks, kRecord, {2, 1, 4, 0}, 1);
        const Ownership ownership{{0, 2, 4}};
        LogicalDiskDistributor distributor({unused, chunks, chains}, kGensortFormat, *partitioner, ownership, 1,
                                           verify);
        distributor.sum_sources();
        unused.producer_done();
        return error_of([&] {
            distributor.distribute(arrived);
            distributor.run();  // hands on what is partly filled
            came = distributor.received()[0].count;
            Chain chain;
            while (chains.take(chain, false)) {
                for (const Buffer& chunk : chain.chunks) {
                    for (std::size_t at = 0; at < chunk.size(); at += kRecord)
                        wrong += (chunk.data()[at] >= std::byte{0xc0}) != (chain.partition == 1) ? 1 : 0;
                    out += chunk.size() / kRecord;
                }
            }
        });
    }

    ThreadExecutor executor;
    std::vector<std::byte> message = std::vector<std::byte>(kHeaderBytes + kRecords * kRecord);
    alignas(4096) std::array<std::byte, kChunk * kChunks> memory;
    MessageHeader header;
    std::unique_ptr<Partitioner> partitioner = make_uniform_partitioner(kGensortFormat, 4);
    std::size_t out = 0, wrong = 0, came = 0;
};

TEST(LogicalDiskDistributor, RecordsOfAMessageGoToTheirLogicalDisks) {
    const auto f = std::make_unique<Fixture>();
    f->seal();
    EXPECT_EQ(f->distribute().text, "");
    EXPECT_EQ(f->out, kRecords);
    EXPECT_EQ(f->wrong, 0u);
    EXPECT_EQ(f->came, kRecords);
}

TEST(LogicalDiskDistributor, DamageInAnyBlockIsFoundBySumAlsoWhereItMakesAForeignKey) {
    for (const auto& [record, byte] : {std::pair(0, 50), std::pair(2500, 99), std::pair(4999, 99), std::pair(0, 0),
                                       std::pair(1500, 0), std::pair(4999, 0)}) {
        const auto f = std::make_unique<Fixture>();
        f->seal();
        f->record(static_cast<std::size_t>(record))[byte] ^= std::byte{0x80};
        const Caught caught = f->distribute();
        EXPECT_EQ(caught.code, 6) << "record " << record << " byte " << byte;
        EXPECT_TRUE(caught.mentions("from rank 0 to rank 1") && caught.mentions("checksum of the records is wrong"))
            << caught.text;
    }
}

TEST(LogicalDiskDistributor, RecordThatWasSentToTheWrongRankIsNotCalledDamaged) {
    for (const bool verify : {true, false}) {
        const auto f = std::make_unique<Fixture>();
        f->record(3000)[0] = std::byte{0x10};
        f->seal();
        const Caught caught = f->distribute(verify);
        EXPECT_EQ(caught.code, 6);
        EXPECT_TRUE(caught.mentions("holds a record of another rank's partition")) << caught.text;
    }
}

}  // namespace
}  // namespace sluice
