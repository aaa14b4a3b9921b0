#include "net/shared_window_transport.hpp"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <utility>

#include "net/message_ledger.hpp"
#include "net/receive_slots.hpp"

namespace sluice {
namespace {

using Notice = RmaNotice;

class SharedWindowTransport final : public Transport {
public:
    SharedWindowTransport(ReceiveWindow& window, Wire& wire, BufferPool& pool, std::uint64_t run_id)
        : window_(window),
          wire_(wire),
          pool_(pool),
          rank_(wire.rank()),
          ranks_(wire.size()),
          ledger_(rank_, ranks_, run_id),
          peers_(ranks_),
          slots_(window, pool, rank_, ranks_) {
        for (std::uint32_t to = 0; to < ranks_; ++to) {
            if (to != rank_) say(to, slots_.hello());
        }
    }

    std::optional<Buffer> lend(std::uint32_t destination) override {
        Peer& peer = peers_[destination];
        BufferPool* const slots = peer.lending.load(std::memory_order_acquire);
        if (slots == nullptr) return std::nullopt;  // it has not said hello
        if (peer.lent.fetch_add(1) + 1 < slots->count()) {
            if (auto slot = slots->try_take()) return slot;
        }
        peer.lent.fetch_sub(1);
        return std::nullopt;
    }

    bool try_send(OutgoingBuffer& full, std::uint64_t backlog) override {
        Peer& peer = peers_[full.destination];
        SLUICE_CHECK(full.destination != rank_ && !finishing_);
        Buffer slot;
        if (lies_there(peer, full.buffer)) {
            peer.lent.fetch_sub(1);
            slot = std::move(full.buffer);
        } else {
            auto empty = peer.slots ? peer.slots->try_take() : std::nullopt;
            if (!empty) {
                peer.blocked = ledger_.sent_to(full.destination) > 0;
                ledger_.note_busy(full.destination, peer.blocked);
                return false;
            }
            copy_into(*empty, full);
            slot = std::move(*empty);
        }
        ledger_.stamp(slot, full.destination, backlog);
        window_.flush(full.destination);  // no word overtakes what it speaks of
        const auto offset = static_cast<std::uint64_t>(slot.storage().data() - peer.memory.data());
        const std::uint64_t index = offset / peer.slots->buffer_bytes();
        say(full.destination, {Notice::filled, index, slot.size()});
        peer.filled[index] = std::move(slot);
        return true;
    }
    void finish_sending() override { finishing_ = true; }

    bool progress(const std::function<void(ArrivedBuffer)>& arrived) override {
        bool moved = read_notices(arrived);
        moved |= say_last();
        moved |= give_back_slots();
        return moved;
    }
    bool receiving_done() const override { return peers_done_ == ranks_ - 1; }
    bool sending_done() const override { return finishing_ && lasts_said_ == ranks_ - 1; }
    Rings rings() const override { return wire_.rings(); }
    const std::vector<PeerCounters>& counters() const override { return ledger_.counters(); }
    const char* name() const override { return "rma"; }

private:
    struct Peer {
        std::span<std::byte> memory;          // of our slots there
        std::unique_ptr<BufferPool> slots;    // those that are empty
        std::atomic<BufferPool*> lending{};   // the same, once any thread may ask
        std::atomic<std::uint64_t> lent = 0;  // being filled where they lie
        std::vector<Buffer> filled;           // by slot: handed over to it
        bool blocked = false;                 // we hold a message and wait for a slot
        bool done = false, last_said = false;
    };

    void say(std::uint32_t to, const Notice& notice) {
        wire_.send_control(to, notice.word(ledger_.run_id()));
        wire_.ring(to);
    }
    static bool lies_there(const Peer& peer, Buffer& buffer) {
        const std::byte* const at = buffer.storage().data();
        return at >= peer.memory.data() && at < peer.memory.data() + peer.memory.size();
    }
    void copy_into(Buffer& slot, OutgoingBuffer& full) const {
        require_slot_size(full.buffer.size(), slot.capacity(), full.destination);
        std::memcpy(slot.storage().data(), full.buffer.data().data(), full.buffer.size());
        slot.set_size(full.buffer.size());
        full.buffer = Buffer();
    }

    bool read_notices(const std::function<void(ArrivedBuffer)>& arrived) {
        bool any = false;
        std::uint32_t source = 0;
        std::uint64_t word = 0;
        while (wire_.poll_control(source, word)) {
            if (!Notice::is_of_run(word, ledger_.run_id())) continue;  // of an earlier exchange
            any = true;
            const Notice notice = Notice::of(word);
            Peer& peer = peers_[source];
            if (notice.kind == Notice::hello) {
                open_slots(source, notice.slot, notice.bytes);
            } else if (notice.kind == Notice::emptied) {
                if (notice.slot >= peer.filled.size() || !peer.filled[notice.slot])
                    ledger_.refuse(source, "was not in slot " + std::to_string(notice.slot) + ", which came back");
                peer.filled[notice.slot] = Buffer();
                peer.blocked = false;
                ledger_.note_busy(source, false);
            } else if (notice.kind == Notice::filled) {
                take(source, notice, arrived);
            } else {
                ReceiveSlots::check_last(ledger_, source, notice);
                peer.done = true;
                ++peers_done_;
            }
        }
        return any;
    }
    void open_slots(std::uint32_t destination, std::uint64_t count, std::uint64_t slot_bytes) {
        Peer& peer = peers_[destination];
        const std::uint64_t bytes = count * slot_bytes;
        peer.memory = window_.memory_of(destination).subspan(rma_position(rank_, destination, ranks_) * bytes, bytes);
        peer.slots = std::make_unique<BufferPool>(pool_.executor(), "slots of rank " + std::to_string(destination),
                                                  peer.memory, slot_bytes, count);
        peer.filled.resize(count);
        peer.lending.store(peer.slots.get(), std::memory_order_release);
    }
    void take(std::uint32_t source, const Notice& notice, const std::function<void(ArrivedBuffer)>& arrived) {
        slots_.check_filled(ledger_, source, notice);
        window_.sync();
        Buffer buffer = slots_.take(source, notice.slot, notice.bytes);
        const MessageHeader header = ledger_.admit(source, buffer.data());
        arrived({header, std::move(buffer)});
    }
    bool say_last() {
        if (!finishing_ || lasts_said_ == ranks_ - 1) return false;
        bool any = false;
        for (std::uint32_t to = 0; to < ranks_; ++to) {
            Peer& peer = peers_[to];
            if (to == rank_ || peer.last_said || !peer.slots) continue;
            say(to, {Notice::last, 0, ledger_.sent_to(to)});
            peer.last_said = any = true;
            ++lasts_said_;
        }
        return any;
    }
    /// Slots that came home are empty again: their senders may fill them.
    bool give_back_slots() {
        return slots_.collect([this](std::uint32_t source, std::uint64_t slot) {
            if (!peers_[source].done) say(source, {Notice::emptied, slot, 0});
        });
    }

    ReceiveWindow& window_;
    Wire& wire_;
    BufferPool& pool_;
    std::uint32_t rank_, ranks_;
    MessageLedger ledger_;
    std::vector<Peer> peers_;
    ReceiveSlots slots_;  // ours, that peers fill
    std::uint32_t peers_done_ = 0, lasts_said_ = 0;
    bool finishing_ = false;
};

}  // namespace

std::unique_ptr<Transport> make_shared_window_transport(ReceiveWindow& window, Wire& wire, BufferPool& receive_pool,
                                                        std::uint64_t run_id) {
    return std::make_unique<SharedWindowTransport>(window, wire, receive_pool, run_id);
}

}  // namespace sluice
