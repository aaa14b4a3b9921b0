#include "runtime/placement.hpp"

#include <algorithm>
#include <charconv>
#include <sstream>
#include <utility>

#include "runtime/error.hpp"

namespace sluice {
namespace {

constexpr std::size_t kManyCores = 8;  // from here on a core for the kernel's interrupts costs little
constexpr std::size_t kFewCores = 2;   // up to here a worker of its own on a core would leave the others idle
constexpr unsigned kLargestCore = 65535;

bool is_cpu_bound(StageKind kind) {
    return kind == StageKind::node_distributor || kind == StageKind::logical_disk_distributor ||
           kind == StageKind::sorter;
}

std::vector<unsigned> indices(const std::vector<Core>& cores) {
    std::vector<unsigned> result;
    for (const Core& core : cores) result.push_back(core.index);
    return result;
}

const Core* find_core(const Topology& topology, unsigned index) {
    const auto& cores = topology.cores();
    const auto found = std::find_if(cores.begin(), cores.end(), [&](const Core& c) { return c.index == index; });
    return found == cores.end() ? nullptr : &*found;
}

/// Cores that `ranks` ranks divide, this one being number `rank` of them.
struct Share {
    std::vector<Core> cores;
    std::size_t rank = 0, ranks = 1;
    bool overlapping = false;  // another rank's process may use some of these cores, but not exactly these
};

Share explicit_share(const Topology& topology, const PlacementRequest& request) {
    Share share{{}, request.local_rank, request.local_ranks, false};
    for (const unsigned index : parse_core_list(request.cores)) {
        const Core* core = find_core(topology, index);
        if (core == nullptr) {
            throw Error(Errc::config, "placement.cores = \"" + request.cores + "\": core " + std::to_string(index) +
                                          " is not among those this process may use (" +
                                          format_core_list(topology.core_indices()) +
                                          "); name others, or launch with `--bind-to none`");
        }
        share.cores.push_back(*core);
    }
    return share;
}

Share automatic_share(const Topology& topology, const PlacementRequest& request) {
    Share share{topology.cores(), request.local_rank, request.local_ranks, false};
    if (!request.usable_cores.empty()) {
        SLUICE_CHECK(request.usable_cores.size() == request.local_ranks);
        const std::vector<unsigned>& mine = request.usable_cores[request.local_rank];
        share.rank = share.ranks = 0;
        for (std::size_t other = 0; other < request.usable_cores.size(); ++other) {
            const std::vector<unsigned>& theirs = request.usable_cores[other];
            if (theirs == mine) {
                if (other < request.local_rank) ++share.rank;
                ++share.ranks;
            } else {
                share.overlapping |=
                    std::find_first_of(theirs.begin(), theirs.end(), mine.begin(), mine.end()) != theirs.end();
            }
        }
    }
    auto& cores = share.cores;
    const bool can_spare = cores.size() >= kManyCores && cores.size() > share.ranks;
    if (request.leave_first_core && can_spare && cores.front().index == 0) cores.erase(cores.begin());
    return share;
}

/// The cores of each package in turn, so that few CPU-bound workers use the memory of all of them.
std::vector<unsigned> packages_in_turn(std::vector<Core> cores) {
    std::vector<std::pair<std::size_t, Core>> ranked;
    for (const Core& core : cores) {
        const auto before = std::count_if(ranked.begin(), ranked.end(),
                                          [&](const auto& other) { return other.second.package == core.package; });
        ranked.emplace_back(before, core);
    }
    std::stable_sort(ranked.begin(), ranked.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
    for (std::size_t i = 0; i < cores.size(); ++i) cores[i] = ranked[i].second;
    return indices(cores);
}

std::string explain_rank(const Placement& placement, const Topology& topology, const Share& share) {
    std::vector<int> nodes;
    for (const Core& core : placement.bound_cores) nodes.push_back(core.numa_node);
    std::sort(nodes.begin(), nodes.end());
    nodes.erase(std::unique(nodes.begin(), nodes.end()), nodes.end());
    std::string text = "core(s) " + format_core_list(indices(placement.bound_cores)) + " of " +
                       std::to_string(topology.cores().size());
    if (placement.numa_node >= 0) text += ", memory on node " + std::to_string(placement.numa_node);
    if (nodes.size() > 1) text += ", over " + std::to_string(nodes.size()) + " memory nodes";
    if (share.ranks > share.cores.size()) {
        text += "; SHARED: " + std::to_string(share.ranks) + " ranks on " + std::to_string(share.cores.size()) +
                " core(s) of this host";
    }
    if (!topology.is_this_system()) text += "; a described machine: nothing is bound";
    if (share.overlapping) {
        text +=
            "; SHARED: the launcher gave other ranks of this host some of these cores too; launch with "
            "`--bind-to none` to have them divided";
    }
    return text;
}

std::string explain_workers(const std::vector<Placement::WorkerCores>& all) {
    std::string text;
    for (const auto& [name, kind] : words_of(StageKind{})) {
        std::string places;
        for (const Placement::WorkerCores& each : all) {
            if (each.worker.kind != kind) continue;
            places += (places.empty() ? "" : " | ") + format_core_list(each.cores);
        }
        if (!places.empty()) text += "\n  " + std::string(name) + ": core(s) " + places;
    }
    return text;
}

}  // namespace

std::vector<unsigned> parse_core_list(const std::string& text) {
    std::vector<unsigned> cores;
    std::istringstream parts(text);
    std::string part;
    const auto refuse = [&](const std::string& why) -> Error {
        return {Errc::config, "placement.cores = \"" + text + "\": " + why + "; write \"0-3,8\""};
    };
    const auto number = [&](std::string_view digits) {
        unsigned value = 0;
        const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
        if (digits.empty() || error != std::errc{} || end != digits.data() + digits.size() || value > kLargestCore)
            throw refuse("'" + part + "' is neither a core nor a range");
        return value;
    };
    while (std::getline(parts, part, ',')) {
        const std::size_t dash = part.find('-');
        const unsigned first = number(std::string_view(part).substr(0, dash));
        const unsigned last = dash == std::string::npos ? first : number(std::string_view(part).substr(dash + 1));
        if (last < first) throw refuse("'" + part + "' runs backwards");
        for (unsigned core = first; core <= last; ++core) {
            if (std::find(cores.begin(), cores.end(), core) != cores.end())
                throw refuse("core " + std::to_string(core) + " is named twice");
            cores.push_back(core);
        }
    }
    if (cores.empty())
        throw Error(Errc::config, "placement.cores is empty, but placement.policy = \"explicit\"; write \"0-3,8\"");
    return cores;
}

std::string format_core_list(const std::vector<unsigned>& cores) {
    std::string text;
    for (std::size_t i = 0; i < cores.size();) {
        std::size_t last = i;
        while (last + 1 < cores.size() && cores[last + 1] == cores[last] + 1) ++last;
        text += (text.empty() ? "" : ",") + std::to_string(cores[i]);
        if (last > i) text += "-" + std::to_string(cores[last]);
        i = last + 1;
    }
    return text;
}

Placement plan_placement(const Topology& topology, const PlacementRequest& request) {
    Placement placement;
    if (request.policy == PlacementPolicy::none) {
        for (const WorkerRequest& worker : request.workers) placement.worker_cores.push_back({worker, {}});
        placement.explanation = "threads are not bound (placement.policy = \"none\")";
        return placement;
    }
    SLUICE_CHECK(request.local_rank < request.local_ranks);
    const Share share = request.policy == PlacementPolicy::explicit_cores ? explicit_share(topology, request)
                                                                          : automatic_share(topology, request);
    const std::size_t count = share.cores.size();
    if (share.ranks <= count) {
        const auto at = [&](std::size_t rank) {
            return share.cores.begin() + static_cast<std::ptrdiff_t>(count * rank / share.ranks);
        };
        placement.bound_cores.assign(at(share.rank), at(share.rank + 1));
        placement.rank_cores = indices(placement.bound_cores);
    } else {
        placement.bound_cores = share.cores;
        placement.rank_cores = {share.cores[share.rank % count].index};
    }
    placement.shared_with_other_ranks = share.ranks > count || share.overlapping;
    placement.disk_numa_node = request.disk_numa_node;
    const int node = placement.bound_cores.front().numa_node;
    const bool one_node = std::all_of(placement.bound_cores.begin(), placement.bound_cores.end(),
                                      [&](const Core& c) { return c.numa_node == node; });
    if (one_node && topology.numa_nodes() > 1) placement.numa_node = node;
    for (const WorkerRequest& worker : request.workers)
        placement.worker_cores.push_back({worker, placement.cores_of(worker)});
    placement.explanation = explain_rank(placement, topology, share) + explain_workers(placement.worker_cores);
    return placement;
}

std::vector<unsigned> Placement::cores_of(const WorkerRequest& worker) const {
    if (is_cpu_bound(worker.kind)) {
        if (bound_cores.size() <= kFewCores || shared_with_other_ranks) return indices(bound_cores);
        const std::vector<unsigned> order = packages_in_turn(bound_cores);
        const std::size_t at = worker.index % order.size();
        // The receiving side runs at the same time as the sending one: from opposite ends they meet last.
        return {worker.kind == StageKind::logical_disk_distributor ? order[order.size() - 1 - at] : order[at]};
    }
    const int wanted = worker.preferred_numa_node >= 0 ? worker.preferred_numa_node : disk_numa_node;
    std::vector<unsigned> near;
    for (const Core& core : bound_cores) {
        if (core.numa_node == wanted) near.push_back(core.index);
    }
    return near.empty() ? indices(bound_cores) : near;
}

std::vector<unsigned> Placement::cores_of(StageKind stage, unsigned worker) const {
    return cores_of(WorkerRequest{stage, worker, -1});
}

}  // namespace sluice
