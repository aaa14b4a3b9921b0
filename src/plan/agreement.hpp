#pragma once
/// The handshake before anything else: ranks that do not run the same thing must not talk to each other.

#include <string>
#include <vector>

#include "net/communicator.hpp"

namespace sluice {

/// One thing that has to be equal on all ranks, such as the build: its name and this rank's value.
struct AgreedFact {
    std::string name, value;
};

/// Compares the facts of all ranks. Where any differs, rank 0 throws CollectiveError(config) with a table of who has
/// what, the others AbortedError. Collective: the first call of a run.
/// @param host  of this rank, for the table.
void require_agreement(Communicator& communicator, const std::string& host, const std::vector<AgreedFact>& facts);

}  // namespace sluice
