// Every transport in one process, in seeded orders; the same body runs over MPI in mpi_traffic.cpp.
#include <gtest/gtest.h>

#include <cstring>

#include "net/alltoallv_transport.hpp"
#include "net/known_traffic.hpp"
#include "net/p2p_transport.hpp"
#include "net/rma_transport.hpp"
#include "simulated/in_process.hpp"
#include "simulated/seeded_executor.hpp"

namespace sluice::testing {
namespace {

/// Runs `traffic` on `ranks` seeded ranks; the failures' texts.
std::vector<std::string> run_traffic(const Traffic& traffic, const std::string& transport, std::uint32_t ranks,
                                     std::uint64_t seed, WireFault fault = {}) {
    SeededExecutor executor(seed);
    InProcessCluster cluster(executor, ranks);
    cluster.inject(fault);
    std::vector<std::string> failures;
    std::vector<std::unique_ptr<Task>> tasks;
    for (std::uint32_t rank = 0; rank < ranks; ++rank) {
        tasks.push_back(executor.spawn("rank-" + std::to_string(rank), [&, rank] {
            try {
                TrafficEnd end{executor,
                               cluster.doorbell(rank),
                               rank,
                               ranks,
                               *parse_word<TransportKind>(transport == "rmaShared" ? "rma" : transport),
                               {},
                               {},
                               {}};
                end.barrier = [&] { cluster.communicator(rank).barrier(); };
                if (end.transport == TransportKind::rma) {
                    const bool shared = transport == "rmaShared";
                    end.make_window = [&, shared](std::uint64_t bytes) {
                        return cluster.make_window(rank, bytes, shared);
                    };
                }
                end.make_transport = [&, kind = end.transport](BufferPool& pool, std::uint64_t run_id,
                                                               ReceiveWindow* window) {
                    if (kind == TransportKind::alltoallv)
                        return make_alltoallv_transport(cluster.rounds(rank), pool, run_id);
                    if (window != nullptr) return make_rma_transport(*window, cluster.wire(rank), pool, run_id);
                    return make_p2p_transport(cluster.wire(rank), pool, run_id);
                };
                TrafficRank(traffic, end, 77).run();
            } catch (const std::exception& error) {
                failures.push_back(error.what());
                cluster.communicator(rank).announce_failure({rank, 1, error.what()});
            }
        }));
    }
    for (auto& task : tasks) task->join();
    EXPECT_EQ(cluster.fault_fired(), fault.kind != WireFault::Kind::none);
    return failures;
}

class InProcess : public ::testing::TestWithParam<std::tuple<std::string, std::uint32_t, std::size_t>> {};

TEST_P(InProcess, EveryMessageArrivesOnceInOrderAndUnchanged) {
    const auto& [transport, ranks, number] = GetParam();
    const Traffic traffic = all_traffic()[number];
    const std::uint64_t seeds = traffic.buffer_bytes > 1 << 20 || ranks > 4 ? 1 : 5;
    for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
        const auto failures = run_traffic(traffic, transport, ranks, seed);
        ASSERT_TRUE(failures.empty()) << traffic << " seed " << seed << ": " << failures.front();
        ASSERT_FALSE(HasFailure()) << traffic << " seed " << seed;
    }
}
INSTANTIATE_TEST_SUITE_P(Each, InProcess,
                         ::testing::Combine(::testing::Values("p2p", "alltoallv", "rma", "rmaShared"),
                                            ::testing::Values(1u, 2u, 3u, 4u, 8u),
                                            ::testing::Range(std::size_t{0}, all_traffic().size())),
                         [](const auto& param) {
                             return std::get<0>(param.param) + "On" + std::to_string(std::get<1>(param.param)) +
                                    all_traffic()[std::get<2>(param.param)].name;
                         });

TEST(Transport, ChangedHeaderIsRefused) {
    for (const char* transport : {"p2p", "alltoallv", "rma"}) {
        const auto failures =
            run_traffic(all_traffic()[0], transport, 3, 5, {WireFault::Kind::corrupt_header, 4, false});
        ASSERT_FALSE(failures.empty()) << transport;
        EXPECT_NE(failures.front().find("says it goes from rank"), std::string::npos) << failures.front();
    }
}

TEST(Transport, EmulatedPutsAreCalledSoInReports) {
    EXPECT_EQ(transport_label(TransportKind::rma, true), "rma (emulated by messages)");
    EXPECT_EQ(transport_label(TransportKind::rma, false), "rma");
    EXPECT_EQ(transport_label(TransportKind::alltoallv, true), "alltoallv");
}

TEST(Transport, TooFewReceiveBuffersAreRefusedWithTheNumbers) {
    EXPECT_EQ(least_receive_buffers(TransportKind::p2p, 8), 7u);
    EXPECT_EQ(least_receive_buffers(TransportKind::rma, 8), 7u);
    EXPECT_EQ(least_receive_buffers(TransportKind::alltoallv, 8), 1u);
    EXPECT_EQ(least_receive_buffers(TransportKind::p2p, 1), 0u);
    EXPECT_EQ(usable_receive_buffers(TransportKind::p2p, 10, 8), 10u);
    EXPECT_EQ(usable_receive_buffers(TransportKind::rma, 10, 8), 14u) << "two slots for each of seven peers";
    EXPECT_EQ(usable_receive_buffers(TransportKind::alltoallv, 0, 8), 1u);
    ThreadExecutor executor;
    InProcessCluster cluster(executor, 4);
    std::vector<std::byte> memory(2 * 4096);
    BufferPool two(executor, "receive", memory, 4096, 2), none(executor, "receive", memory, 4096, 0);
    const auto text_of = [](const auto& make) -> std::string {
        try {
            make();
        } catch (const Error& error) {
            return error.code() == Errc::config ? error.what() : "another code";
        }
        return "accepted";
    };
    EXPECT_EQ(text_of([&] { make_p2p_transport(cluster.wire(0), two, 1); }),
              "net.receive_buffers: 2 are too few for net.transport = \"p2p\" on 4 ranks: one standing credit "
              "for each of 3 peers; set >= 3");
    EXPECT_EQ(text_of([&] { make_alltoallv_transport(cluster.rounds(0), two, 1); }), "accepted");
    EXPECT_EQ(text_of([&] { make_alltoallv_transport(cluster.rounds(0), none, 1); }),
              "net.receive_buffers: 0 are too few for net.transport = \"alltoallv\" on 4 ranks: a round moves nothing "
              "without one; set >= 1");
    EXPECT_EQ(text_of([&] {
                  const auto window = cluster.make_window(0, memory.size());
                  BufferPool pool(executor, "receive", window->memory(), 4096, 2);
                  make_rma_transport(*window, cluster.wire(0), pool, 1);
              }),
              "net.receive_buffers: 2 are too few for net.transport = \"rma\" on 4 ranks: one slot to put into "
              "for each of 3 peers; set >= 3");
}

/// Two ranks on one host, whose network threads take turns.
class SharedWindows : public ::testing::Test {
protected:
    static constexpr std::size_t kSlots = 4, kBytes = 4096;

