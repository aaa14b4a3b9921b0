#include "runtime/binding_check.hpp"

#include <sched.h>

#include <algorithm>
#include <map>
#include <set>

#include "runtime/placement.hpp"

namespace sluice {

unsigned threads_of_process(int pid) {
    cpu_set_t set;
    CPU_ZERO(&set);
    return ::sched_getaffinity(pid, sizeof set, &set) == 0 ? static_cast<unsigned>(CPU_COUNT(&set)) : 0;
}

std::optional<std::string> binding_advice(const std::vector<RankBinding>& ranks) {
    struct Host {
        unsigned ranks = 0, launcher_cores = 0;
        std::set<unsigned> reached;
    };
    std::map<std::string, Host> hosts;
    for (const RankBinding& rank : ranks) {
        Host& host = hosts[rank.host];
        ++host.ranks;
        host.launcher_cores = std::max(host.launcher_cores, rank.launcher_cores);
        host.reached.insert(rank.cores.begin(), rank.cores.end());
    }
    std::string first;
    std::size_t bound = 0;
    for (std::size_t r = 0; r < ranks.size(); ++r) {
        const RankBinding& rank = ranks[r];
        const Host& host = hosts[rank.host];
        const unsigned share = std::max(1u, host.launcher_cores / host.ranks);
        const bool few = rank.cores.size() < share;
        const bool crowded = host.reached.size() < host.launcher_cores && host.reached.size() < share * host.ranks;
        if (rank.cores.empty() || (!few && !crowded) || bound++ > 0) continue;
        first = "rank " + std::to_string(r) + " on " + rank.host + " may use " + std::to_string(rank.cores.size()) +
                " core(s) (" + format_core_list(rank.cores) + "); the " + std::to_string(host.ranks) +
                " rank(s) there reach " + std::to_string(host.reached.size()) + " of the " +
                std::to_string(host.launcher_cores) + " their launcher has, so " + std::to_string(share) +
                " each would be fair";
    }
    if (bound == 0) return std::nullopt;
    return "note: the launcher has tied ranks to few cores: " + first +
           (bound > 1 ? "; " + std::to_string(bound - 1) + " more ranks are tied as well" : "") +
           "; start with scripts/launch.sh, or add --bind-to none to mpirun (srun: --cpu-bind=none)";
}

}  // namespace sluice
