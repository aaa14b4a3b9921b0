#include "stages/network.hpp"

#include <gtest/gtest.h>

#include <cstring>

#include "simulated/seeded_executor.hpp"

namespace sluice {
namespace {

constexpr std::size_t kBytes = 64;

/// Takes as many buffers for each destination as it has room for, and notes what it was told.
class CountingTransport : public Transport {
public:
    struct Taken {
        std::uint32_t destination;
        int mark;
        std::uint64_t backlog;
        bool operator==(const Taken&) const = default;
    };
    explicit CountingTransport(std::uint32_t ranks) : room(ranks), counters_(ranks) {}
    bool try_send(OutgoingBuffer& full, std::uint64_t backlog) override {
        if (room[full.destination] == 0) return false;
        --room[full.destination];
        taken.push_back({full.destination, static_cast<int>(full.buffer.data()[0]), backlog});
        full.buffer = Buffer();
        return true;
    }
    void finish_sending() override { finished = true; }
    bool progress(const std::function<void(ArrivedBuffer)>&) override { return false; }
    bool receiving_done() const override { return true; }
    bool sending_done() const override { return finished; }
    Rings rings() const override { return Rings::everything; }
    const std::vector<PeerCounters>& counters() const override { return counters_; }
    const char* name() const override { return "counting"; }

    std::vector<std::uint64_t> room;  // by destination
    std::vector<Taken> taken;
    bool finished = false;

private:
    std::vector<PeerCounters> counters_;
};
using Taken = CountingTransport::Taken;

struct Fixture {
    explicit Fixture(std::uint32_t ranks, std::uint32_t rank = 0, std::size_t buffers = 6)
        : memory(kBytes * buffers),
          pool(executor, "send", memory, kBytes, buffers),
          queue(executor, buffers, 1),
          transport(ranks),
          sender(queue, transport, rank, ranks, buffers) {}
    void push(std::uint32_t destination, int mark) {
        Buffer buffer = pool.take();
        buffer.free_space()[0] = static_cast<std::byte>(mark);
        buffer.commit(kBytes);
        queue.push({destination, std::move(buffer)});
    }
    SeededExecutor executor{1};
    std::vector<std::byte> memory;
    BufferPool pool;
    WorkQueue<OutgoingBuffer> queue;
    CountingTransport transport;
    Sender sender;
};

TEST(Sender, KeepsTheOrderOfEachDestinationAndWaitsForCreditOfNone) {
    Fixture f(4, 1);
    for (const auto& [destination, mark] : {std::pair{2u, 1}, {3u, 2}, {2u, 3}, {0u, 4}, {2u, 5}})
        f.push(destination, mark);
    f.transport.room = {0, 0, 2, 1};
    EXPECT_TRUE(f.sender.step());
    EXPECT_EQ(f.transport.taken, (std::vector<Taken>{{2, 1, 2}, {2, 3, 1}, {3, 2, 0}}));
    EXPECT_TRUE(f.sender.waits_for_credit());
    EXPECT_FALSE(f.sender.step());
    f.push(2, 6);  // behind the one that waits, in a place that was given back
    f.transport.room = {1, 0, 5, 0};
    f.transport.taken.clear();
    EXPECT_TRUE(f.sender.step());
    EXPECT_EQ(f.transport.taken, (std::vector<Taken>{{2, 5, 1}, {2, 6, 0}, {0, 4, 0}}));
    EXPECT_FALSE(f.sender.waits_for_credit());
}

TEST(Sender, SaysThatItHasFinishedWhenAllIsOutAndNotBefore) {
    Fixture f(2);
    f.push(1, 1);
    f.queue.producer_done();
    f.sender.step();
    EXPECT_FALSE(f.transport.finished || f.sender.finished());
    f.transport.room[1] = 1;
    f.sender.step();
    EXPECT_TRUE(f.transport.finished && f.sender.finished());
    EXPECT_EQ(f.sender.metrics().units.get(), 1u);
    EXPECT_EQ(f.sender.metrics().input_bytes.get(), kBytes);
    EXPECT_EQ(f.sender.metrics().output_bytes.get(), kBytes);
}

TEST(Sender, UsesEachPlaceAgainForAnyDestination) {
    Fixture f(3);
    for (int round = 0; round < 20; ++round) {
        for (int i = 0; i < 6; ++i) f.push(1 + (round + i) % 2, round * 6 + i);
        f.transport.room = {0, 6, 6};
        f.sender.step();
    }
    EXPECT_EQ(f.transport.taken.size(), 120u);
    EXPECT_FALSE(f.sender.waits_for_credit());
}

TEST(Sender, HoldsLessThanFourMegabytesAtAThousandRanksAndThirtyTwoDistributors) {
    // One open buffer for each distributor and destination, and as many on their way as one distributor has open.
    constexpr std::uint32_t kRanks = 1000, kDistributors = 32;
    SeededExecutor executor{1};
    WorkQueue<OutgoingBuffer> queue(executor, 1, 1);
    CountingTransport transport(kRanks);
    const Sender sender(queue, transport, 0, kRanks, (kDistributors + 1) * kRanks);
    EXPECT_LT(sender.queue_bytes(), 4'000'000u);
}

}  // namespace
}  // namespace sluice
