#include "net/rma_transport.hpp"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <utility>

#include "net/message_ledger.hpp"
#include "net/receive_slots.hpp"
#include "net/shared_window_transport.hpp"
#include "record/crc32c.hpp"

namespace sluice {
namespace {

using Notice = RmaNotice;

/// Over header and records, and never 0.
std::uint64_t seal_of(std::span<const std::byte> message) {
    MessageHeader header;
    std::memcpy(&header, message.data(), sizeof header);
    header.seal = 0;
    return std::uint64_t{1} << 32 |
           crc32c(message.subspan(sizeof header), crc32c(std::as_bytes(std::span(&header, 1))));
}

/// A flush would wait for the destination's answer, behind all data on its way, and the network thread with it: puts
/// are announced as soon as they have left, and the receiver takes a message once its seal says that all of it has
/// come.
class RmaTransport final : public Transport {
public:
    RmaTransport(ReceiveWindow& window, Wire& wire, BufferPool& pool, std::uint64_t run_id)
        : window_(window),
          wire_(wire),
          rank_(wire.rank()),
          ranks_(wire.size()),
          ledger_(rank_, ranks_, run_id),
          peers_(ranks_),
          slots_(window, pool, rank_, ranks_) {
        for (Peer& peer : peers_) peer.arriving.reserve(slots_.each());
        for (std::uint32_t to = 0; to < ranks_; ++to) {
            if (to != rank_) say(to, slots_.hello());
        }
    }

    bool try_send(OutgoingBuffer& full, std::uint64_t backlog) override {
        Peer& peer = peers_[full.destination];
        SLUICE_CHECK(full.destination != rank_ && !finishing_);
        if (peer.empty_slots.empty()) {
            peer.blocked = ledger_.sent_to(full.destination) > 0;
            note_busy(full.destination);
            return false;
        }
        require_slot_size(full.buffer.size(), peer.slot_bytes, full.destination);
        ledger_.stamp(full.buffer, full.destination, backlog);
        const std::uint64_t seal = seal_of(full.buffer.data());
        std::memcpy(full.buffer.storage().data() + offsetof(MessageHeader, seal), &seal, sizeof seal);
        const std::uint64_t slot = peer.empty_slots.back();
        peer.empty_slots.pop_back();
        const std::uint64_t bytes = full.buffer.size();
        const std::uint64_t offset =
            (rma_position(rank_, full.destination, ranks_) * peer.slots_each + slot) * peer.slot_bytes;
        Put& put = peer.puts.emplace_back(Put{std::move(full.buffer), slot, bytes});
        ++puts_;
        note_busy(full.destination);
        window_.start_put(full.destination, offset, put.buffer.data(), std::uint64_t{full.destination} << 32 | slot);
        return true;
    }
    void finish_sending() override { finishing_ = true; }

    bool progress(const std::function<void(ArrivedBuffer)>& arrived) override {
        bool moved = read_notices(arrived);
        moved |= take_arrived(arrived);
        moved |= collect_puts();
        moved |= say_last();
        moved |= give_back_slots();
        return moved;
    }
    bool receiving_done() const override { return peers_done_ == ranks_ - 1; }
    bool sending_done() const override { return finishing_ && lasts_said_ == ranks_ - 1 && puts_ == 0; }
    Rings rings() const override { return wire_.rings() == Rings::everything ? Rings::everything : Rings::nothing; }
    const std::vector<PeerCounters>& counters() const override { return ledger_.counters(); }
    const char* name() const override { return "rma (emulated by messages)"; }

private:
    using Clock = std::chrono::steady_clock;
    struct Put {
        Buffer buffer;
        std::uint64_t slot = 0, bytes = 0;
        bool left = false;  // its bytes may be used again, and the buffer went home
    };
    struct Arrival {
        std::uint64_t slot = 0, bytes = 0;
        Clock::time_point said_at;
    };
    struct Peer {
        std::vector<std::uint64_t> empty_slots;  // of ours, there
        std::uint64_t slots_each = 0, slot_bytes = 0;
        std::vector<Put> puts;          // not yet announced, in order; room for all slots, as the next has
        std::vector<Arrival> arriving;  // announced by it, in order, and not all here yet
        bool blocked = false;           // blocked: we hold a message and wait for a slot
        bool greeted = false, done = false, last_said = false;
    };

