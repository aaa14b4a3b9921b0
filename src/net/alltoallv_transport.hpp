#pragma once
/// The alltoallv transport: rounds in which every pair first says what it offers and accepts, then moves the minimum.

#include <memory>

#include "net/rounds.hpp"
#include "net/transport.hpp"

namespace sluice {

/// A round has two steps. Words: each rank tells each other the sizes of the buffers it offers, how many it accepts
/// (receive buffers set aside for that source, perhaps none), whether it is done, and whether anything is new since its
/// last word. Movement: of each pair the first min(offered, accepted) buffers, straight between pool buffers. Up to
/// Rounds::kLanes movements run at a time, and the next words leave ahead of the newest: on a full link what is sent
/// later arrives that much later, and a link has nothing to do while all wait for words.
///
/// Where nobody had news nothing can move, so the movement is skipped, and ranks join the next exchange at leisure: a
/// rank with news joins at once, the others when their fabric says so. The exchange ends with the round in which all
/// say done. One receive buffer is enough, since buffers go to sources that have offered.
///
/// Throws Error(config) without a receive buffer; Error(integrity) from progress() when a message of another run, for
/// another rank, out of sequence or of impossible size arrives.
std::unique_ptr<Transport> make_alltoallv_transport(Rounds& rounds, BufferPool& receive_pool, std::uint64_t run_id);

}  // namespace sluice
