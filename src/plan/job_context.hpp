#pragma once
/// Everything a job runs on, passed by reference: real disks, MPI and threads, or the simulated ones, for one rank.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "io/file_system.hpp"
#include "io/io_backend.hpp"
#include "net/communicator.hpp"
#include "net/idle_backoff.hpp"
#include "net/receive_window.hpp"
#include "net/transport.hpp"
#include "runtime/arena.hpp"
#include "runtime/config.hpp"
#include "runtime/doorbell.hpp"
#include "runtime/executor.hpp"
#include "runtime/pipeline.hpp"
#include "runtime/process_table.hpp"
#include "stages/network.hpp"

namespace sluice {

class LiveCounters;

/// Where this rank stands among the ranks of its host.
struct RankPlace {
    std::string host;
    std::uint32_t host_index = 0, hosts = 1;
    std::uint32_t local_rank = 0, local_ranks = 1;
    std::vector<unsigned> cores = {};            ///< numbers of those this rank may count on; empty: not bound to any
    std::vector<std::uint32_t> ranks_here = {};  ///< of this host, ascending
    std::vector<std::string> host_by_rank = {};  ///< of the whole job
};

/// One for a rank, complete before a job begins; all that it refers to outlives the job. Members that are functions are
/// called by the main thread, but for `bind`.
struct JobContext {
    Executor& executor;
    Communicator& communicator;
    Doorbell& doorbell;
    IoBackend& io;
    FileSystem& files;
    ProcessTable& processes;
    const Config& config;  ///< this host's overrides applied
    RankPlace place;
    /// The data plane over the pool that receives; made anew for each phase that shuffles.
    /// @param window  where the pool lies, if make_window is set
    std::function<std::unique_ptr<Transport>(BufferPool& receive_pool, std::uint64_t run_id, ReceiveWindow* window)>
        make_transport;
    /// Memory of this rank, mapped and touched once; phases carve their pools from it in turn.
    std::function<std::unique_ptr<Arena>(std::uint64_t bytes)> make_arena;
    std::function<void(const Worker&)> bind;  ///< called on each worker's thread
    IdleBackoff backoff;
    /// One line to people, while the job runs (stderr, rank 0).
    std::function<void(const std::string&)> say;
    /// Each change of step and the run it belongs to ("" = as before), for status.json and the watchdog; see enter().
    std::function<void(const std::string& step, const std::string& run_id)> on_step{};
    /// Memory for the receive pool of a transport whose peers write into it (rma); unset where it comes from the arena.
    /// Collective.
    std::function<std::unique_ptr<ReceiveWindow>(std::uint64_t bytes)> make_window = {};

    /// Calls what it is given every second, on a thread that no disk or peer holds up, until the handle is let go;
    /// unset where there is no such thread. Exceptions of it are ignored.
    std::function<std::shared_ptr<void>(std::function<void()> beat)> keep_beating = {};

    /// Called by rank 0 before it writes what decides whether the data set is there. Until the handle is let go, or
    /// on_published has been called, a signal or a verdict on this process waits (5 s at most); where one has come
    /// before, the call does not return and nothing is published.
    std::function<std::shared_ptr<void>()> begin_commit = {};

    /// The data set of this run is durable, and this rank knows: rank 0 as soon as its commit record is, the others
    /// after it. Nothing that comes later is an error of the run.
    std::function<void()> on_published = {};

    LiveCounters* live = nullptr;  ///< told of the phase that is running; may be nullptr

    void enter(const std::string& step, const std::string& run_id = "") const {
        if (on_step) on_step(step, run_id);
    }
    std::uint32_t rank() const { return communicator.rank(); }
    std::uint32_t ranks() const { return communicator.size(); }
};

/// What the main thread does while the workers of a pipeline work.
inline NetworkLoop make_network_loop(JobContext& job, Pipeline& pipeline) {
    return {job.communicator, pipeline, job.doorbell, job.backoff, job.executor.scheduler() != nullptr};
}

}  // namespace sluice
