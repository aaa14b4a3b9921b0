#pragma once
/// What the alltoallv transport needs of a fabric: exchanges that all ranks join, in the same order. MPI, or
/// in-process.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "net/wire.hpp"

namespace sluice {

/// Memory to send from or to receive into.
struct MemoryBlock {
    std::byte* memory = nullptr;
    std::size_t bytes = 0;
};
/// By peer; several pieces of one peer are sent as one message and received in the same cuts.
using PiecesByPeer = std::vector<std::vector<MemoryBlock>>;

/// Called by the network thread only; nothing waits. Every rank joins every exchange of words, and every movement of
/// pieces, in the same order; both complete once all have joined (a movement perhaps sooner for some).
class Rounds {
public:
    static constexpr std::size_t kLanes = 3;  ///< movements that may run at the same time

    virtual ~Rounds() = default;
    virtual std::uint32_t rank() const = 0;
    virtual std::uint32_t size() const = 0;
    /// Joins the next exchange of words: block r of `mine` goes to rank r, block s of `theirs` comes from rank s. One
    /// at a time; both must live until words_arrived() has said true.
    virtual void start_words(std::span<const std::byte> mine, std::span<std::byte> theirs) = 0;
    virtual bool words_arrived() = 0;
    /// Without news of our own: is it time to join the next exchange? A fabric that sees a peer waiting says so then;
    /// one that cannot see it says so after a time that grows with `idle_rounds`, the exchanges without news so far.
    virtual bool ought_to_join(unsigned idle_rounds) = 0;
    /// Joins the next movement, in a lane that is free. What is sent to a peer is as long as what it receives from us.
    /// The memory, but not the lists, must live until pieces_moved(lane) has said true.
    virtual void start_pieces(std::size_t lane, const PiecesByPeer& sent, const PiecesByPeer& received) = 0;
    virtual bool pieces_moved(std::size_t lane) = 0;
    /// After a failure: forgets what this rank has joined and not seen complete. Gives it a moment where it cannot be
    /// withdrawn; the process is about to leave.
    virtual void abandon() noexcept = 0;
    virtual Rings rings() const = 0;
};

}  // namespace sluice
