#pragma once
/// The receiving half of the rma transport, the same whether its windows are shared memory or not: the buffers of the
/// receive pool as slots that peers fill. Internal to the net layer.

#include <cstdint>
#include <functional>
#include <vector>

#include "net/message_ledger.hpp"
#include "net/receive_window.hpp"
#include "net/rma_notice.hpp"
#include "runtime/buffer_pool.hpp"

namespace sluice {

/// Network thread only. Buffer i of the pool is slot i of the window, each() of them for each peer, in rank-shifted
/// order. An empty slot is held here; take() hands it out filled, and when it comes home to the pool it is empty again.
class ReceiveSlots {
public:
    /// Throws Error(config) when there are fewer slots than peers.
    ReceiveSlots(ReceiveWindow& window, BufferPool& pool, std::uint32_t rank, std::uint32_t ranks);

    std::uint64_t each() const noexcept { return each_; }
    /// What each peer is told at the start.
    RmaNotice hello() const { return {RmaNotice::hello, each_, pool_.buffer_bytes()}; }
    /// Throws Error(integrity) unless `filled` names an empty slot of `source` and a size that fits.
    void check_filled(const MessageLedger& ledger, std::uint32_t source, const RmaNotice& filled) const;
    /// Throws Error(integrity) unless `last` counts as many messages as have arrived.
    static void check_last(const MessageLedger& ledger, std::uint32_t source, const RmaNotice& last);
    /// What lies in an empty slot, as far as it has come.
    std::span<const std::byte> peek(std::uint32_t source, std::uint64_t slot, std::uint64_t bytes) {
        return slots_[index(source, slot)].storage().first(bytes);
    }
    Buffer take(std::uint32_t source, std::uint64_t slot, std::uint64_t bytes);
    /// Calls `emptied` for each slot that came home since the last call; true if any did.
    bool collect(const std::function<void(std::uint32_t source, std::uint64_t slot)>& emptied);

private:
    std::size_t index(std::uint32_t source, std::uint64_t slot) const {
        return rma_position(source, rank_, ranks_) * each_ + slot;
    }
    std::size_t index_of(Buffer& slot) const;

    ReceiveWindow& window_;
    BufferPool& pool_;
    std::uint32_t rank_, ranks_;
    std::uint64_t each_ = 0;
    std::vector<Buffer> slots_;  // by index, while empty; a slot that is handed over is an empty Buffer here
};

/// Throws Error(config) when a message of so many bytes is larger than a slot of `destination`.
void require_slot_size(std::uint64_t message_bytes, std::uint64_t slot_bytes, std::uint32_t destination);

}  // namespace sluice