    SharedWindows() {
        for (std::uint32_t rank : {0u, 1u}) {
            windows_.push_back(cluster_.make_window(rank, kSlots * kBytes, true));
            pools_.push_back(
                std::make_unique<BufferPool>(executor_, "receive", windows_[rank]->memory(), kBytes, kSlots));
            ranks_.push_back(make_rma_transport(*windows_[rank], cluster_.wire(rank), *pools_[rank], 1));
        }
        turn();  // they have said hello
    }
    /// What arrives at rank 1 is kept there.
    void turn() {
        ranks_[0]->progress([](ArrivedBuffer) { ADD_FAILURE() << "nobody sent this"; });
        ranks_[1]->progress([&](ArrivedBuffer arrived) { arrived_.push_back(std::move(arrived)); });
    }
    bool send(Buffer buffer, std::byte content) {
        buffer.set_size(kHeaderBytes + 1);
        const MessageHeader header;
        std::memcpy(buffer.storage().data(), &header, sizeof header);
        buffer.storage()[kHeaderBytes] = content;
        OutgoingBuffer full{1, std::move(buffer)};
        return ranks_[0]->try_send(full, 0);
    }

    ThreadExecutor executor_;
    InProcessCluster cluster_{executor_, 2};
    std::vector<std::unique_ptr<ReceiveWindow>> windows_;
    std::vector<std::unique_ptr<BufferPool>> pools_;
    std::vector<std::unique_ptr<Transport>> ranks_;
    std::vector<ArrivedBuffer> arrived_;
};

TEST_F(SharedWindows, ALentBufferIsReadWhereItWasFilled) {
    auto lent = ranks_[0]->lend(1);
    ASSERT_TRUE(lent);
    const std::byte* const place = lent->storage().data();
    EXPECT_TRUE(send(std::move(*lent), std::byte{7}));
    turn();
    ASSERT_EQ(arrived_.size(), 1u);
    EXPECT_EQ(arrived_[0].buffer.data().data(), place);
    EXPECT_EQ(arrived_[0].records()[0], std::byte{7});
}

TEST_F(SharedWindows, OneSlotIsLeftForMessagesThatWaitForOne) {
    std::vector<std::byte> memory(kBytes);
    BufferPool own(executor_, "send", memory, kBytes, 1);
    std::vector<Buffer> lent;
    while (auto buffer = ranks_[0]->lend(1)) lent.push_back(std::move(*buffer));
    EXPECT_EQ(lent.size(), kSlots - 1);
    EXPECT_TRUE(send(own.take(), std::byte{1})) << "copied into the last slot";
    EXPECT_FALSE(send(own.take(), std::byte{2})) << "no slot is empty";
    turn();
    arrived_.clear();  // the slot comes back
    turn();
    turn();
    EXPECT_FALSE(ranks_[0]->lend(1)) << "it is not for lending";
    EXPECT_TRUE(send(own.take(), std::byte{3}));
    for (Buffer& buffer : lent) EXPECT_TRUE(send(std::move(buffer), std::byte{4}));
    turn();
    ASSERT_EQ(arrived_.size(), 1 + lent.size());
    EXPECT_EQ(arrived_[0].records()[0], std::byte{3});
}

TEST_F(SharedWindows, BuffersLentAndNotSentGoHomeBeforeTheTransport) {
    const auto lent = ranks_[0]->lend(1);
    EXPECT_TRUE(lent);
}

/// Rank 0 of two. The other says what we say, so all we offer is accepted; its pieces never come.
class EchoedRounds final : public Rounds {
public:
    std::vector<std::string> joined;

