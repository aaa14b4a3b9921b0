// The transports over MPI: `mpirun -n N mpi_traffic TRANSPORT`. The body is that of transport_test.cpp.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>

#include "net/alltoallv_transport.hpp"
#include "net/known_traffic.hpp"
#include "net/mpi_session.hpp"
#include "net/p2p_transport.hpp"

namespace sluice::testing {
namespace {

MpiSession* session = nullptr;
std::string transport_name;
std::uint64_t run_id = 1;

std::unique_ptr<Transport> make_transport(BufferPool& pool, std::uint64_t run) {
    if (transport_name == "alltoallv") return make_alltoallv_transport(session->rounds(), pool, run);
    return make_p2p_transport(session->wire(), pool, run);
}

class OverMpi : public ::testing::TestWithParam<std::size_t> {};

TEST_P(OverMpi, EveryMessageArrivesOnceInOrderAndUnchanged) {
    ThreadExecutor executor;
    Doorbell doorbell(executor);
    const std::uint32_t rank = session->communicator().rank(), ranks = session->communicator().size();
    const TrafficEnd end{executor, doorbell, rank, ranks, transport_name, {}, make_transport};
    const Traffic traffic = all_traffic()[GetParam()];
    TrafficRank(traffic, end, run_id++).run();
    session->communicator().barrier();
}
INSTANTIATE_TEST_SUITE_P(Each, OverMpi, ::testing::Range(std::size_t{0}, all_traffic().size()),
                         [](const auto& param) { return all_traffic()[param.param].name; });

/// A rank that found something wrong leaves at once, and the launcher ends the others, who would wait for it.
class LeaveAtFailure : public ::testing::EmptyTestEventListener {
    void OnTestPartResult(const ::testing::TestPartResult& result) override {
        if (!result.failed()) return;
        std::fprintf(stderr, "rank %u: %s:%d: %s\n", session->communicator().rank(), result.file_name(),
                     result.line_number(), result.message());
        ::_exit(1);
    }
};

}  // namespace
}  // namespace sluice::testing

int main(int argc, char** argv) {
    using namespace sluice::testing;
    ::testing::InitGoogleTest(&argc, argv);
    sluice::MpiSession mpi(&argc, &argv);
    session = &mpi;
    transport_name = argc > 1 ? argv[1] : "p2p";
    auto& listeners = ::testing::UnitTest::GetInstance()->listeners();
    if (mpi.communicator().rank() != 0) delete listeners.Release(listeners.default_result_printer());
    listeners.Append(new LeaveAtFailure);
    const int code = RUN_ALL_TESTS();
    if (code == 0) mpi.finish();
    return code;
}
