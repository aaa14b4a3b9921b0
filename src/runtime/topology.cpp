#include "runtime/topology.hpp"

#include <hwloc.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>

#include "runtime/error.hpp"

namespace sluice {

struct Topology::State {
    hwloc_topology_t handle = nullptr;
    std::vector<Core> cores;
    ~State() {
        if (handle != nullptr) hwloc_topology_destroy(handle);
    }
    void list_cores();
};

void Topology::State::list_cores() {
    const int count = hwloc_get_nbobjs_by_type(handle, HWLOC_OBJ_CORE);
    for (int i = 0; i < count; ++i) {
        const hwloc_obj_t object = hwloc_get_obj_by_type(handle, HWLOC_OBJ_CORE, static_cast<unsigned>(i));
        const hwloc_obj_t package = hwloc_get_ancestor_obj_by_type(handle, HWLOC_OBJ_PACKAGE, object);
        Core core;
        core.index = object->logical_index;
        core.os_index = static_cast<unsigned>(hwloc_bitmap_first(object->cpuset));
        core.numa_node = object->nodeset != nullptr ? std::max(0, hwloc_bitmap_first(object->nodeset)) : 0;
        core.package = package != nullptr ? static_cast<int>(package->logical_index) : 0;
        cores.push_back(core);
    }
}

Topology::Topology(std::unique_ptr<State> state) : state_(std::move(state)) {}
Topology::~Topology() = default;
Topology::Topology(Topology&&) noexcept = default;

Topology Topology::this_machine() {
    auto state = std::make_unique<State>();
    if (hwloc_topology_init(&state->handle) != 0 || hwloc_topology_load(state->handle) != 0) {
        throw Error(Errc::environment,
                    "hwloc cannot read this machine's topology; set placement.policy = \"none\" and check `lstopo`");
    }
    hwloc_bitmap_t allowed = hwloc_bitmap_alloc();
    if (hwloc_get_cpubind(state->handle, allowed, HWLOC_CPUBIND_PROCESS) == 0 && !hwloc_bitmap_iszero(allowed)) {
        hwloc_topology_restrict(state->handle, allowed, 0);
    }
    hwloc_bitmap_free(allowed);
    state->list_cores();
    return Topology(std::move(state));
}

Topology Topology::synthetic(const std::string& description) {
    auto state = std::make_unique<State>();
    hwloc_topology_init(&state->handle);
    if (hwloc_topology_set_synthetic(state->handle, description.c_str()) != 0 ||
        hwloc_topology_load(state->handle) != 0) {
        throw Error(Errc::config, "'" + description +
                                      "' is no machine description; write it as \"Package:2 NUMANode:1 Core:16 PU:2\"");
    }
    state->list_cores();
    return Topology(std::move(state));
}

const std::vector<Core>& Topology::cores() const noexcept { return state_->cores; }
unsigned Topology::numa_nodes() const {
    return static_cast<unsigned>(std::max(1, hwloc_get_nbobjs_by_type(state_->handle, HWLOC_OBJ_NUMANODE)));
}
bool Topology::is_this_system() const { return hwloc_topology_is_thissystem(state_->handle) != 0; }

int Topology::numa_node_of_path(const std::string& path) const {
    struct stat info {};
    if (::stat(path.c_str(), &info) != 0) return -1;
    const std::string device =
        "/sys/dev/block/" + std::to_string(major(info.st_dev)) + ":" + std::to_string(minor(info.st_dev));
    // A partition has its disk's device one level up; NVMe keeps the node beside the controller.
    for (const char* below :
         {"/device/numa_node", "/../device/numa_node", "/device/device/numa_node", "/../device/device/numa_node"}) {
        std::ifstream file(device + below);
        int node = -1;
        if (file >> node) return node;
    }
    return -1;
}

bool Topology::bind_this_thread(std::span<const unsigned> cores) const {
    if (cores.empty() || !is_this_system()) return false;
    hwloc_bitmap_t set = hwloc_bitmap_alloc();
    std::string names;
    for (const unsigned index : cores) {
        for (const Core& core : state_->cores) {
            if (core.index != index) continue;
            const int count = hwloc_get_nbobjs_by_type(state_->handle, HWLOC_OBJ_CORE);
            for (int i = 0; i < count; ++i) {
                const hwloc_obj_t object =
                    hwloc_get_obj_by_type(state_->handle, HWLOC_OBJ_CORE, static_cast<unsigned>(i));
                if (object->logical_index == index) hwloc_bitmap_or(set, set, object->cpuset);
            }
        }
        names += (names.empty() ? "" : ",") + std::to_string(index);
    }
    const int failed = hwloc_set_cpubind(state_->handle, set, HWLOC_CPUBIND_THREAD);
    const int cause = errno;
    hwloc_bitmap_free(set);
    if (failed != 0) {
        throw Error(Errc::environment, "cannot bind a thread to core(s) " + names + ": " + std::strerror(cause) +
                                           "; the launcher or a cgroup forbids them, set placement.policy = \"none\"");
    }
    return true;
}

bool Topology::bind_memory(void* address, std::uint64_t bytes, int node) const {
    if (node < 0 || numa_nodes() < 2 || !is_this_system()) return false;
    hwloc_bitmap_t set = hwloc_bitmap_alloc();
    hwloc_bitmap_only(set, static_cast<unsigned>(node));
    const int failed =
        hwloc_set_area_membind(state_->handle, address, bytes, set, HWLOC_MEMBIND_BIND, HWLOC_MEMBIND_BYNODESET);
    hwloc_bitmap_free(set);
    return failed == 0;
}

std::vector<unsigned> affinity_of_thread(int thread_id) {
    cpu_set_t set;
    CPU_ZERO(&set);
    if (::sched_getaffinity(thread_id, sizeof set, &set) != 0)
        throw Error::from_errno(errno, "sched_getaffinity", std::to_string(thread_id), Errc::environment);
    std::vector<unsigned> processors;
    for (unsigned i = 0; i < CPU_SETSIZE; ++i) {
        if (CPU_ISSET(i, &set)) processors.push_back(i);
    }
    return processors;
}

}  // namespace sluice
