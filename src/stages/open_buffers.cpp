#include "stages/open_buffers.hpp"

#include <algorithm>

namespace sluice {

void OpenBuffers::reserve(std::size_t slots) {
    kinds_.reserve(slots);
    buffers_.reserve(slots);
    scatter_.reserve(slots);
}

std::uint32_t OpenBuffers::add_slots(std::uint32_t count, SlotKind kind) {
    const auto first = static_cast<std::uint32_t>(kinds_.size());
    kinds_.resize(first + count, kind);
    buffers_.resize(first + count);
    scatter_.add_slots(count);  // no room: the first record asks for a buffer
    return first;
}

Buffer OpenBuffers::close(std::uint32_t slot) {
    Buffer buffer = std::move(buffers_[slot]);
    buffer.set_size(static_cast<std::size_t>(scatter_.close(slot) - buffer.storage().data()));
    return buffer;
}

void OpenBuffers::append(std::span<const std::byte> records, std::span<const std::uint32_t> slot,
                         std::span<const std::byte> next_block,
                         const std::function<void(std::uint32_t, Buffer)>& full) {
    std::size_t next = 0;
    for (;;) {
        next += scatter_.append(records.data() + next * record_bytes_, slot.subspan(next),
                                next_block.subspan(std::min(next_block.size(), next * record_bytes_)));
        if (next == slot.size()) return;
        const std::uint32_t stuck = slot[next];
        if (buffers_[stuck]) full(stuck, close(stuck));
        const SlotKind& kind = kinds_[stuck];
        auto lent = kind.lender ? kind.lender() : std::nullopt;
        buffers_[stuck] = lent ? std::move(*lent) : kind.pool->take();
        const auto storage = buffers_[stuck].storage();
        const std::size_t room = (storage.size() - kind.header_bytes) / record_bytes_ * record_bytes_;
        scatter_.open(stuck, storage.subspan(kind.header_bytes, room), kind.streaming || lent.has_value());
    }
}

void OpenBuffers::drain(const std::function<void(std::uint32_t, Buffer)>& partial) {
    for (std::uint32_t slot = 0; slot < buffers_.size(); ++slot) {
        if (buffers_[slot]) partial(slot, close(slot));
    }
}

}  // namespace sluice
