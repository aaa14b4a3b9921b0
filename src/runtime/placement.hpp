#pragma once
/// Decides which cores each worker of a rank runs on. Pure policy over a Topology: testable for machines we do not
/// have.

#include <string>
#include <vector>

#include "runtime/topology.hpp"

namespace sluice {

struct PlacementRequest {
    unsigned local_rank = 0, local_ranks = 1;  ///< among the ranks of this host
    std::string policy = "auto";               ///< auto | none | explicit
    std::string cores;                         ///< for explicit: "0-3,8"
    int disk_numa_node = -1;                   ///< where this rank's disks are attached; -1 = unknown
};

struct Placement {
    std::vector<unsigned> rank_cores;  ///< core indices of this rank; empty: not bound
    std::vector<unsigned> io_cores;    ///< of those, the ones near the disks: readers and writers, which mostly sleep
    bool shared_with_other_ranks = false;
    int numa_node = -1;       ///< where its memory goes; -1: wherever
    std::string explanation;  ///< for `config check`

    /// Cores of one worker. CPU-bound stages get a core each, in turn over the rank's cores; stages that mostly wait
    /// (reader, writer, network) share the cores near their disk.
    std::vector<unsigned> cores_of(const std::string& stage, unsigned worker) const;
};

/// While local_ranks <= cores no two ranks of a host share one; beyond that they do, and the explanation says so. On
/// hosts with 8 cores or more the first core is left to the kernel. Throws Error(config) for a bad explicit list.
Placement plan_placement(const Topology& topology, const PlacementRequest& request);

/// "0-3,8" -> 0 1 2 3 8. Throws Error(config) naming the part that is wrong.
std::vector<unsigned> parse_core_list(const std::string& text);

}  // namespace sluice
