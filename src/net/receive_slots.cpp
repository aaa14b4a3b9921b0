#include "net/receive_slots.hpp"

#include <algorithm>
#include <string>
#include <utility>

#include "net/transport_kind.hpp"

namespace sluice {

ReceiveSlots::ReceiveSlots(ReceiveWindow& window, BufferPool& pool, std::uint32_t rank, std::uint32_t ranks)
    : window_(window), pool_(pool), rank_(rank), ranks_(ranks), slots_(pool.count()) {
    require_receive_buffers(TransportKind::rma, pool.count(), ranks);
    SLUICE_CHECK(pool.buffer_bytes() <= RmaNotice::kMostBytes);
    if (ranks == 1) return;
    each_ = std::min<std::uint64_t>(pool.count() / (ranks - 1), RmaNotice::kMostSlots);
    while (auto slot = pool_.try_take()) {
        const std::size_t index = index_of(*slot);
        slots_[index] = std::move(*slot);
    }
}

std::size_t ReceiveSlots::index_of(Buffer& slot) const {
    const auto offset = slot.storage().data() - window_.memory().data();
    SLUICE_CHECK(offset >= 0 && static_cast<std::size_t>(offset) < window_.memory().size());
    return static_cast<std::size_t>(offset) / pool_.buffer_bytes();
}

void ReceiveSlots::check_filled(const MessageLedger& ledger, std::uint32_t source, const RmaNotice& filled) const {
    if (filled.slot >= each_ || !slots_[index(source, filled.slot)] || filled.bytes > pool_.buffer_bytes() ||
        filled.bytes < kHeaderBytes)
        ledger.refuse(source, "is in slot " + std::to_string(filled.slot) + ", which is not empty or not there");
}

void ReceiveSlots::check_last(const MessageLedger& ledger, std::uint32_t source, const RmaNotice& last) {
    if (last.bytes != (ledger.received_from(source) & RmaNotice::kMostBytes))
        ledger.refuse(source, "says it sent " + std::to_string(last.bytes) + " messages, " +
                                  std::to_string(ledger.received_from(source)) + " arrived");
}

Buffer ReceiveSlots::take(std::uint32_t source, std::uint64_t slot, std::uint64_t bytes) {
    Buffer buffer = std::move(slots_[index(source, slot)]);
    buffer.set_size(bytes);
    return buffer;
}

bool ReceiveSlots::collect(const std::function<void(std::uint32_t source, std::uint64_t slot)>& emptied) {
    bool any = false;
    while (ranks_ > 1) {
        auto slot = pool_.try_take();
        if (!slot) break;
        const std::size_t index = index_of(*slot);
        slots_[index] = std::move(*slot);
        emptied(static_cast<std::uint32_t>((rank_ + 1 + index / each_) % ranks_), index % each_);
        any = true;
    }
    return any;
}

void require_slot_size(std::uint64_t message_bytes, std::uint64_t slot_bytes, std::uint32_t destination) {
    if (message_bytes <= slot_bytes) return;
    throw Error(Errc::config, "net.buffer_size: a message of " + std::to_string(message_bytes) +
                                  " bytes does not fit into the " + std::to_string(slot_bytes) + " of a slot of rank " +
                                  std::to_string(destination) + "; give all hosts the same net.buffer_size");
}

}  // namespace sluice
