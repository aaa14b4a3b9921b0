// The news of a failure over MPI: `mpirun -n N mpi_news`. With two children a rank, so that few ranks have a deep tree.
#include <gtest/gtest.h>
#include <mpi.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <thread>

#include "net/failure_news.hpp"
#include "net/mpi_session.hpp"

namespace sluice::testing {
namespace {

using Failure = Communicator::Failure;
std::uint32_t rank = 0, ranks = 1;
constexpr std::uint32_t kFanOut = 2;

std::string text_of(std::uint32_t origin) { return "the disk of rank " + std::to_string(origin); }

/// Communicators of one test: what it leaves unread no other one sees.
struct OverMpi : ::testing::Test {
    OverMpi() {
        for (MPI_Comm* comm : {&news_comm, &other_comm}) {
            MPI_Comm_dup(MPI_COMM_WORLD, comm);
            MPI_Comm_set_errhandler(*comm, MPI_ERRORS_RETURN);
        }
    }
    void meet() { MPI_Barrier(other_comm); }
    Failure wait_for_news(FailureNews& news) {
        const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
        while (std::chrono::steady_clock::now() < deadline) {
            if (const auto heard = news.hear()) {
                news.tell_on();
                return *heard;
            }
            std::this_thread::sleep_for(std::chrono::microseconds(100));
        }
        ADD_FAILURE() << "no news";
        return {};
    }
    static void expect_news_of(const Failure& heard, std::uint32_t origin) {
        EXPECT_EQ(heard.rank, origin);
        EXPECT_EQ(heard.exit_code, 5);
        EXPECT_EQ(heard.message, text_of(origin));
    }
    MPI_Comm news_comm = MPI_COMM_NULL, other_comm = MPI_COMM_NULL;
};

TEST_F(OverMpi, NewsReachAllDownTheTreeAlone) {
    for (std::uint32_t origin = 0; origin < ranks; ++origin) {
        FailureNews news(news_comm, kFanOut, FailureNews::Reach::tree_only);
        if (rank == origin) {
            news.announce({origin, 5, text_of(origin)});
        } else {
            expect_news_of(wait_for_news(news), origin);
        }
        meet();
        EXPECT_FALSE(news.hear()) << "told twice";
        meet();
    }
}

/// The dead one hears of it at last, as nobody who is dead does: that it did not read before is what counts.
TEST_F(OverMpi, ARankThatIsGoneCutsNobodyOff) {
    FailureNews news(news_comm, kFanOut);
    const std::uint32_t dead = 1;  // the first child
    if (rank == 0) {
        news.announce({0, 5, text_of(0)});
    } else if (rank != dead) {
        expect_news_of(wait_for_news(news), 0);
    }
    meet();
    if (rank == dead && ranks > dead) expect_news_of(wait_for_news(news), 0);
    meet();
    EXPECT_FALSE(news.hear()) << "what came by both ways is news once";
}

TEST_F(OverMpi, AllMayFailAtOnceAndNobodyWaits) {
    FailureNews news(news_comm, kFanOut);
    meet();
    const auto begin = std::chrono::steady_clock::now();
    news.announce({rank, 5, text_of(rank)});
    EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(5));
    meet();
    while (const auto heard = news.hear()) {
        EXPECT_NE(heard->rank, rank);
        expect_news_of(*heard, heard->rank);
    }
}

TEST_F(OverMpi, OfTwoFailuresEachRankHearsOneFirst) {
    FailureNews news(news_comm, kFanOut);
    const std::uint32_t other = ranks - 1;
    meet();
    if (rank == 0 || rank == other) {
        news.announce({rank, 5, text_of(rank)});
    } else {
        const Failure heard = wait_for_news(news);
        EXPECT_TRUE(heard.rank == 0 || heard.rank == other) << heard.rank;
        expect_news_of(heard, heard.rank);
    }
    meet();
}

/// A rank that found something wrong leaves at once, and the launcher ends the others, who would wait for it.
class LeaveAtFailure : public ::testing::EmptyTestEventListener {
    void OnTestPartResult(const ::testing::TestPartResult& result) override {
        if (!result.failed()) return;
        std::fprintf(stderr, "rank %u: %s:%d: %s\n", rank, result.file_name(), result.line_number(), result.message());
        ::_exit(1);
    }
};

}  // namespace
}  // namespace sluice::testing

int main(int argc, char** argv) {
    using namespace sluice::testing;
    ::testing::InitGoogleTest(&argc, argv);
    sluice::MpiSession mpi(&argc, &argv);
    rank = mpi.communicator().rank();
    ranks = mpi.communicator().size();
    auto& listeners = ::testing::UnitTest::GetInstance()->listeners();
    if (rank != 0) delete listeners.Release(listeners.default_result_printer());
    listeners.Append(new LeaveAtFailure);
    const int code = RUN_ALL_TESTS();
    if (code == 0) mpi.finish();
    return code;
}
