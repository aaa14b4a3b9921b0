#pragma once
/// Decides which cores each worker of a rank runs on. Pure policy over a Topology: testable for machines we do not
/// have.

#include <string>
#include <vector>

#include "runtime/choices.hpp"
#include "runtime/stage_kind.hpp"
#include "runtime/topology.hpp"

namespace sluice {

/// One worker that wants to know its cores.
struct WorkerRequest {
    StageKind kind = StageKind::reader;
    unsigned index = 0;            ///< among the workers of its kind
    int preferred_numa_node = -1;  ///< of its disk or network interface; -1 = the rank's disk_numa_node
};

/// What a rank asks of the placement.
struct PlacementRequest {
    unsigned local_rank = 0, local_ranks = 1;  ///< among the ranks of this host
    PlacementPolicy policy = PlacementPolicy::automatic;
    std::string cores;                     ///< for explicit: "0-3,8", divided among the ranks of the host
    int disk_numa_node = -1;               ///< where this rank's disks are attached; -1 = unknown
    std::vector<WorkerRequest> workers{};  ///< those to list in Placement::worker_cores
    bool leave_first_core = true;          ///< to the kernel, when there are many
    /// For auto: by local rank, the cores its process may use (Topology::core_indices, exchanged by the caller). Ranks
    /// with the same cores divide them; a rank that the launcher gave cores of its own keeps them all. Empty: every
    /// rank may use what this one may.
    std::vector<std::vector<unsigned>> usable_cores{};
};

/// Which cores a rank and its workers run on. Plain data; the caller binds the threads.
struct Placement {
    struct WorkerCores {
        WorkerRequest worker;
        std::vector<unsigned> cores;  ///< core indices; empty = not bound
    };
    std::vector<WorkerCores> worker_cores;  ///< of PlacementRequest::workers, in their order
    std::vector<unsigned>
        rank_cores;                 ///< what this rank may count on, the base of its worker numbers; empty: not bound
    std::vector<Core> bound_cores;  ///< where its threads may run: rank_cores, or the whole shared set when shared
    bool shared_with_other_ranks = false;
    int numa_node = -1;       ///< where its memory goes; -1: wherever
    int disk_numa_node = -1;  ///< of the request
    std::string
        explanation;  ///< for `config check`: a line on the rank, then one for each kind of worker in worker_cores

    /// Cores of one worker. A CPU-bound one has a core of its own, packages in turn, as long as the rank has more than
    /// two and shares none; the receiving side starts from the other end. Any other, which mostly waits, may use all
    /// cores of the rank near its device.
    std::vector<unsigned> cores_of(const WorkerRequest& worker) const;
    std::vector<unsigned> cores_of(StageKind stage, unsigned worker) const;
};

/// While the ranks are no more than the cores, no two ranks of a host share one: cores are divided in hwloc's order, in
/// which neighbours share caches and memory nodes. Beyond that all of them share all cores, so that the kernel can keep
/// an uneven number of ranks busy, and the explanation says so. On hosts with 8 cores or more the first is left to the
/// kernel. Throws Error(config) for a bad explicit list.
Placement plan_placement(const Topology& topology, const PlacementRequest& request);

/// "0-3,8" -> 0 1 2 3 8. Throws Error(config) naming the part that is wrong.
std::vector<unsigned> parse_core_list(const std::string& text);
/// The reverse, runs joined: 0 1 2 3 8 -> "0-3,8".
std::string format_core_list(const std::vector<unsigned>& cores);

}  // namespace sluice
