#include "runtime/placement.hpp"

#include <algorithm>
#include <charconv>
#include <sstream>

#include "runtime/error.hpp"

namespace sluice {
namespace {

constexpr std::size_t kManyCores = 8;  // from here on a core for the kernel's interrupts costs little

std::string list(const std::vector<unsigned>& cores) {
    std::string text;
    for (const unsigned core : cores) text += (text.empty() ? "" : ",") + std::to_string(core);
    return text;
}

std::vector<Core> cores_to_share_out(const Topology& topology, const PlacementRequest& request) {
    std::vector<Core> cores = topology.cores();
    if (request.policy == "explicit") {
        std::vector<Core> chosen;
        for (const unsigned index : parse_core_list(request.cores)) {
            const auto found =
                std::find_if(cores.begin(), cores.end(), [&](const Core& c) { return c.index == index; });
            if (found == cores.end()) {
                throw Error(Errc::config, "placement.cores = \"" + request.cores + "\": core " + std::to_string(index) +
                                              " is not among those this process may use; `lstopo` shows them");
            }
            chosen.push_back(*found);
        }
        return chosen;
    }
    if (cores.size() >= kManyCores && cores.size() > request.local_ranks) cores.erase(cores.begin());
    return cores;
}

}  // namespace

std::vector<unsigned> parse_core_list(const std::string& text) {
    std::vector<unsigned> cores;
    std::istringstream parts(text);
    std::string part;
    const auto number = [&](std::string_view digits) {
        unsigned value = 0;
        const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
        if (digits.empty() || error != std::errc{} || end != digits.data() + digits.size() || value > 65535) {
            throw Error(Errc::config, "placement.cores = \"" + text + "\": '" + part +
                                          "' is neither a core nor a range; write \"0-3,8\"");
        }
        return value;
    };
    while (std::getline(parts, part, ',')) {
        const std::size_t dash = part.find('-');
        const unsigned first = number(std::string_view(part).substr(0, dash));
        const unsigned last = dash == std::string::npos ? first : number(std::string_view(part).substr(dash + 1));
        for (unsigned core = first; core <= last; ++core) cores.push_back(core);
    }
    if (cores.empty())
        throw Error(Errc::config, "placement.cores is empty, but placement.policy = \"explicit\"; write \"0-3,8\"");
    return cores;
}

Placement plan_placement(const Topology& topology, const PlacementRequest& request) {
    Placement placement;
    if (request.policy == "none") {
        placement.explanation = "threads are not bound (placement.policy = \"none\")";
        return placement;
    }
    const std::vector<Core> cores = cores_to_share_out(topology, request);
    const std::size_t count = cores.size();
    std::vector<Core> mine;
    if (request.local_ranks <= count) {
        // Contiguous pieces of hwloc's order: a rank's cores share caches and, where possible, a memory node.
        const std::size_t first = count * request.local_rank / request.local_ranks,
                          last = count * (request.local_rank + 1) / request.local_ranks;
        mine.assign(cores.begin() + static_cast<std::ptrdiff_t>(first),
                    cores.begin() + static_cast<std::ptrdiff_t>(last));
    } else {
        mine.push_back(cores[request.local_rank % count]);
        placement.shared_with_other_ranks = true;
    }
    for (const Core& core : mine) {
        placement.rank_cores.push_back(core.index);
        if (request.disk_numa_node < 0 || core.numa_node == request.disk_numa_node)
            placement.io_cores.push_back(core.index);
    }
    if (placement.io_cores.empty()) placement.io_cores = placement.rank_cores;
    const bool one_node =
        std::all_of(mine.begin(), mine.end(), [&](const Core& c) { return c.numa_node == mine.front().numa_node; });
    if (one_node && topology.numa_nodes() > 1) placement.numa_node = mine.front().numa_node;
    placement.explanation = "core(s) " + list(placement.rank_cores) + " of " + std::to_string(topology.cores().size());
    if (placement.numa_node >= 0) placement.explanation += ", memory on node " + std::to_string(placement.numa_node);
    if (placement.shared_with_other_ranks) {
        placement.explanation += "; SHARED: " + std::to_string(request.local_ranks) + " ranks on " +
                                 std::to_string(count) + " core(s) of this host";
    }
    return placement;
}

std::vector<unsigned> Placement::cores_of(const std::string& stage, unsigned worker) const {
    if (rank_cores.empty()) return {};
    if (stage == "distributor" || stage == "logical-disk-distributor" || stage == "sorter") {
        // The receiving side starts from the other end, so that few workers of both kinds do not meet on one core.
        const std::size_t at = stage == "logical-disk-distributor" ? rank_cores.size() - 1 - worker % rank_cores.size()
                                                                   : worker % rank_cores.size();
        return rank_cores.size() > 2 ? std::vector<unsigned>{rank_cores[at]} : rank_cores;
    }
    return io_cores;
}

}  // namespace sluice
