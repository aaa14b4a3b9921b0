#pragma once
/// MPI's life in this process. The network thread is the one that constructs it, and the only one that calls MPI.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "net/communicator.hpp"
#include "net/receive_window.hpp"
#include "net/rounds.hpp"
#include "net/wire.hpp"
#include "runtime/doorbell.hpp"

namespace sluice {

class Watchdog;

/// True when a launcher (mpirun, srun) started this process, so that there are other ranks to meet.
bool launched_by_mpi();

/// MPI_Init to MPI_Finalize. Finalizes only by finish(): an error path leaves the process by _exit, since a rank in
/// MPI_Finalize would wait for ever for one that failed.
class MpiSession {
public:
    /// @param watchdog  hears from here whether main thread and peers are alive; nullptr: nobody watches.
    /// @param most_control_bytes  of one call for control texts, longer ones go in pieces; MPI-3 counts in int.
    MpiSession(int* argc, char*** argv, Watchdog* watchdog = nullptr, std::uint64_t most_control_bytes = 1 << 30);
    ~MpiSession();
    MpiSession(const MpiSession&) = delete;

    Communicator& communicator() noexcept { return *communicator_; }  ///< control
    Wire& wire() noexcept { return *wire_; }                          ///< data, by other tags
    /// Of the memory by which the ranks of a host wake each other, in three steps that go with words of the program's:
    /// everybody's names go to everybody, then whether find_bells() found all, then settle_bells() on all ranks.
    const std::string& bell_name() const noexcept;
    bool find_bells(const std::vector<std::string>& name_by_rank, const std::vector<std::uint32_t>& ranks_here);
    void settle_bells(bool one_host);
    /// Data by collectives, on two more, which the first call makes: collective, on all ranks.
    Rounds& rounds();
    /// Collective. At least `bytes` of memory that the others can put into.
    std::unique_ptr<ReceiveWindow> make_window(std::uint64_t bytes);
    /// All ranks run on this host and share memory, as they have shown each other.
    bool one_host() const noexcept;
    /// For this rank's Doorbell, from find_bells() until finish(); nullptr where other ranks cannot ring it.
    SharedBell* bell() noexcept;
    std::string library() const;  ///< "Open MPI v4.1.4, ..."
    /// Collective: all ranks are done.
    void finish();
    /// MPI_Finalize alone, after a failure that is no longer one of the run: ranks may have stopped anywhere.
    void leave();

private:
    struct State;
    std::unique_ptr<State> state_;
    std::unique_ptr<Communicator> communicator_;
    std::unique_ptr<Wire> wire_;
    std::unique_ptr<Rounds> rounds_;
};

}  // namespace sluice