    std::uint32_t rank() const override { return 0; }
    std::uint32_t size() const override { return 2; }
    void start_words(std::span<const std::byte> mine, std::span<std::byte> theirs) override {
        joined.push_back("words");
        for (std::size_t half : {std::size_t{0}, mine.size() / 2})
            std::memcpy(theirs.data() + half, mine.data() + mine.size() / 2, mine.size() / 2);
    }
    bool words_arrived() override { return true; }
    bool ought_to_join(unsigned) override { return false; }
    void start_pieces(std::size_t, const PiecesByPeer& sent, const PiecesByPeer&) override {
        joined.push_back("pieces of " + std::to_string(sent[1].size()) + " buffers");
    }
    bool pieces_moved(std::size_t) override { return false; }
    void abandon() noexcept override {}
    Rings rings() const override { return Rings::nothing; }
};

TEST(Transport, TheNextRoundsWordsGoAheadOfThisRoundsData) {
    ThreadExecutor executor;
    std::vector<std::byte> memory(2 * 4096);
    BufferPool send(executor, "send", std::span(memory).first(4096), 4096, 1);
    BufferPool receive(executor, "receive", std::span(memory).last(4096), 4096, 1);
    EchoedRounds rounds;
    const auto transport = make_alltoallv_transport(rounds, receive, 1);
    OutgoingBuffer full{1, send.take()};
    full.buffer.set_size(4096);
    ASSERT_TRUE(transport->try_send(full, 0));
    transport->progress([](ArrivedBuffer) {});
    EXPECT_EQ(rounds.joined, (std::vector<std::string>{"words"}));
    transport->progress([](ArrivedBuffer) {});
    EXPECT_EQ(rounds.joined, (std::vector<std::string>{"words", "words", "pieces of 1 buffers"}));
}

}  // namespace
}  // namespace sluice::testing
