#include "runtime/topology.hpp"

#include <hwloc.h>
#include <sched.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "runtime/errno_text.hpp"
#include "runtime/error.hpp"
#include "runtime/topology_devices.hpp"

namespace sluice {
namespace {

class Bitmap {
public:
    Bitmap() : set_(hwloc_bitmap_alloc()) {}
    Bitmap(const Bitmap&) = delete;
    ~Bitmap() { hwloc_bitmap_free(set_); }
    hwloc_bitmap_t get() const noexcept { return set_; }

private:
    hwloc_bitmap_t set_;
};

constexpr const char* kWithoutTopology = "; set placement.policy = \"none\" and check `lstopo`";

}  // namespace

struct Topology::State {
    hwloc_topology_t handle = nullptr;
    Bitmap usable;  // hardware threads of this process
    std::vector<Core> cores;
    std::vector<hwloc_obj_t> objects;  // of the same position in cores

    ~State() {
        if (handle != nullptr) hwloc_topology_destroy(handle);
    }
    void list_cores();
    hwloc_obj_t object_of(unsigned index) const {
        const auto found = std::find_if(cores.begin(), cores.end(), [&](const Core& c) { return c.index == index; });
        return found == cores.end() ? nullptr : objects[static_cast<std::size_t>(found - cores.begin())];
    }
};

void Topology::State::list_cores() {
    // Some virtual machines and ARM boards describe no cores.
    const hwloc_obj_type_t type = hwloc_get_nbobjs_by_type(handle, HWLOC_OBJ_CORE) > 0 ? HWLOC_OBJ_CORE : HWLOC_OBJ_PU;
    hwloc_obj_t object = nullptr;
    while ((object = hwloc_get_next_obj_by_type(handle, type, object)) != nullptr) {
        if (hwloc_bitmap_intersects(object->cpuset, usable.get()) == 0) continue;
        Bitmap threads;
        hwloc_bitmap_and(threads.get(), object->cpuset, usable.get());
        const hwloc_obj_t package = hwloc_get_ancestor_obj_by_type(handle, HWLOC_OBJ_PACKAGE, object);
        Core core;
        core.index = object->logical_index;
        core.os_index = static_cast<unsigned>(hwloc_bitmap_first(threads.get()));
        core.numa_node = object->nodeset != nullptr ? std::max(0, hwloc_bitmap_first(object->nodeset)) : 0;
        core.package = package != nullptr ? static_cast<int>(package->logical_index) : 0;
        cores.push_back(core);
        objects.push_back(object);
    }
    if (cores.empty())
        throw Error(Errc::environment, std::string("hwloc shows no core that this process may use") + kWithoutTopology);
}

Topology::Topology(std::unique_ptr<State> state) : state_(std::move(state)) {}
Topology::~Topology() = default;
Topology::Topology(Topology&&) noexcept = default;

Topology Topology::this_machine() {
    auto state = std::make_unique<State>();
    // The whole machine is loaded, also what a cgroup forbids, so that core numbers mean the same in every rank of the
    // host. The kernel keeps the affinity mask within the cgroup's cpuset: the mask alone says what is ours.
    if (hwloc_topology_init(&state->handle) != 0 ||
        hwloc_topology_set_flags(state->handle, HWLOC_TOPOLOGY_FLAG_INCLUDE_DISALLOWED) != 0 ||
        hwloc_topology_load(state->handle) != 0) {
        throw Error(Errc::environment, std::string("hwloc cannot read this machine's topology") + kWithoutTopology);
    }
    if (hwloc_get_cpubind(state->handle, state->usable.get(), HWLOC_CPUBIND_PROCESS) != 0 ||
        hwloc_bitmap_iszero(state->usable.get())) {
        hwloc_bitmap_copy(state->usable.get(), hwloc_topology_get_allowed_cpuset(state->handle));
    }
    state->list_cores();
    return Topology(std::move(state));
}

Topology Topology::synthetic(const std::string& description) {
    auto state = std::make_unique<State>();
    if (hwloc_topology_init(&state->handle) != 0 ||
        hwloc_topology_set_synthetic(state->handle, description.c_str()) != 0 ||
        hwloc_topology_load(state->handle) != 0) {
        throw Error(Errc::config, "'" + description +
                                      "' is no machine description; write it as \"Package:2 NUMANode:1 Core:16 PU:2\"");
    }
    hwloc_bitmap_copy(state->usable.get(), hwloc_topology_get_topology_cpuset(state->handle));
    state->list_cores();
    return Topology(std::move(state));
}

const std::vector<Core>& Topology::cores() const noexcept { return state_->cores; }

std::vector<unsigned> Topology::core_indices() const {
    std::vector<unsigned> indices;
    for (const Core& core : state_->cores) indices.push_back(core.index);
    return indices;
}

unsigned Topology::numa_nodes() const {
    return static_cast<unsigned>(std::max(1, hwloc_get_nbobjs_by_type(state_->handle, HWLOC_OBJ_NUMANODE)));
}

unsigned Topology::packages() const {
    return static_cast<unsigned>(std::max(1, hwloc_get_nbobjs_by_type(state_->handle, HWLOC_OBJ_PACKAGE)));
}

unsigned Topology::threads_per_core() const {
    const int cores = hwloc_get_nbobjs_by_type(state_->handle, HWLOC_OBJ_CORE);
    return cores > 0 ? static_cast<unsigned>(hwloc_get_nbobjs_by_type(state_->handle, HWLOC_OBJ_PU) / cores) : 1;
}

bool Topology::is_this_system() const { return hwloc_topology_is_thissystem(state_->handle) != 0; }

int Topology::numa_node_of_path(const std::string& path) const {
    return is_this_system() ? sluice::numa_node_of_path(path) : -1;
}

int Topology::numa_node_of_interface(const std::string& name) const {
    return is_this_system() ? sluice::numa_node_of_interface(name) : -1;
}

bool Topology::bind_this_thread(std::span<const unsigned> cores) const {
    if (cores.empty() || !is_this_system()) return false;
    Bitmap set;
    std::string names;
    for (const unsigned index : cores) {
        const hwloc_obj_t object = state_->object_of(index);
        if (object == nullptr) {
            throw Error(Errc::environment, "cannot bind a thread to core " + std::to_string(index) +
                                               ": it is not among those this process may use" + kWithoutTopology);
        }
        hwloc_bitmap_or(set.get(), set.get(), object->cpuset);
        names += (names.empty() ? "" : ",") + std::to_string(index);
    }
    hwloc_bitmap_and(set.get(), set.get(), state_->usable.get());
    if (hwloc_set_cpubind(state_->handle, set.get(), HWLOC_CPUBIND_THREAD) != 0) {
        throw Error(Errc::environment, "cannot bind a thread to core(s) " + names + ": " + errno_text(errno) +
                                           "; the launcher or a cgroup forbids them, set placement.policy = \"none\"");
    }
    return true;
}

std::vector<unsigned> Topology::affinity_of_this_thread() const {
    std::vector<unsigned> bound;
    Bitmap set;
    if (!is_this_system() || hwloc_get_cpubind(state_->handle, set.get(), HWLOC_CPUBIND_THREAD) != 0) return bound;
    for (std::size_t i = 0; i < state_->cores.size(); ++i) {
        if (hwloc_bitmap_intersects(state_->objects[i]->cpuset, set.get()) != 0)
            bound.push_back(state_->cores[i].index);
    }
    return bound;
}

bool Topology::bind_memory(void* address, std::uint64_t bytes, int node) const {
    if (node < 0 || numa_nodes() < 2 || !is_this_system()) return false;
    Bitmap set;
    hwloc_bitmap_only(set.get(), static_cast<unsigned>(node));
    // Without HWLOC_MEMBIND_STRICT the node is preferred: a full node costs speed, not the run.
    return hwloc_set_area_membind(state_->handle, address, bytes, set.get(), HWLOC_MEMBIND_BIND,
                                  HWLOC_MEMBIND_BYNODESET) == 0;
}

std::vector<unsigned> affinity_of_thread(int thread_id) {
    // The kernel refuses a set smaller than its own; 2^16 processors are more than any Linux is built for.
    for (std::size_t processors = CPU_SETSIZE; processors <= 65536; processors *= 4) {
        std::vector<cpu_set_t> sets(processors / CPU_SETSIZE);
        const std::size_t bytes = sets.size() * sizeof(cpu_set_t);
        if (::sched_getaffinity(thread_id, bytes, sets.data()) != 0) {
            if (errno == EINVAL) continue;
            break;
        }
        std::vector<unsigned> found;
        for (unsigned i = 0; i < processors; ++i) {
            if (CPU_ISSET_S(i, bytes, sets.data())) found.push_back(i);
        }
        return found;
    }
    throw Error::from_errno(errno, "sched_getaffinity", std::to_string(thread_id), Errc::environment);
}

}  // namespace sluice
