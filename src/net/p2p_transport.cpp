#include "net/p2p_transport.hpp"

#include <algorithm>
#include <utility>

#include "net/message_ledger.hpp"
#include "net/transport_kind.hpp"

namespace sluice {
namespace {

class P2pTransport final : public Transport {
public:
    P2pTransport(Wire& wire, BufferPool& pool, std::uint64_t run_id)
        : wire_(wire),
          pool_(pool),
          rank_(wire.rank()),
          ranks_(wire.size()),
          ledger_(rank_, ranks_, run_id),
          peers_(ranks_) {
        require_receive_buffers(TransportKind::p2p, pool.count(), ranks_);
        fair_share_ = ranks_ > 1 ? std::max<std::size_t>(1, pool.count() / (ranks_ - 1)) : 0;
        receives_.resize(pool.count());
        wanting_.resize(pool.count() + 1, {kNone, kNone});
        for (std::uint32_t shift = 1; shift < ranks_; ++shift) rank_again((rank_ + shift) % ranks_);
        for (std::size_t slot = pool.count(); slot > 0; --slot) free_receives_.push_back(slot - 1);
    }
    /// After a failure things may still be in flight; their buffers go home here, and nobody uses them any more.
    ~P2pTransport() override {
        for (std::uint32_t peer = 0; peer < ranks_; ++peer) {
            if (peers_[peer].outstanding > 0) wire_.cancel_receives(peer);
        }
    }

    bool try_send(OutgoingBuffer& full, std::uint64_t backlog) override {
        Peer& peer = peers_[full.destination];
        SLUICE_CHECK(full.destination != rank_ && !finishing_);
        if (peer.credits == 0) {
            peer.blocked = ledger_.sent_to(full.destination) > 0;
            note_busy(full.destination);
            return false;
        }
        ledger_.stamp(full.buffer, full.destination, backlog);
        --peer.credits;
        const std::size_t slot = take_send_slot();
        sends_[slot] = std::move(full.buffer);
        send_destinations_[slot] = full.destination;
        ++sends_in_flight_;
        ++peer.in_flight;
        note_busy(full.destination);
        wire_.start_send(full.destination, sends_[slot].data(), slot);
        return true;
    }
    void finish_sending() override {
        finishing_ = true;
        for (std::uint32_t to = 0; to < ranks_; ++to) {
            if (to != rank_ && peers_[to].credits > 0) can_be_told_.push_back(to);
        }
    }

    bool progress(const std::function<void(ArrivedBuffer)>& arrived) override {
        bool moved = read_control();
        done_.clear();
        wire_.test(done_);
        for (const Wire::Completion& completion : done_) {
            moved = true;
            if (completion.is_send) {
                --sends_in_flight_;
                if (completion.slot < kLastSlot) {
                    sends_[completion.slot] = Buffer();
                    --peers_[send_destinations_[completion.slot]].in_flight;
                    note_busy(send_destinations_[completion.slot]);
                    free_sends_.push_back(completion.slot);
                }
            } else {
                receives_[completion.slot].bytes = completion.bytes;
                receives_[completion.slot].complete = true;
                receive_in_order(peers_[receives_[completion.slot].source], arrived);
            }
        }
        moved |= say_last();
        moved |= grant();
        return moved;
    }
    bool receiving_done() const override { return peers_done_ == ranks_ - 1; }
    bool sending_done() const override { return finishing_ && lasts_said_ == ranks_ - 1 && sends_in_flight_ == 0; }
    Rings rings() const override { return wire_.rings() == Rings::everything ? Rings::everything : Rings::nothing; }
    const std::vector<PeerCounters>& counters() const override { return ledger_.counters(); }
    const char* name() const override { return "p2p"; }

private:
    static constexpr std::uint32_t kNone = UINT32_MAX;
    static constexpr std::size_t kNoSlot = SIZE_MAX;
    static constexpr std::uint64_t kLastSlot = std::uint64_t{1} << 40;  // + destination: the header-only last message
    struct Peer {
        std::uint64_t credits = 0;                                  // messages we may still send there
        std::uint64_t in_flight = 0;                                // messages to it under way
        bool blocked = false;                                       // blocked: we hold a message and wait for a credit
        std::size_t outstanding = 0;                                // receives posted for it
        std::size_t first_posted = kNoSlot, last_posted = kNoSlot;  // of its receives, a list in that order
        std::uint64_t offered = 0;                                  // buffers it holds for us, as of its last message
        std::uint32_t next = kNone, previous = kNone;               // in the list of those with as many outstanding
        bool wanting = false;                                       // it is in one
        std::size_t level = 0;                                      // and in this
        bool done = false, last_said = false;
        MessageHeader last;
    };
    struct Receive {
        std::uint32_t source = 0;
        Buffer buffer;
        std::uint64_t bytes = 0;
        bool complete = false;
        std::size_t next = kNoSlot;  // posted after it for the same source
    };
    /// Peers that may be granted a buffer, by how many they have outstanding.
    struct Level {
        std::uint32_t first = kNone, last = kNone;
    };

