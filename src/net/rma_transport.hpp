#pragma once
/// The rma transport: each sender has slots in every receiver's window and puts full buffers straight into them.

#include <memory>

#include "net/receive_window.hpp"
#include "net/transport.hpp"
#include "net/wire.hpp"

namespace sluice {

/// The receive pool must lie in the window: buffer i of it is slot i, and the slots are divided evenly among the peers,
/// in rank-shifted order. At the start a rank tells each peer how many slots it has there and of what size. A sender
/// puts a buffer into an empty slot and sends the control word that names the slot: between hosts, where a flush waits
/// for an answer, without one, and the receiver takes the message when its seal (MessageHeader) is right. The receiver
/// hands the slot over as it lies; when it comes home its number goes back to the sender as a credit. Where all ranks
/// share a host it is make_shared_window_transport's.
///
/// Throws Error(config) when there are fewer slots than peers; Error(integrity) from progress() as p2p does.
std::unique_ptr<Transport> make_rma_transport(ReceiveWindow& window, Wire& wire, BufferPool& receive_pool,
                                              std::uint64_t run_id);

}  // namespace sluice
