#include "net/rma_transport.hpp"

#include <algorithm>
#include <utility>

#include "net/message_ledger.hpp"
#include "net/transport_kind.hpp"

namespace sluice {
namespace {

/// A control word: 24 bits of the run id, 2 of the kind, 10 of a slot (or of how many), 28 of a size (or of a count).
struct Notice {
    enum Kind : std::uint64_t { hello, filled, emptied, last };
    Kind kind = hello;
    std::uint64_t slot = 0, bytes = 0;
    static constexpr std::uint64_t kRun = (1u << 24) - 1, kMostSlots = (1u << 10) - 1, kMostBytes = (1u << 28) - 1;

    std::uint64_t word(std::uint64_t run_id) const {
        return (run_id & kRun) << 40 | std::uint64_t{kind} << 38 | slot << 28 | (bytes & kMostBytes);
    }
    static Notice of(std::uint64_t word) {
        return {static_cast<Kind>(word >> 38 & 3), word >> 28 & kMostSlots, word & kMostBytes};
    }
};

class RmaTransport final : public Transport {
public:
    RmaTransport(ReceiveWindow& window, Wire& wire, BufferPool& pool, std::uint64_t run_id)
        : window_(window),
          wire_(wire),
          pool_(pool),
          rank_(wire.rank()),
          ranks_(wire.size()),
          ledger_(rank_, ranks_, run_id),
          peers_(ranks_),
          slots_(pool.count()) {
        require_receive_buffers("rma", pool.count(), ranks_);
        SLUICE_CHECK(pool.buffer_bytes() <= Notice::kMostBytes);
        if (ranks_ == 1) return;
        slots_each_ = std::min<std::uint64_t>(pool.count() / (ranks_ - 1), Notice::kMostSlots);
        // Every slot is ours while it is empty; what a peer fills is handed over from here.
        while (auto slot = pool_.try_take()) {
            const std::size_t index = index_of(*slot);
            slots_[index] = std::move(*slot);
        }
        for (std::uint32_t to = 0; to < ranks_; ++to) {
            if (to != rank_) say(to, {Notice::hello, slots_each_, pool.buffer_bytes()});
        }
    }

    bool try_send(OutgoingBuffer& full) override {
        Peer& peer = peers_[full.destination];
        SLUICE_CHECK(full.destination != rank_ && !finishing_);
        if (peer.empty_slots.empty() || peer.flushing) return false;
        if (full.buffer.size() > peer.slot_bytes) {
            throw Error(Errc::config, "net.buffer_size: a message of " + std::to_string(full.buffer.size()) +
                                          " bytes does not fit into the " + std::to_string(peer.slot_bytes) +
                                          " of a slot of rank " + std::to_string(full.destination) +
                                          "; give all hosts the same net.buffer_size");
        }
        ledger_.stamp(full.buffer, full.destination, peer.backlog);
        const std::uint64_t slot = peer.empty_slots.back();
        peer.empty_slots.pop_back();
        const std::uint64_t bytes = full.buffer.size();
        const std::uint64_t offset = (position(rank_, full.destination) * peer.slots_each + slot) * peer.slot_bytes;
        Put& put = peer.puts.emplace_back();
        put = {std::move(full.buffer), slot, bytes};
        ++puts_;
        window_.start_put(full.destination, offset, put.buffer.data(),
                          std::uint64_t{full.destination} << 32 | (peer.puts.size() - 1));
        if (window_.direct()) collect_puts();
        return true;
    }
    void set_backlog(std::uint32_t destination, std::uint64_t buffers) override {
        peers_[destination].backlog = buffers;
    }
    void finish_sending() override { finishing_ = true; }

    bool progress(const std::function<void(ArrivedBuffer)>& arrived) override {
        bool moved = read_notices(arrived);
        moved |= collect_puts();
        moved |= say_last();
        moved |= give_back_slots();
        return moved;
    }
    bool receiving_done() const override { return peers_done_ == ranks_ - 1; }
    bool sending_done() const override { return finishing_ && lasts_said_ == ranks_ - 1 && puts_ == 0; }
    bool rings_doorbell() const override { return wire_.rings_doorbell(); }
    const std::vector<PeerCounters>& counters() const override { return ledger_.counters(); }
    const char* name() const override { return window_.direct() ? "rma" : "rma (emulated by messages)"; }

private:
    struct Put {
        Buffer buffer;  // empty once it has left, that is, may be used again
        std::uint64_t slot = 0, bytes = 0;
    };
    struct Peer {
        std::vector<std::uint64_t> empty_slots;  // of ours, there
        std::uint64_t slots_each = 0, slot_bytes = 0;
        std::uint64_t backlog = 0;
        std::vector<Put> puts;  // not yet announced, in order
        std::size_t left = 0;   // of these
        bool flushing = false;  // some have left, so no more are added until all are flushed and announced
        bool greeted = false, done = false, last_said = false;
    };

