#pragma once
/// The machine's cores, memory nodes and what lies near them, from hwloc; and binding threads to cores.

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace sluice {

/// One usable core, in hwloc's logical order: neighbours in the list share caches. Where the system shows no cores,
/// each processor counts as one.
struct Core {
    unsigned index = 0;     ///< logical number on the whole machine: the same in every rank of the host
    unsigned os_index = 0;  ///< number of its first usable hardware thread for the kernel
    int numa_node = 0;      ///< the kernel's number of the nearest memory node
    int package = 0;
};

/// Immutable after construction; thread-safe.
class Topology {
public:
    /// This machine. Its cores are those this process may use: the cgroup's, of those the ones in the affinity mask
    /// that the launcher gave it. Takes some milliseconds. Throws Error(environment).
    static Topology this_machine();
    /// A described machine, such as "Package:2 NUMANode:1 Core:16 PU:2" (hwloc's synthetic notation), for tests and
    /// plans. Throws Error(config).
    static Topology synthetic(const std::string& description);
    ~Topology();
    Topology(Topology&&) noexcept;

    const std::vector<Core>& cores() const noexcept;
    /// The index of each core, ascending: what the ranks of a host tell each other (PlacementRequest::usable_cores).
    std::vector<unsigned> core_indices() const;
    unsigned numa_nodes() const;
    unsigned packages() const;
    /// Hardware threads of the machine per core, 2 with SMT.
    unsigned threads_per_core() const;
    /// False for a described machine, also one that HWLOC_SYNTHETIC or HWLOC_XMLFILE put in place of the real one:
    /// binding to it does nothing.
    bool is_this_system() const;
    /// Node of the block device that holds `path`, or would hold it; -1 when nobody says, and on a described machine.
    int numa_node_of_path(const std::string& path) const;
    /// Node of a network interface such as "eth0"; -1 as above.
    int numa_node_of_interface(const std::string& name) const;

    /// Binds the calling thread to all usable hardware threads of the given core indices; empty or not this system:
    /// does nothing, false. Throws Error(environment) naming the cores when one is not ours or the kernel refuses.
    bool bind_this_thread(std::span<const unsigned> cores) const;
    /// Core indices the calling thread may run on; empty on a described machine.
    std::vector<unsigned> affinity_of_this_thread() const;
    /// Memory of [address, address + bytes) goes to `node` as long as that has room, then elsewhere; false when the
    /// machine has one node or the kernel refuses. Call before the first touch.
    bool bind_memory(void* address, std::uint64_t bytes, int node) const;

private:
    struct State;
    explicit Topology(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
};

/// Kernel numbers of the processors a thread may run on; thread_id 0 = the caller. Throws Error(environment), as when
/// the thread has ended.
std::vector<unsigned> affinity_of_thread(int thread_id);

}  // namespace sluice
