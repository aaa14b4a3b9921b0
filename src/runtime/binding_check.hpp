#pragma once
/// Whether the launcher has tied ranks to fewer cores than are theirs: Open MPI gives each of two ranks one core.

#include <optional>
#include <string>
#include <vector>

namespace sluice {

/// What one rank may run on.
struct RankBinding {
    std::string host;
    std::vector<unsigned> cores;  ///< indices of the cores its process may use
    unsigned launcher_cores = 0;  ///< how many its parent process may use; 0: unknown
};

/// How many hardware threads process `pid` may run on, by its affinity; 0: unknown.
unsigned threads_of_process(int pid);

/// One line that names the first rank that has fewer cores than its share of what the launcher may use on that host
/// (all ranks of a host together should reach all of these), how many more there are, and the fix. nullopt: all is
/// well.
/// @param ranks  by rank; ranks of one host have the same name.
std::optional<std::string> binding_advice(const std::vector<RankBinding>& ranks);

}  // namespace sluice