    /// Where `sender` stands among the peers of `receiver`.
    std::uint64_t position(std::uint32_t sender, std::uint32_t receiver) const {
        return (sender + ranks_ - receiver - 1) % ranks_;
    }
    std::size_t index_of(Buffer& slot) const {
        const auto offset = slot.storage().data() - window_.memory().data();
        SLUICE_CHECK(offset >= 0 && static_cast<std::size_t>(offset) < window_.memory().size());
        return static_cast<std::size_t>(offset) / pool_.buffer_bytes();
    }
    void say(std::uint32_t to, const Notice& notice) { wire_.send_control(to, notice.word(ledger_.run_id())); }

    bool read_notices(const std::function<void(ArrivedBuffer)>& arrived) {
        bool any = false;
        std::uint32_t source = 0;
        std::uint64_t word = 0;
        while (wire_.poll_control(source, word)) {
            if (word >> 40 != (ledger_.run_id() & Notice::kRun)) continue;  // of an earlier exchange
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
            } else if (notice.kind == Notice::filled) {
                receive(source, notice, arrived);
            } else {
                if (notice.bytes != (ledger_.received_from(source) & Notice::kMostBytes))
                    ledger_.refuse(source, "says it sent " + std::to_string(notice.bytes) + " messages, " +
                                               std::to_string(ledger_.received_from(source)) + " arrived");
                peer.done = true;
                ++peers_done_;
            }
        }
        return any;
    }
    void receive(std::uint32_t source, const Notice& notice, const std::function<void(ArrivedBuffer)>& arrived) {
        const std::size_t index = position(source, rank_) * slots_each_ + notice.slot;
        if (notice.slot >= slots_each_ || !slots_[index] || notice.bytes > slots_[index].capacity())
            ledger_.refuse(source, "is in slot " + std::to_string(notice.slot) + ", which is not empty or not there");
        window_.sync();
        Buffer buffer = std::move(slots_[index]);
        buffer.set_size(notice.bytes);
        const MessageHeader header = ledger_.admit(source, buffer.data());
        arrived({header, std::move(buffer)});
    }

    /// Buffers that have left go home; puts to a peer that have all left are flushed and announced, in order.
    bool collect_puts() {
        if (puts_ == 0) return false;
        left_.clear();
        window_.test(left_);
        for (const std::uint64_t name : left_) {
            Peer& peer = peers_[name >> 32];
            Put& put = peer.puts[name & 0xffffffff];
            put.buffer = Buffer();
            peer.flushing = true;
            ++peer.left;
        }
        bool any = !left_.empty();
        for (std::uint32_t shift = 1; any && shift < ranks_; ++shift) {
            const std::uint32_t to = (rank_ + shift) % ranks_;
            Peer& peer = peers_[to];
            if (peer.puts.empty() || peer.left < peer.puts.size()) continue;
            window_.flush(to);
            for (const Put& put : peer.puts) say(to, {Notice::filled, put.slot, put.bytes});
            puts_ -= peer.puts.size();
            peer.puts.clear();
            peer.left = 0;
            peer.flushing = false;
        }
        return any;
    }
    bool say_last() {
        if (!finishing_ || lasts_said_ == ranks_ - 1) return false;
        bool any = false;
        for (std::uint32_t to = 0; to < ranks_; ++to) {
            Peer& peer = peers_[to];
            if (to == rank_ || peer.last_said || !peer.greeted || !peer.puts.empty()) continue;
            say(to, {Notice::last, 0, ledger_.sent_to(to)});
            peer.last_said = any = true;
            ++lasts_said_;
        }
        return any;
    }
    /// Slots that came home are empty again: their senders may fill them.
    bool give_back_slots() {
        bool any = false;
        while (ranks_ > 1) {
            auto slot = pool_.try_take();
            if (!slot) break;
            const std::size_t index = index_of(*slot);
            slots_[index] = std::move(*slot);
            const auto source = static_cast<std::uint32_t>((rank_ + 1 + index / slots_each_) % ranks_);
            if (!peers_[source].done) say(source, {Notice::emptied, index % slots_each_, 0});
            any = true;
        }
        return any;
    }

    ReceiveWindow& window_;
    Wire& wire_;
    BufferPool& pool_;
    std::uint32_t rank_, ranks_;
    MessageLedger ledger_;
    std::vector<Peer> peers_;
    std::vector<Buffer> slots_;  // by index, while empty; a slot that is handed over is an empty Buffer here
    std::uint64_t slots_each_ = 0;
    std::vector<std::uint64_t> left_;
    std::size_t puts_ = 0;  // not yet announced, over all peers
    std::uint32_t peers_done_ = 0, lasts_said_ = 0;
    bool finishing_ = false;
};

}  // namespace

std::unique_ptr<Transport> make_rma_transport(ReceiveWindow& window, Wire& wire, BufferPool& receive_pool,
                                              std::uint64_t run_id) {
    return std::make_unique<RmaTransport>(window, wire, receive_pool, run_id);
}

}  // namespace sluice
