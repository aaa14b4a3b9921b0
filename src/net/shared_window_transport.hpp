#pragma once
/// The rma transport where all ranks share a host: their windows are memory that every one of them can write.

#include <memory>

#include "net/receive_window.hpp"
#include "net/transport.hpp"
#include "net/wire.hpp"

namespace sluice {

/// Slots and words are those of make_rma_transport, which makes this one where window.direct(). But a slot is lent as
/// it lies (Transport::lend): a distributor fills the destination's memory, and only the word that names the slot
/// travels. Buffers of other pools are copied into a slot by the network thread.
///
/// One slot of each peer is never lent, so that messages which wait for a slot get one however long distributors keep
/// theirs: the rule that no schedule can deadlock stays that of the send pool.
std::unique_ptr<Transport> make_shared_window_transport(ReceiveWindow& window, Wire& wire, BufferPool& receive_pool,
                                                        std::uint64_t run_id);

}  // namespace sluice
