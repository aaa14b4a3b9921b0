#include "stages/node_distributor.hpp"

#include <gtest/gtest.h>

#include <cstring>

#include "record/crc32c.hpp"
#include "stages/stage_fixture.hpp"

namespace sluice::testing {
namespace {

constexpr std::size_t kRecords = 4000, kBlock = 4096, kMessage = kHeaderBytes + 32 * 128;
constexpr std::uint32_t kMe = 1;

/// Rank 1 of three, which own 2, 3 and 1 of six partitions; input of two files.
class Distributed {
public:
    explicit Distributed(bool verify) {
        WorkQueue<Buffer> input(executor_, 8, 1);
        OwnPool reads(executor_, "read", kRecords / 4 * 128, 4), chunks(executor_, "chunks", kBlock, 256),
            sends(executor_, "send", kMessage, 256);
        WorkQueue<OutgoingBuffer> output(executor_, 256, 1);
        Coalescer chains(executor_, chunks.pool, 128, {3, 1, 4, 0}, 1);
        Doorbell bell(executor_);
        SourceSums sources(executor_, 2);
        const Ownership ownership{{0, 2, 5, 6}};
        NodeDistributor distributor({input, chunks.pool, chains, &sends.pool, &output, nullptr, false, &bell, &sources},
                                    kBlockFormat, *partitioner, ownership, kMe, verify);
        for (std::size_t part = 0; part < 4; ++part) {
            input.push(filled(reads.pool, std::span(records).subspan(part * kRecords / 4 * 128, kRecords / 4 * 128),
                              part == 0 ? 0 : 1));
        }
        input.producer_done();
        distributor.run();
        sum = distributor.input_sum();
        sums = sources.take();
        rung = bell.wait_for_ns(1);
        while (auto message = output.pop()) {
            MessageHeader header;
            std::memcpy(&header, message->buffer.data().data(), sizeof header);
            const auto data = message->buffer.data().subspan(kHeaderBytes);
            headers_right +=
                header.record_count * 128 == data.size() && header.payload_crc32c == (verify ? crc32c(data) : 0);
            ++messages;
            keep(data, ownership.first(message->destination), ownership.first(message->destination + 1));
            EXPECT_NE(message->destination, kMe);
        }
        Chain chain;
        while (chains.take(chain, false)) {
            for (const Buffer& chunk : chain.chunks) keep(chunk.data(), 2 + chain.partition, 3 + chain.partition);
            chain.chunks.clear();
        }
    }

    std::vector<std::byte> records = random_records(kRecords, 5), came;
    std::unique_ptr<Partitioner> partitioner = make_uniform_partitioner(kBlockFormat, 6);
    RecordSum sum;
    std::vector<RecordSum> sums;
    bool rung = false;
    std::size_t messages = 0, headers_right = 0, strays = 0;

private:
    void keep(std::span<const std::byte> data, std::uint32_t first, std::uint32_t last) {
        std::vector<std::uint32_t> of(data.size() / 128);
        partitioner->classify(data.data(), of);
        for (const std::uint32_t partition : of) strays += partition < first || partition >= last;
        came.insert(came.end(), data.begin(), data.end());
    }
    ThreadExecutor executor_;
};

TEST(NodeDistributor, EachRecordGoesOnceToTheOwnerOfItsPartition) {
    for (const bool verify : {true, false}) {
        const Distributed d(verify);
        EXPECT_EQ(d.strays, 0u);
        EXPECT_EQ(sorted_texts(d.came), sorted_texts(d.records));
        EXPECT_GT(d.messages, 50u);
        EXPECT_EQ(d.headers_right, d.messages);
        EXPECT_TRUE(d.rung);
    }
}

TEST(NodeDistributor, SumsWhatItReadInAllAndByFile) {
    const Distributed d(true);
    EXPECT_EQ(d.sum, sum_records(d.records, 128));
    ASSERT_EQ(d.sums.size(), 2u);
    EXPECT_EQ(d.sums[0], sum_records(std::span(d.records).first(kRecords / 4 * 128), 128));
    EXPECT_EQ(d.sums[1], sum_records(std::span(d.records).subspan(kRecords / 4 * 128), 128));
    EXPECT_EQ(Distributed(false).sum, (RecordSum{kRecords, 0}));
}

}  // namespace
}  // namespace sluice::testing
