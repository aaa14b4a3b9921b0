#pragma once
/// What the plan must know of each transport before any is made.

#include <cstddef>
#include <string>

#include "runtime/choices.hpp"

namespace sluice {

/// TransportKind::automatic becomes what it stands for: rma where ranks share one host and its memory, else p2p.
TransportKind chosen_transport(TransportKind configured, std::size_t ranks, bool several_hosts, bool memory_has_room);
/// Receivers lend their memory to senders (Transport::lend).
bool lends_memory(TransportKind transport, bool several_hosts);

/// The fewest receive buffers of one rank with which no schedule can deadlock (ARCHITECTURE.md, Data flow). p2p keeps
/// one standing credit for each peer, rma one slot for each; alltoallv sets a buffer aside for a source that has said
/// what it offers, so one buffer that goes from peer to peer is enough. 0 for one rank.
std::size_t least_receive_buffers(TransportKind transport, std::size_t ranks);
/// Why it needs so many, for messages.
std::string receive_rule(TransportKind transport, std::size_t ranks);

/// The next number >= `wanted` that `transport` can use in full: rma divides its slots evenly among the peers.
std::size_t usable_receive_buffers(TransportKind transport, std::size_t wanted, std::size_t ranks);

/// What reports call it: between hosts MPI's puts are messages underneath.
std::string transport_label(TransportKind transport, bool several_hosts);

/// Throws Error(config) with the numbers when `buffers` are too few for `transport` on `ranks` ranks.
void require_receive_buffers(TransportKind transport, std::size_t buffers, std::size_t ranks);

}  // namespace sluice
