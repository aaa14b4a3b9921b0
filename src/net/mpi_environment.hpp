#pragma once
/// What Open MPI must be told, by its environment, before MPI_Init: read once, there. Internal to the net layer, and
/// its parts are pure for tests.

#include <cstdint>
#include <string>
#include <vector>

namespace sluice {

/// Sets OMPI_MCA_ variables for this host and process, each only where nobody else has chosen. Call before MPI_Init.
void prepare_mpi_environment();

/// A network interface that is up and has an address.
struct NetworkInterface {
    std::string name;
    bool is_bridge = false;
    bool leads_out = true;  ///< of this host; a bridge only by a port that does
};
/// Those that have the same address on every host and lead to none of them: docker0, br-..., virbr0 and the like, and
/// every bridge that leads to containers and virtual machines of this host only.
std::vector<std::string> bridges_that_lead_nowhere(const std::vector<NetworkInterface>& interfaces);

/// Text of /proc/self/uid_map: users here are those of the machine.
bool is_identity_map(const std::string& uid_map);

/// The launcher and this process see one /dev/shm, as far as can be told from outside: what processes of one host need
/// in order to share memory.
bool shares_memory_with_launcher();

}  // namespace sluice
