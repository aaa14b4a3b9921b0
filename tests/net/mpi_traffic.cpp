// The transports over MPI: `mpirun -n N mpi_traffic TRANSPORT`. The body is that of transport_test.cpp.
#include <gtest/gtest.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <numeric>
#include <thread>

#include "net/alltoallv_transport.hpp"
#include "net/known_traffic.hpp"
#include "net/known_words.hpp"
#include "net/mpi_session.hpp"
#include "net/p2p_transport.hpp"
#include "net/rma_transport.hpp"

namespace sluice::testing {
namespace {

MpiSession* session = nullptr;
TransportKind transport_kind = TransportKind::p2p;
std::uint64_t run_id = 1;
constexpr std::size_t kMostControlBytes = 1000;  // a small limit shows what the real one of a gibibyte does

std::unique_ptr<Transport> make_transport(BufferPool& pool, std::uint64_t run, ReceiveWindow* window) {
    if (transport_kind == TransportKind::alltoallv) return make_alltoallv_transport(session->rounds(), pool, run);
    if (window != nullptr) return make_rma_transport(*window, session->wire(), pool, run);
    return make_p2p_transport(session->wire(), pool, run);
}

TrafficEnd end_of_rank(Executor& executor, Doorbell& doorbell) {
    const Communicator& communicator = session->communicator();
    TrafficEnd end{executor,       doorbell, communicator.rank(), communicator.size(),
                   transport_kind, {},       make_transport,      {}};
    end.barrier = [] { session->communicator().barrier(); };
    if (transport_kind == TransportKind::rma)
        end.make_window = [](std::uint64_t bytes) { return session->make_window(bytes); };
    return end;
}

class OverMpi : public ::testing::TestWithParam<std::size_t> {};

TEST_P(OverMpi, EveryMessageArrivesOnceInOrderAndUnchanged) {
    ThreadExecutor executor;
    Doorbell doorbell(executor);
    const TrafficEnd end = end_of_rank(executor, doorbell);
    const Traffic traffic = all_traffic()[GetParam()];
    TrafficRank(traffic, end, run_id++).run();
}
INSTANTIATE_TEST_SUITE_P(Each, OverMpi, ::testing::Range(std::size_t{0}, all_traffic().size()),
                         [](const auto& param) { return all_traffic()[param.param].name; });

/// Texts longer than one call may be go in pieces, and ranks need not have equally many.
TEST(ControlTexts, LongerThanOneCallMayBeArriveWholeOnEachRank) {
    Communicator& communicator = session->communicator();
    const std::uint32_t rank = communicator.rank(), ranks = communicator.size();
    const auto text_of = [](std::size_t bytes, std::uint32_t from) {
        std::string text(bytes, '\0');
        for (std::size_t i = 0; i < bytes; ++i) text[i] = static_cast<char>(i * 31 + i / 256 + from);
        return text;
    };
    for (const std::size_t bytes : {std::size_t{0}, std::size_t{1}, kMostControlBytes - 1, kMostControlBytes,
                                    kMostControlBytes + 1, 7 * kMostControlBytes + 3}) {
        EXPECT_TRUE(communicator.broadcast(rank == 0 ? text_of(bytes, 0) : "") == text_of(bytes, 0)) << bytes;
        std::vector<std::string> expected, to_rank, from_rank;
        for (std::uint32_t r = 0; r < ranks; ++r) {
            expected.push_back(text_of(bytes / (r + 1), r));
            to_rank.push_back(text_of(bytes / (r + 1), rank));
            from_rank.push_back(text_of(bytes / (rank + 1), r));
        }
        EXPECT_TRUE(communicator.all_gather(expected[rank]) == expected) << bytes;
        const auto gathered = communicator.gather(expected[rank], ranks - 1);
        EXPECT_TRUE(gathered == (rank == ranks - 1 ? expected : std::vector<std::string>(ranks))) << bytes;
        EXPECT_TRUE(communicator.exchange(to_rank) == from_rank) << bytes;
    }
}

TEST(ControlWords, ArriveTypedAndAreAddedUp) { exchange_known_words(session->communicator()); }

double thread_cpu_s() {
    timespec t{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9;
}

/// As NetworkLoop polls, for a second in which nothing can happen; the share of a core that took.
double idle_share(Transport& transport, Doorbell& doorbell) {
    using Clock = std::chrono::steady_clock;
    IdleBackoff backoff(Polling::adaptive);
    const auto begin = Clock::now();
    const double cpu_begin_s = thread_cpu_s();
    std::chrono::duration<double> elapsed{};
    while (elapsed = Clock::now() - begin, elapsed.count() < 1) {
        EXPECT_FALSE(session->communicator().poll_failure().has_value());
        if (transport.progress([](ArrivedBuffer) { ADD_FAILURE() << "nobody sent this"; })) {
            backoff.did_something();
        } else {
            backoff.idle(doorbell);
        }
    }
    return (thread_cpu_s() - cpu_begin_s) / elapsed.count();
}

TEST(IdleNetworkThread, TakesLessThanFifteenPercentOfACore) {
    ThreadExecutor executor;
    Doorbell doorbell(executor);
    const TrafficEnd end = end_of_rank(executor, doorbell);
    if (end.ranks == 1) GTEST_SKIP() << "one rank has no network";
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    GTEST_SKIP() << "a sanitizer's own work is no measure of the network thread's";
#endif
    for (const bool peer_sleeps : {true, false}) {
        const std::size_t buffers = usable_receive_buffers(end.transport, end.ranks + 4, end.ranks);
        std::vector<std::byte> memory(buffers * 4096);
        const auto window = end.make_window ? end.make_window(memory.size()) : nullptr;
        BufferPool pool(executor, "receive", window ? window->memory() : std::span(memory), 4096, buffers);
        const auto transport = end.make_transport(pool, run_id++, window.get());
        end.barrier();
        if (peer_sleeps && end.rank == end.ranks - 1) {
            std::this_thread::sleep_for(std::chrono::seconds(1));  // a rank that takes no part
        } else {
            const double share = idle_share(*transport, doorbell);
            if (end.rank == 0)
                std::printf("%s, peer %s: %.1f %% of a core\n", transport->name(), peer_sleeps ? "asleep" : "idle",
                            100 * share);
            EXPECT_LT(share, 0.15) << transport->name() << (peer_sleeps ? ", a peer sleeps" : ", all are idle");
        }
        transport->finish_sending();
        while (!transport->receiving_done() || !transport->sending_done()) transport->progress([](ArrivedBuffer) {});
        end.barrier();
        if (window) window->close();
    }
}

/// The last rank sends one message to rank 0, whose network thread sleeps for longer than a test may take.
TEST(SharedMemory, AMessageIsFilledInPlaceAndEndsTheSleep) {
    ThreadExecutor executor;
    Doorbell doorbell(executor, session->bell());
    const TrafficEnd end = end_of_rank(executor, doorbell);
    if (end.ranks == 1 || end.transport != TransportKind::rma) GTEST_SKIP() << "nothing is lent";
    const std::size_t buffers = 2 * (end.ranks - 1);
    const auto window = end.make_window(buffers * 4096);
    BufferPool pool(executor, "receive", window->memory(), 4096, buffers);
    const auto transport = end.make_transport(pool, run_id++, window.get());
    ASSERT_EQ(transport->rings(), Rings::messages) << "these ranks share a host";
    end.barrier();
    std::uint64_t arrived = 0;
    const auto look = [&] { transport->progress([&](ArrivedBuffer) { ++arrived; }); };
    for (int turn = 0; turn < 1000; ++turn) look();  // all have said hello
    end.barrier();
    for (int turn = 0; turn < 1000; ++turn) look();
    doorbell.wait_for_ns(1);  // what rang for that
    end.barrier();
    if (end.rank == end.ranks - 1) {
        auto lent = transport->lend(0);
        ASSERT_TRUE(lent);
        lent->set_size(kHeaderBytes);
        const MessageHeader header;
        std::memcpy(lent->storage().data(), &header, sizeof header);
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
        OutgoingBuffer full{0, std::move(*lent)};
        ASSERT_TRUE(transport->try_send(full, 0));
    } else if (end.rank == 0) {
        const auto begin = std::chrono::steady_clock::now();
        EXPECT_TRUE(doorbell.wait_for_ns(20'000'000'000));
        EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(10));
        for (int turn = 0; turn < 1000 && arrived == 0; ++turn) look();
        EXPECT_EQ(arrived, 1u);
    }
    end.barrier();
    transport->finish_sending();
    while (!transport->receiving_done() || !transport->sending_done()) look();
    end.barrier();
    window->close();
}

/// A rank that found something wrong leaves at once, and the launcher ends the others, who would wait for it.
class LeaveAtFailure : public ::testing::EmptyTestEventListener {
    void OnTestPartResult(const ::testing::TestPartResult& result) override {
        if (!result.failed()) return;
        std::fprintf(stderr, "rank %u: %s:%d: %s\n", session->communicator().rank(), result.file_name(),
                     result.line_number(), result.message());
        ::_exit(1);
    }
};

/// As the program does with its first words; all ranks of this test are on one host.
void share_bells(MpiSession& mpi) {
    Communicator& communicator = mpi.communicator();
    std::vector<std::uint32_t> all(communicator.size());
    std::iota(all.begin(), all.end(), 0u);
    const bool found = mpi.find_bells(communicator.all_gather(mpi.bell_name()), all);
    const auto said = communicator.all_gather(found ? "all" : "");
    mpi.settle_bells(std::count(said.begin(), said.end(), "all") == static_cast<std::ptrdiff_t>(all.size()));
}

}  // namespace
}  // namespace sluice::testing

int main(int argc, char** argv) {
    using namespace sluice::testing;
    ::testing::InitGoogleTest(&argc, argv);
    sluice::MpiSession mpi(&argc, &argv, nullptr, kMostControlBytes);
    session = &mpi;
    share_bells(mpi);
    if (argc > 1) transport_kind = sluice::parse_word<sluice::TransportKind>(argv[1]).value();
    auto& listeners = ::testing::UnitTest::GetInstance()->listeners();
    if (mpi.communicator().rank() != 0) delete listeners.Release(listeners.default_result_printer());
    listeners.Append(new LeaveAtFailure);
    const int code = RUN_ALL_TESTS();
    if (code == 0) mpi.finish();
    return code;
}