    void note_busy(std::uint32_t destination) {
        const Peer& peer = peers_[destination];
        ledger_.note_busy(destination, !peer.puts.empty() || peer.blocked);
    }
    void say(std::uint32_t to, const Notice& notice) { wire_.send_control(to, notice.word(ledger_.run_id())); }

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
                peer.greeted = true;
                peer.slots_each = notice.slot;
                peer.slot_bytes = notice.bytes;
                for (std::uint64_t slot = notice.slot; slot > 0; --slot) peer.empty_slots.push_back(slot - 1);
                peer.puts.reserve(notice.slot);
            } else if (notice.kind == Notice::emptied) {
                peer.empty_slots.push_back(notice.slot);
                peer.blocked = false;
                note_busy(source);
            } else if (notice.kind == Notice::filled) {
                slots_.check_filled(ledger_, source, notice);
                peer.arriving.push_back({notice.slot, notice.bytes, Clock::now()});
            } else {
                take_from(source, arrived);  // all it sent is here, so what is not whole will never be
                if (!peer.arriving.empty()) refuse_damaged(source, peer.arriving.front());
                ReceiveSlots::check_last(ledger_, source, notice);
                peer.done = true;
                ++peers_done_;
            }
        }
        return any;
    }
    bool take_arrived(const std::function<void(ArrivedBuffer)>& arrived) {
        bool any = false;
        for (std::uint32_t source = 0; source < ranks_; ++source) any |= take_from(source, arrived);
        return any;
    }
    /// Hands over, in order, what has come whole.
    bool take_from(std::uint32_t source, const std::function<void(ArrivedBuffer)>& arrived) {
        Peer& peer = peers_[source];
        if (peer.arriving.empty()) return false;
        window_.sync();
        std::size_t whole = 0;
        for (const Arrival& arrival : peer.arriving) {
            const auto patience = window_.patience();  // asked first: what comes between the two is only seen later
            if (!is_whole(source, slots_.peek(source, arrival.slot, arrival.bytes))) {
                if (Clock::now() - arrival.said_at > patience) refuse_damaged(source, arrival);
                break;
            }
            Buffer buffer = slots_.take(source, arrival.slot, arrival.bytes);
            const MessageHeader header = ledger_.admit(source, buffer.data());
            arrived({header, std::move(buffer)});
            ++whole;
        }
        peer.arriving.erase(peer.arriving.begin(), peer.arriving.begin() + static_cast<std::ptrdiff_t>(whole));
        return whole > 0;
    }
    /// The number tells it from what lay in the slot before; only then is the seal worth computing.
    bool is_whole(std::uint32_t source, std::span<const std::byte> message) const {
        MessageHeader header;
        std::memcpy(&header, message.data(), sizeof header);
        return header.sequence == ledger_.received_from(source) && header.seal != 0 && header.seal == seal_of(message);
    }
    /// It will not become whole any more: for what its header shows, if that is it, else for its seal.
    [[noreturn]] void refuse_damaged(std::uint32_t source, const Arrival& arrival) {
        ledger_.admit(source, slots_.peek(source, arrival.slot, arrival.bytes));
        ledger_.refuse(source, "came damaged: its seal does not fit what lies in slot " + std::to_string(arrival.slot));
    }

    /// Buffers that have left go home; puts that have left are announced, in order.
    bool collect_puts() {
        left_.clear();
        window_.test(left_);  // moves on what was pushed as well
        for (const std::uint64_t name : left_) {
            for (Put& put : peers_[name >> 32].puts) {
                if (put.slot != (name & 0xffffffff)) continue;
                put.buffer = Buffer();
                put.left = true;
            }
        }
        const bool any = !left_.empty();
        for (std::uint32_t shift = 1; any && shift < ranks_; ++shift) {
            const std::uint32_t to = (rank_ + shift) % ranks_;
            Peer& peer = peers_[to];
            if (peer.puts.empty() || !peer.puts.front().left) continue;
            window_.push(to);
            std::size_t said = 0;
            for (; said < peer.puts.size() && peer.puts[said].left; ++said)
                say(to, {Notice::filled, peer.puts[said].slot, peer.puts[said].bytes});
            peer.puts.erase(peer.puts.begin(), peer.puts.begin() + static_cast<std::ptrdiff_t>(said));
            puts_ -= said;
            note_busy(to);
        }
        return any;
    }
    bool say_last() {
        if (!finishing_ || lasts_said_ == ranks_ - 1) return false;
        bool any = false;
        for (std::uint32_t to = 0; to < ranks_; ++to) {
            Peer& peer = peers_[to];
            if (to == rank_ || peer.last_said || !peer.greeted || !peer.puts.empty()) continue;
            window_.flush(to);  // what it then misses is lost
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
    std::uint32_t rank_, ranks_;
    MessageLedger ledger_;
    std::vector<Peer> peers_;
    ReceiveSlots slots_;  // ours, that peers fill
    std::vector<std::uint64_t> left_;
    std::size_t puts_ = 0;  // not yet announced, over all peers
    std::uint32_t peers_done_ = 0, lasts_said_ = 0;
    bool finishing_ = false;
};

}  // namespace

std::unique_ptr<Transport> make_rma_transport(ReceiveWindow& window, Wire& wire, BufferPool& receive_pool,
                                              std::uint64_t run_id) {
    if (window.direct()) return make_shared_window_transport(window, wire, receive_pool, run_id);
    return std::make_unique<RmaTransport>(window, wire, receive_pool, run_id);
}

}  // namespace sluice
