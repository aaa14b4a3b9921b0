#pragma once
/// The p2p transport: sends into receives that the receiver has posted, as many as it has granted credits for.

#include <memory>

#include "net/transport.hpp"
#include "net/wire.hpp"

namespace sluice {

/// A credit is one posted receive buffer for one source. Each source has its fair share of the receive pool standing;
/// what is left goes to sources that say they hold more (MessageHeader::offered_buffers), peers in rank-shifted order.
/// Memory is bounded by the receive pool, and no receiver has to expect what it has no buffer for.
///
/// Throws Error(config) when the pool has fewer buffers than there are peers; Error(integrity) from progress() when a
/// message of another run, for another rank, out of sequence or of impossible size arrives.
std::unique_ptr<Transport> make_p2p_transport(Wire& wire, BufferPool& receive_pool, std::uint64_t run_id);

}  // namespace sluice
