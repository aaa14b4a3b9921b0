#pragma once
/// Whether ranks that MPI counts to one host really share memory. Internal to the net layer.

#include <mpi.h>

namespace sluice {

/// The first rank of `host` leaves a random token in /dev/shm, and the others look for it there: containers may give
/// each rank one of its own; each must also see the launcher's (shares_memory_with_launcher). Collective over `host`;
/// the same answer on all its ranks. Leaves nothing.
bool prove_shared_memory(MPI_Comm host);

}  // namespace sluice
