#pragma once
/// The machine's cores, memory nodes and what lies near them, from hwloc; and binding threads to cores.

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace sluice {

/// One usable core, in hwloc's logical order: neighbours in the list share caches.
struct Core {
    unsigned index = 0;     ///< logical number on the machine
    unsigned os_index = 0;  ///< number of its first hardware thread for the kernel
    int numa_node = 0, package = 0;
};

/// Immutable after construction; thread-safe.
class Topology {
public:
    /// This machine, restricted to the cores this process may use (cgroup and the mask the launcher gave it).
    static Topology this_machine();
    /// A described machine, such as "Package:2 NUMANode:1 Core:16 PU:2" (hwloc's synthetic notation), for tests and
    /// plans.
    static Topology synthetic(const std::string& description);
    ~Topology();
    Topology(Topology&&) noexcept;

    const std::vector<Core>& cores() const noexcept;
    unsigned numa_nodes() const;
    /// False for a described machine: binding to it does nothing.
    bool is_this_system() const;
    /// Node of the block device that holds `path`; -1 when the kernel does not say.
    int numa_node_of_path(const std::string& path) const;

    /// Binds the calling thread to the given core indices; empty or not this system: does nothing, false. Throws
    /// Error(environment) naming the cores when the kernel refuses.
    bool bind_this_thread(std::span<const unsigned> cores) const;
    /// Memory of [address, address + bytes) goes to `node`; false when the machine has one node or the kernel refuses.
    bool bind_memory(void* address, std::uint64_t bytes, int node) const;

private:
    struct State;
    explicit Topology(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
};

/// Kernel numbers of the processors a thread may run on; thread_id 0 = the caller.
std::vector<unsigned> affinity_of_thread(int thread_id);

}  // namespace sluice
