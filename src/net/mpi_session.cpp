#include "net/mpi_session.hpp"

#include <mpi.h>

#include <cstdlib>
#include <optional>

#include "net/host_bells.hpp"
#include "net/mpi_check.hpp"
#include "net/mpi_communicator.hpp"
#include "net/mpi_environment.hpp"
#include "runtime/error.hpp"
#include "runtime/launch_marks.hpp"
#include "runtime/process_limits.hpp"
#include "runtime/units.hpp"
#include "runtime/watchdog.hpp"

namespace sluice {

std::unique_ptr<Wire> make_mpi_wire(MPI_Comm communicator, Watchdog* watchdog,
                                    HostBells& bells);                                         // mpi_wire.cpp
std::unique_ptr<Rounds> make_mpi_rounds(MPI_Comm words, MPI_Comm pieces, Watchdog* watchdog);  // mpi_rounds.cpp
std::unique_ptr<ReceiveWindow> make_mpi_window(MPI_Comm communicator, std::uint64_t bytes,
                                               bool one_host);  // mpi_window.cpp

namespace {

/// That of vader, which Open MPI 4 makes 4 MiB and a little.
constexpr std::uint64_t kSegmentBytes = 5 * kMiB;

}  // namespace

struct MpiSession::State {
    Watchdog* watchdog = nullptr;
    MPI_Comm words = MPI_COMM_NULL, pieces = MPI_COMM_NULL;
    std::unique_ptr<HostBells> bells;
    bool finished = false;
};

namespace {
void duplicate_world(MPI_Comm* comm) {
    check_mpi(MPI_Comm_dup(MPI_COMM_WORLD, comm), "MPI_Comm_dup");
    MPI_Comm_set_errhandler(*comm, MPI_ERRORS_RETURN);
}
}  // namespace

bool launched_by_mpi() {
    return std::getenv("OMPI_COMM_WORLD_SIZE") != nullptr || std::getenv("PMIX_RANK") != nullptr ||
           std::getenv("PMI_RANK") != nullptr;
}

/// The launcher of this process says how many ranks there are; with an MPI that is not the launcher's each would find
/// itself alone, and sort everything.
void check_size(std::uint32_t ranks) {
    const auto told = launcher_ranks();
    if (!told || told->ranks == ranks) return;
    throw Error(Errc::config, "the launcher started " + std::to_string(told->ranks) + " ranks (" + told->variable +
                                  "), and MPI counts " + std::to_string(ranks) +
                                  ": it is the launcher of another MPI, or " + told->variable +
                                  " is left from another job; start with the mpirun of the MPI that sluice was built "
                                  "with (sluice sysinfo names it), or scripts/launch.sh");
}

/// Open MPI goes on with the part of a segment that it got, and waits for ever in it.
void require_room_for_segments() {
    const std::uint64_t limit = file_size_limit_bytes();
    if (launch_place().ranks < 2 || limit >= kSegmentBytes) return;
    throw Error(Errc::environment, "this process may write no file beyond " + format_bytes(limit) +
                                       " (RLIMIT_FSIZE), and the memory that MPI shares between the ranks of a host is "
                                       "files of up to " +
                                       format_bytes(kSegmentBytes) + "; raise it (`ulimit -f unlimited`)");
}

MpiSession::MpiSession(int* argc, char*** argv, Watchdog* watchdog, std::uint64_t most_control_bytes)
    : state_(std::make_unique<State>()) {
    state_->watchdog = watchdog;
    if (watchdog != nullptr) {
        watchdog->require_pulse(true);
        watchdog->enter("MPI_Init, which waits until all ranks of the job have started");
    }
    require_room_for_segments();
    prepare_mpi_environment();
    std::optional<InitMark> in_init(std::in_place);
    int provided = 0;
    if (MPI_Init_thread(argc, argv, MPI_THREAD_FUNNELED, &provided) != MPI_SUCCESS || provided < MPI_THREAD_FUNNELED) {
        throw Error(Errc::environment, "MPI_Init_thread: this MPI cannot run beside threads; use Open MPI 4 or later");
    }
    in_init.reset();
    if (watchdog != nullptr) watchdog->enter(Watchdog::kFirstMessages);
    // Control and data have tags of their own; a communicator for each would cost several round trips.
    MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
    communicator_ = std::make_unique<MpiCommunicator>(MPI_COMM_WORLD, watchdog, most_control_bytes);
    check_size(communicator_->size());
    if (watchdog != nullptr) watchdog->enter("start");
    state_->bells = std::make_unique<HostBells>(communicator_->rank(), communicator_->size());
    wire_ = make_mpi_wire(MPI_COMM_WORLD, watchdog, *state_->bells);
}

Rounds& MpiSession::rounds() {
    if (!rounds_) {
        for (MPI_Comm* comm : {&state_->words, &state_->pieces}) duplicate_world(comm);
        rounds_ = make_mpi_rounds(state_->words, state_->pieces, state_->watchdog);
    }
    return *rounds_;
}

MpiSession::~MpiSession() = default;

const std::string& MpiSession::bell_name() const noexcept { return state_->bells->name(); }

bool MpiSession::find_bells(const std::vector<std::string>& name_by_rank,
                            const std::vector<std::uint32_t>& ranks_here) {
    return state_->bells->find(name_by_rank, ranks_here);
}

void MpiSession::settle_bells(bool one_host) { state_->bells->settle(one_host); }

bool MpiSession::one_host() const noexcept { return state_->bells->one_host(); }

SharedBell* MpiSession::bell() noexcept { return state_->bells->mine(); }

std::unique_ptr<ReceiveWindow> MpiSession::make_window(std::uint64_t bytes) {
    return make_mpi_window(MPI_COMM_WORLD, bytes, state_->bells->one_host());
}

std::string MpiSession::library() const {
    char text[MPI_MAX_LIBRARY_VERSION_STRING] = {};
    int length = 0;
    MPI_Get_library_version(text, &length);
    return {text, static_cast<std::size_t>(length)};
}

void MpiSession::leave() {
    static_cast<MpiCommunicator&>(*communicator_).stop_heartbeat();
    if (state_->watchdog != nullptr) state_->watchdog->enter("MPI_Finalize");
    MPI_Finalize();
    state_->finished = true;
}

void MpiSession::finish() {
    wire_.reset();
    rounds_.reset();
    communicator_->barrier();
    state_->bells->close();
    static_cast<MpiCommunicator&>(*communicator_).stop_heartbeat();
    communicator_.reset();
    if (state_->watchdog != nullptr) state_->watchdog->finishing();
    for (MPI_Comm* comm : {&state_->words, &state_->pieces}) {
        if (*comm != MPI_COMM_NULL) MPI_Comm_free(comm);
    }
    MPI_Finalize();
    state_->finished = true;
}

}  // namespace sluice