    void note_busy(std::uint32_t destination) {
        const Peer& peer = peers_[destination];
        ledger_.note_busy(destination, peer.in_flight > 0 || peer.blocked);
    }
    std::size_t take_send_slot() {
        if (free_sends_.empty()) {
            free_sends_.push_back(sends_.size());  // as many as the send pool has buffers, reached early
            sends_.emplace_back();
            send_destinations_.push_back(0);
        }
        const std::size_t slot = free_sends_.back();
        free_sends_.pop_back();
        return slot;
    }
    /// A control word is a grant: run in the high half, how many in the low. Grants of an earlier exchange are stale.
    bool read_control() {
        bool any = false;
        std::uint32_t source = 0;
        std::uint64_t word = 0;
        while (wire_.poll_control(source, word)) {
            any = true;
            if (word >> 32 != (ledger_.run_id() & 0xffffffff)) continue;
            if (finishing_ && peers_[source].credits == 0 && !peers_[source].last_said) can_be_told_.push_back(source);
            peers_[source].credits += word & 0xffffffff;
            peers_[source].blocked = false;
            note_busy(source);
        }
        return any;
    }
    bool say_last() {
        if (!finishing_ || lasts_said_ == ranks_ - 1) return false;
        const bool any = !can_be_told_.empty();
        for (const std::uint32_t to : can_be_told_) {
            Peer& peer = peers_[to];
            peer.last = ledger_.last_message(to);
            --peer.credits;
            peer.last_said = true;
            ++lasts_said_;
            ++sends_in_flight_;
            wire_.start_send(to, std::as_bytes(std::span(&peer.last, 1)), kLastSlot + to);
        }
        can_be_told_.clear();
        return any;
    }
    /// Puts a peer where it belongs now: among those with as many outstanding while it is within its share, or what it
    /// offers; behind the others there, so that equals take turns. To be called after each change of these.
    void rank_again(std::uint32_t source) {
        Peer& peer = peers_[source];
        if (peer.wanting) {
            Level& level = wanting_[peer.level];
            (peer.previous != kNone ? peers_[peer.previous].next : level.first) = peer.next;
            (peer.next != kNone ? peers_[peer.next].previous : level.last) = peer.previous;
        }
        peer.wanting = !peer.done && peer.outstanding < std::max<std::uint64_t>(fair_share_, peer.offered);
        if (!peer.wanting) return;
        peer.level = std::min(peer.outstanding, wanting_.size() - 1);
        Level& level = wanting_[peer.level];
        peer.previous = level.last;
        peer.next = kNone;
        (level.last != kNone ? peers_[level.last].next : level.first) = source;
        level.last = source;
        lowest_ = std::min(lowest_, peer.level);
    }
    /// Whom the next free buffer is for: the source with the fewest outstanding, within its share or what it offers.
    /// Its own rank: nobody. Cost: constant, but for levels that have run empty.
    std::uint32_t most_deserving() {
        while (lowest_ < wanting_.size() && wanting_[lowest_].first == kNone) ++lowest_;
        return lowest_ < wanting_.size() ? wanting_[lowest_].first : rank_;
    }
    bool grant() {
        bool any = false;
        while (!free_receives_.empty() && peers_done_ < ranks_ - 1) {
            const std::uint32_t source = most_deserving();
            if (source == rank_) break;
            auto buffer = pool_.try_take();
            if (!buffer) break;
            const std::size_t slot = free_receives_.back();
            free_receives_.pop_back();
            receives_[slot] = {source, std::move(*buffer), 0, false, kNoSlot};
            Peer& peer = peers_[source];
            (peer.last_posted != kNoSlot ? receives_[peer.last_posted].next : peer.first_posted) = slot;
            peer.last_posted = slot;
            ++peer.outstanding;
            rank_again(source);
            wire_.post_receive(source, receives_[slot].buffer.storage(), slot);  // posted before it is promised
            wire_.send_control(source, (ledger_.run_id() & 0xffffffff) << 32 | 1);
            any = true;
        }
        return any;
    }
    /// Messages match the receives in the order these were posted, but large ones may complete out of order.
    void receive_in_order(Peer& peer, const std::function<void(ArrivedBuffer)>& arrived) {
        while (peer.outstanding > 0 && receives_[peer.first_posted].complete) receive(peer.first_posted, arrived);
    }
    void forget_first_posted(Peer& peer) {
        free_receives_.push_back(peer.first_posted);
        peer.first_posted = receives_[peer.first_posted].next;
        if (peer.first_posted == kNoSlot) peer.last_posted = kNoSlot;
        --peer.outstanding;
    }
    void receive(std::size_t slot, const std::function<void(ArrivedBuffer)>& arrived) {
        Receive& receive = receives_[slot];
        const std::uint32_t source = receive.source;
        const std::uint64_t bytes = receive.bytes;
        Peer& peer = peers_[source];
        Buffer buffer = std::move(receive.buffer);
        receive.complete = false;
        forget_first_posted(peer);
        const MessageHeader header = ledger_.admit(source, buffer.storage().first(bytes));
        if ((header.flags & kLastFlag) != 0) {
            peer.done = true;
            ++peers_done_;
            wire_.cancel_receives(source);
            while (peer.outstanding > 0) {
                receives_[peer.first_posted].buffer = Buffer();
                forget_first_posted(peer);
            }
            rank_again(source);
            return;
        }
        peer.offered = header.offered_buffers;
        rank_again(source);
        buffer.set_size(bytes);
        arrived({header, std::move(buffer)});
    }
    Wire& wire_;
    BufferPool& pool_;
    std::uint32_t rank_, ranks_;
    MessageLedger ledger_;
    std::size_t fair_share_ = 0;
    std::vector<Peer> peers_;
    std::vector<Level> wanting_;              // by receives outstanding
    std::size_t lowest_ = 0;                  // no peer in a list below it
    std::vector<std::uint32_t> can_be_told_;  // that nothing follows: they have a credit for it
    std::vector<Receive> receives_;
    std::vector<std::size_t> free_receives_;
    std::vector<Buffer> sends_;
    std::vector<std::uint32_t> send_destinations_;  // by slot
    std::vector<std::size_t> free_sends_;
    std::vector<Wire::Completion> done_;
    std::size_t sends_in_flight_ = 0;
    std::uint32_t peers_done_ = 0, lasts_said_ = 0;
    bool finishing_ = false;
};

}  // namespace

std::unique_ptr<Transport> make_p2p_transport(Wire& wire, BufferPool& receive_pool, std::uint64_t run_id) {
    return std::make_unique<P2pTransport>(wire, receive_pool, run_id);
}

}  // namespace sluice
