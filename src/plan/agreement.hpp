#pragma once
/// The handshake before anything else: ranks that do not run the same thing must not talk to each other.

#include <map>
#include <string>
#include <vector>

#include "net/communicator.hpp"

namespace sluice {

/// What one rank says of itself.
struct RankClaim {
    std::string host;
    std::map<std::string, std::string> facts;  ///< value by name
    /// "(says nothing)" where the rank, of another build, has no such fact.
    std::string value_of(const std::string& fact) const;
};

/// Everybody's facts, by rank, as text that describes itself: of another build comes whatever it has in common with
/// ours. Collective.
std::vector<RankClaim> exchange_claims(Communicator& communicator, const RankClaim& mine);

/// These facts are equal in all claims. Where any differs, rank 0 throws CollectiveError(config) with a table of who
/// has what, the others AbortedError. Local, and the same on all ranks.
void require_equal(const std::vector<RankClaim>& claims, const std::vector<std::string>& facts, std::uint32_t rank);

}  // namespace sluice
