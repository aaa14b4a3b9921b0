#pragma once
/// Word that ranks leave for each other, and for launch.sh, before MPI connects them.

#include <cstdint>
#include <string>

namespace sluice {

/// What the launcher says of this process; ranks 0: nothing.
struct LaunchPlace {
    std::uint32_t rank = 0, ranks = 0;
};
LaunchPlace launch_place();

/// Leaves `started-rNNNNN` with this host's name in `directory`, launch.sh's; nothing where that is empty or not here.
/// Call it when signals are handled: launch.sh takes it as leave to send some.
void leave_start_mark(const std::string& directory, std::uint32_t rank, const std::string& host);
/// "; rank 1 on h2 has never started", by the marks in `directory` and its file `hosts` (a line "RANK HOST" each, as
/// launch.sh plans them), or why nobody can tell; empty without a directory. One that only ranks of this host see
/// proves nothing about others, and is said to be so.
std::string who_never_started(const std::string& directory, std::uint32_t ranks, const std::string& host);

}  // namespace sluice
