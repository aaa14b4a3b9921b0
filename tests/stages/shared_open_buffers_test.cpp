// Distributors that share their open send buffers: on their own, and several threads of them at once.
#include "stages/shared_open_buffers.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cstring>

#include "record/crc32c.hpp"
#include "stages/node_distributor.hpp"
#include "stages/stage_fixture.hpp"

namespace sluice::testing {
namespace {

constexpr std::size_t kMessage = kHeaderBytes + 10 * 128 + 100;  // a header, ten records, and less than one more

/// A transport of which only the lending is used.
class Lender final : public Transport {
public:
    explicit Lender(BufferPool& pool) : pool_(pool) {}
    bool try_send(OutgoingBuffer&, std::uint64_t) override { return false; }
    std::optional<Buffer> lend(std::uint32_t destination) override {
        asked.push_back(destination);
        return pool_.try_take();
    }
    void finish_sending() override {}
    bool progress(const std::function<void(ArrivedBuffer)>&) override { return false; }
    bool receiving_done() const override { return true; }
    bool sending_done() const override { return true; }
    Rings rings() const override { return Rings::nothing; }
    const std::vector<PeerCounters>& counters() const override { return counters_; }
    const char* name() const override { return "lender"; }

    std::vector<std::uint32_t> asked;

private:
    BufferPool& pool_;
    std::vector<PeerCounters> counters_;
};

TEST(SharedOpenBuffers, ARankGetsItsRecordsInFullBuffersAndOneMore) {
    ThreadExecutor executor;
    OwnPool pool(executor, "send", kMessage, 3), lent(executor, "lent", kMessage, 1);
    Lender lender(lent.pool);
    SharedOpenBuffers open(executor, pool.pool, &lender, 128, 3);
    open.add_producer();
    const auto records = random_records(47, 4);
    std::vector<std::byte> came;
    std::size_t full = 0;
    const auto keep = [&](std::uint32_t destination, const Buffer& buffer) {
        EXPECT_EQ(destination, 2u);
        const auto data = buffer.data().subspan(kHeaderBytes);
        came.insert(came.end(), data.begin(), data.end());
    };
    for (std::size_t at = 0, count = 1; at < 47; at += count, count = std::min<std::size_t>(count + 5, 47 - at)) {
        open.append(2, std::span(records).subspan(at * 128, count * 128), [&](std::uint32_t to, const Buffer& buffer) {
            EXPECT_EQ(buffer.size(), kHeaderBytes + 10 * 128);
            ++full;
            keep(to, buffer);
        });
    }
    EXPECT_EQ(full, 4u);
    EXPECT_TRUE(open.producer_done());
    open.drain(keep);
    EXPECT_EQ(came, records);
    EXPECT_EQ(lender.asked, std::vector<std::uint32_t>(5, 2)) << "the lender is asked first, for each buffer";
    EXPECT_EQ(pool.pool.free_buffers(), 3u);
    EXPECT_EQ(lent.pool.free_buffers(), 1u);
}

TEST(SharedOpenBuffers, AnAbortWakesWhoWaitsForABufferThatAnotherWasToOpen) {
    ThreadExecutor executor;
    OwnPool pool(executor, "send", kMessage, 1);
    SharedOpenBuffers open(executor, pool.pool, nullptr, 128, 2);
    const auto records = random_records(1, 4);
    const auto ignore = [](std::uint32_t, const Buffer&) {};
    const Buffer held = pool.pool.take();
    std::atomic<int> thrown = 0;
    std::vector<std::unique_ptr<Task>> tasks;
    std::array<WorkerMetrics, 3> metrics;
    for (WorkerMetrics& mine : metrics) {
        tasks.push_back(executor.spawn("appends", [&] {
            set_this_worker(&mine);
            try {
                open.append(1, records, ignore);
            } catch (const Error&) {
                ++thrown;
            }
            set_this_worker(nullptr);
        }));
    }
    const auto waiting = [&] {
        return std::count_if(metrics.begin(), metrics.end(),
                             [](const WorkerMetrics& mine) { return mine.waiting.view().kind == WaitKind::memory; });
    };
    while (waiting() < 3) executor.sleep_for_ns(100'000);
    const auto cause = std::make_exception_ptr(Error(Errc::integrity, "gone"));
    pool.pool.abort(cause);
    open.abort(cause);
    for (auto& task : tasks) task->join();
    EXPECT_EQ(thrown, 3);
    EXPECT_THROW(open.append(1, records, ignore), Error);
}

constexpr std::uint32_t kRanks = 9, kMe = 3, kPartitions = 27;
constexpr std::size_t kReads = 64, kReadRecords = 500;

/// Four distributors of rank 3 in one or two groups, each on a thread; a pool with one buffer for each group and peer,
/// which the test sends.
class SharedSends {
public:
    SharedSends(std::size_t groups, bool sorted) {
        if (sorted) sort_records();
        const std::size_t peers = kRanks - 1;
        WorkQueue<Buffer> input(executor_, kReads, 1);
        OwnPool reads(executor_, "read", kReadRecords * 128, kReads), chunks(executor_, "chunks", 4096, 1200),
            sends(executor_, "send", kMessage, groups * peers);
        WorkQueue<OutgoingBuffer> output(executor_, groups * peers, 4);
        Coalescer chains(executor_, chunks.pool, 128, {3, 1, 4, 0}, 4);
        Doorbell bell(executor_);
        std::vector<std::unique_ptr<SharedOpenBuffers>> shared;
        for (std::size_t i = 0; i < groups; ++i)
            shared.push_back(std::make_unique<SharedOpenBuffers>(executor_, sends.pool, nullptr, 128, kRanks));
        std::vector<std::unique_ptr<NodeDistributor>> distributors;
        for (std::size_t i = 0; i < 4; ++i) {
            NodeDistributor::Ports ports{input, chunks.pool, chains, &sends.pool, &output};
            ports.network = &bell;
            ports.shared = shared[i % groups].get();
            distributors.push_back(
                std::make_unique<NodeDistributor>(ports, kBlockFormat, *partitioner, ownership, kMe, true));
        }
        for (std::size_t i = 0; i < kReads; ++i)
            input.push(filled(reads.pool, std::span(records).subspan(i * kReadRecords * 128, kReadRecords * 128)));
        input.producer_done();
        std::vector<std::unique_ptr<Task>> tasks;
        for (auto& one : distributors) tasks.push_back(executor_.spawn("distributor", [&one] { one->run(); }));
        send_all(output);
        for (auto& task : tasks) task->join();
        for (auto& one : distributors) sum += one->input_sum();
        Chain chain;
        while (chains.take(chain, false)) {
            for (const Buffer& chunk : chain.chunks)
                keep(chunk.data(), ownership.first(kMe) + chain.partition, ownership.first(kMe) + chain.partition + 1);
            chain.chunks.clear();
        }
        all_home = sends.pool.free_buffers() == sends.pool.count();
    }

    std::vector<std::byte> records = random_records(kReads * kReadRecords, 5), came;
    std::unique_ptr<Partitioner> partitioner = make_uniform_partitioner(kBlockFormat, kPartitions);
    Ownership ownership = [] {
        Ownership all;
        for (std::uint32_t rank = 0; rank <= kRanks; ++rank) all.first_partition.push_back(rank * 3);
        return all;
    }();
    RecordSum sum;
    std::size_t messages = 0, headers_right = 0, full = 0, strays = 0;
    bool all_home = false;

private:
    void send_all(WorkQueue<OutgoingBuffer>& output) {
        while (auto message = output.pop()) {
            MessageHeader header;
            std::memcpy(&header, message->buffer.data().data(), sizeof header);
            const auto data = message->buffer.data().subspan(kHeaderBytes);
            headers_right += header.record_count * 128 == data.size() && header.payload_crc32c == crc32c(data);
            full += header.record_count == 10;
            ++messages;
            EXPECT_NE(message->destination, kMe);
            keep(data, ownership.first(message->destination), ownership.first(message->destination + 1));
        }
    }
    void keep(std::span<const std::byte> data, std::uint32_t first, std::uint32_t last) {
        std::vector<std::uint32_t> of(data.size() / 128);
        partitioner->classify(data.data(), of);
        for (const std::uint32_t partition : of) strays += partition < first || partition >= last;
        came.insert(came.end(), data.begin(), data.end());
    }
    void sort_records() {
        std::string all;
        for (const std::string& record : sorted_texts(records)) all += record;
        std::memcpy(records.data(), all.data(), all.size());
    }
    ThreadExecutor executor_;
};

TEST(SharedOpenBuffers, DistributorsOnFourThreadsSendEachRecordOnceInFullBuffers) {
    for (const std::size_t groups : {1u, 2u}) {
        for (const bool sorted : {false, true}) {  // sorted: all threads fill the same few buffers
            const SharedSends sent(groups, sorted);
            EXPECT_EQ(sent.sum, sum_records(sent.records, 128));
            EXPECT_EQ(sent.strays, 0u);
            EXPECT_EQ(sorted_texts(sent.came), sorted_texts(sent.records));
            EXPECT_EQ(sent.headers_right, sent.messages);
            EXPECT_LE(sent.messages - sent.full, groups * (kRanks - 1)) << "one rest for each rank and group";
            EXPECT_TRUE(sent.all_home);
        }
    }
}

}  // namespace
}  // namespace sluice::testing
