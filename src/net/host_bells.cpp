#include "net/host_bells.hpp"

#include <sys/statvfs.h>

#include <new>

#include "net/mpi_check.hpp"
#include "net/shared_memory_proof.hpp"

namespace sluice {
namespace {

/// So far apart: bells of two ranks in one cache line would slow both.
constexpr MPI_Aint kBellBytes = 4096;

/// For the bells of so many ranks and what Open MPI puts beside them.
bool shared_memory_has_room(std::uint64_t ranks) {
    struct statvfs shm {};
    if (::statvfs("/dev/shm", &shm) != 0) return false;
    return std::uint64_t{shm.f_bavail} * shm.f_frsize >= ranks * 4 * kBellBytes + (std::uint64_t{1} << 20);
}

}  // namespace

HostBells::HostBells(MPI_Comm comm) {
    int rank = 0, ranks = 1, here = 1, here_rank = 0;
    MPI_Comm_rank(comm, &rank);
    MPI_Comm_size(comm, &ranks);
    rank_ = static_cast<std::uint32_t>(rank);
    if (ranks == 1) return;
    MPI_Comm host = MPI_COMM_NULL;
    check_mpi(MPI_Comm_split_type(comm, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &host), "MPI_Comm_split_type");
    MPI_Comm_set_errhandler(host, MPI_ERRORS_RETURN);
    MPI_Comm_size(host, &here);
    MPI_Comm_rank(host, &here_rank);
    const bool shared = here > 1 && prove_shared_memory(host);
    one_host_ = here == ranks && shared;
    std::vector<int> ranks_here(static_cast<std::size_t>(here));
    check_mpi(MPI_Allgather(&rank, 1, MPI_INT, ranks_here.data(), 1, MPI_INT, host), "MPI_Allgather");
    // One decides for all: where there is no room, Open MPI fails on one rank and lets the others wait for it.
    int room = shared && here_rank == 0 && shared_memory_has_room(static_cast<std::uint64_t>(here)) ? 1 : 0;
    check_mpi(MPI_Bcast(&room, 1, MPI_INT, 0, host), "MPI_Bcast");
    std::byte* memory = nullptr;
    const bool made =
        room != 0 && MPI_Win_allocate_shared(kBellBytes, 1, MPI_INFO_NULL, host, &memory, &window_) == MPI_SUCCESS;
    if (made) {
        new (memory) SharedBell(0);
        bells_.resize(static_cast<std::size_t>(ranks));
        for (int other = 0; other < here; ++other) {
            MPI_Aint bytes = 0;
            int unit = 0;
            void* theirs = nullptr;
            check_mpi(MPI_Win_shared_query(window_, other, &bytes, &unit, &theirs), "MPI_Win_shared_query");
            bells_[static_cast<std::size_t>(ranks_here[static_cast<std::size_t>(other)])] =
                static_cast<SharedBell*>(theirs);
        }
        check_mpi(MPI_Barrier(host), "MPI_Barrier");  // nobody rings a bell that is not there yet
    }
    MPI_Comm_free(&host);
}

void HostBells::close() {
    bells_.clear();
    if (window_ != MPI_WIN_NULL) MPI_Win_free(&window_);
}

}  // namespace sluice
