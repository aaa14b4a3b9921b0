#include "net/alltoallv_transport.hpp"

#include <algorithm>
#include <optional>
#include <utility>

#include "net/message_ledger.hpp"
#include "net/transport_kind.hpp"

namespace sluice {
namespace {

/// One pair moves at most so many buffers a round, and more than one only while they are small together: large ones
/// travel one a round, so that MPI sends them from where they lie instead of packing them.
constexpr std::size_t kMostPieces = 16, kSmallTogetherBytes = 256 * 1024;

/// What one rank tells another in a round.
struct Word {
    static constexpr std::uint32_t kNews = 1, kDone = 2;
    std::uint64_t run_id = 0, round = 0;
    std::uint32_t flags = 0;
    std::uint32_t offered = 0, accepted = 0;  ///< buffers
    std::uint32_t waiting = 0;                ///< buffers for the other beyond those offered
    std::uint32_t bytes[kMostPieces] = {};    ///< of each buffer offered
};

/// Buffers in order, at most as many as it was made for.
class BufferRing {
public:
    explicit BufferRing(std::size_t capacity) : ring_(capacity) {}
    std::size_t size() const noexcept { return size_; }
    bool full() const noexcept { return size_ == ring_.size(); }
    Buffer& operator[](std::size_t i) { return ring_[(head_ + i) % ring_.size()]; }
    void push(Buffer buffer) { ring_[(head_ + size_++) % ring_.size()] = std::move(buffer); }
    Buffer pop() {
        Buffer buffer = std::move(ring_[head_]);
        head_ = (head_ + 1) % ring_.size();
        --size_;
        return buffer;
    }

private:
    std::vector<Buffer> ring_;
    std::size_t head_ = 0, size_ = 0;
};

class AlltoallvTransport final : public Transport {
public:
    AlltoallvTransport(Rounds& rounds, BufferPool& pool, std::uint64_t run_id)
        : rounds_(rounds),
          pool_(pool),
          rank_(rounds.rank()),
          ranks_(rounds.size()),
          most_pieces_(std::clamp<std::size_t>(kSmallTogetherBytes / pool.buffer_bytes(), 1, kMostPieces)),
          ledger_(rank_, ranks_, run_id),
          mine_(ranks_),
          theirs_(ranks_),
          sent_(ranks_),
          received_(ranks_) {
        require_receive_buffers(TransportKind::alltoallv, pool.count(), ranks_);
        share_ = ranks_ > 1 ? std::min(most_pieces_, std::max<std::size_t>(1, pool.count() / (ranks_ - 1))) : 0;
        for (std::uint32_t peer = 0; peer < ranks_; ++peer) {
            peers_.emplace_back(2 * most_pieces_, most_pieces_);
            sent_[peer].reserve(most_pieces_);
            received_[peer].reserve(most_pieces_);
        }
        for (Lane& lane : lanes_) {
            lane.sends.reserve(most_pieces_ * ranks_);
            lane.arrivals.reserve(most_pieces_ * ranks_);
        }
    }

    /// After a failure things may still be in flight; their buffers go home here, and nobody uses them any more.
    ~AlltoallvTransport() override {
        if (exchanging_ || lanes_running_ > 0) rounds_.abandon();
    }

    bool try_send(OutgoingBuffer& full, std::uint64_t backlog) override {
        Peer& peer = peers_[full.destination];
        SLUICE_CHECK(full.destination != rank_ && !finishing_);
        peer.backlog = backlog;  // said with the next words, whether there is room for this one or not
        if (peer.pending.full()) return false;
        ledger_.stamp(full.buffer, full.destination, backlog);
        peer.pending.push(std::move(full.buffer));
        ++pending_;
        news_ = true;
        return true;
    }
    void finish_sending() override { finishing_ = true; }

    bool progress(const std::function<void(ArrivedBuffer)>& arrived) override {
        bool moved = take_moved(arrived);
        if (exchanging_ && next_lane_is_free() && rounds_.words_arrived()) {
            exchanging_ = false;
            const bool moving = agree_on_movement();
            // The next words go ahead of what now moves, so that they are there before it is.
            if (!all_done_) begin_round();
            if (moving) start_movement();
            moved |= moving;
        }
        if (!exchanging_ && !all_done_ && ranks_ > 1) moved |= begin_round();
        return moved;
    }
    bool receiving_done() const override { return ranks_ == 1 || (all_done_ && lanes_running_ == 0); }
    bool sending_done() const override { return finishing_ && receiving_done(); }
    Rings rings() const override { return rounds_.rings(); }
    const std::vector<PeerCounters>& counters() const override { return ledger_.counters(); }
    const char* name() const override { return "alltoallv"; }

private:
    struct Peer {
        Peer(std::size_t pending_buffers, std::size_t accepted_buffers)
            : pending(pending_buffers), accepted(accepted_buffers) {}
        BufferRing pending;         // for it, taken by try_send
        BufferRing accepted;        // set aside for what it sends
        std::size_t promised = 0;   // accepted, in our last word
        std::uint64_t backlog = 0;  // buffers the sender holds for it
        std::uint64_t offered = 0;  // buffers it has ready for us, which the next movement can take
        std::uint64_t wanted = 0;   // these, and those it says will follow: a hint
        bool done = false;
    };
    struct Arrival {
        std::uint32_t source = 0;
        Buffer buffer;
    };
    struct Lane {
        std::vector<Buffer> sends;
        std::vector<Arrival> arrivals;
    };
    bool next_lane_is_free() const { return lanes_running_ < Rounds::kLanes; }

    /// Sets receive buffers aside: for what sources offer, then for what they say will follow, one each in turn; what
    /// is left waits for those that may have some soon. Only an offer is sure to be taken up, so all else yields to
    /// offers: a source whose hint is wrong keeps no buffer from one that is ready to send.
    void set_aside() {
        if (!set_aside_for(&Peer::offered, true)) return serve_next();
        if (!set_aside_for(&Peer::wanted, false)) return serve_next();
        for (std::uint32_t peer = 0; peer < ranks_; ++peer) {
            while (peer != rank_ && !peers_[peer].done && peers_[peer].accepted.size() < share_) {
                auto buffer = pool_.try_take();
                if (!buffer) return;
                peers_[peer].accepted.push(std::move(*buffer));
            }
        }
    }
    /// Up to peer.*count buffers each, of the pool's or, if `may_take_back`, of those set aside for no offer; false
    /// once there are none.
    bool set_aside_for(std::uint64_t Peer::*count, bool may_take_back) {
        for (bool more = true; more;) {
            more = false;
            for (std::uint32_t shift = 0; shift < ranks_; ++shift) {
                Peer& peer = peers_[(first_served_ + shift) % ranks_];
                if (peer.accepted.size() >= std::min<std::uint64_t>(peer.*count, most_pieces_)) continue;
                auto buffer = pool_.try_take();
                if (!buffer && may_take_back) buffer = take_back();
                if (!buffer) return false;
                peer.accepted.push(std::move(*buffer));
                more = true;
            }
        }
        return true;
    }
    void serve_next() { first_served_ = (first_served_ + 1) % ranks_; }
    /// A buffer set aside beyond what its source offers, from where there are most of them.
    std::optional<Buffer> take_back() {
        Peer* richest = nullptr;
        std::uint64_t most = 0;
        for (Peer& peer : peers_) {
            if (peer.accepted.size() <= peer.offered + most) continue;
            most = peer.accepted.size() - peer.offered;
            richest = &peer;
        }
        if (richest == nullptr) return std::nullopt;
        return richest->accepted.pop();
    }

    bool begin_round() {
        set_aside();
        const bool done = finishing_ && pending_ == 0;
        bool news = news_ || done != done_said_;
        for (const Peer& peer : peers_) news = news || peer.accepted.size() > peer.promised;
        if (!news && idle_rounds_ > 0 && !rounds_.ought_to_join(idle_rounds_)) return false;
        for (std::uint32_t to = 0; to < ranks_; ++to) {
            Peer& peer = peers_[to];
            Word& word = mine_[to];
            word.run_id = ledger_.run_id();
            word.round = round_;
            word.flags = (news ? Word::kNews : 0) | (done ? Word::kDone : 0);
            word.offered = static_cast<std::uint32_t>(std::min(peer.pending.size(), most_pieces_));
            word.waiting = static_cast<std::uint32_t>(peer.pending.size() - word.offered + peer.backlog);
            word.accepted = static_cast<std::uint32_t>(peer.accepted.size());
            for (std::uint32_t i = 0; i < word.offered; ++i)
                word.bytes[i] = static_cast<std::uint32_t>(peer.pending[i].size());
            peer.promised = peer.accepted.size();
        }
        news_ = false;
        done_said_ = done;
        ++round_;
        exchanging_ = true;
        rounds_.start_words(std::as_bytes(std::span(mine_)), std::as_writable_bytes(std::span(theirs_)));
        return news;
    }

    /// The words are there: puts together what each pair moves. False where nobody had news, and nothing can move.
    bool agree_on_movement() {
        bool any_news = false, all_done = true;
        Lane& lane = lanes_[(first_lane_ + lanes_running_) % Rounds::kLanes];
        for (std::uint32_t from = 0; from < ranks_; ++from) {
            sent_[from].clear();
            received_[from].clear();
            const Word& word = theirs_[from];
            if (word.run_id != ledger_.run_id() || word.round + 1 != round_)
                ledger_.refuse(from, "is the word of another round or run");
            any_news = any_news || (word.flags & Word::kNews) != 0;
            all_done = all_done && (word.flags & Word::kDone) != 0;
            if (from == rank_) continue;
            take_from(from, word, lane);
            give_to(from, word, lane);
        }
        all_done_ = all_done;
        const bool moving = !lane.sends.empty() || !lane.arrivals.empty();
        SLUICE_CHECK(any_news || !moving);  // all ranks must skip the same movements
        if (any_news) {
            idle_rounds_ = 0;
            news_ = news_ || moving;
        } else {
            ++idle_rounds_;
        }
        return any_news;
    }
    void start_movement() {
        rounds_.start_pieces((first_lane_ + lanes_running_) % Rounds::kLanes, sent_, received_);
        ++lanes_running_;
    }
    void take_from(std::uint32_t source, const Word& word, Lane& lane) {
        Peer& peer = peers_[source];
        const std::uint32_t count = std::min(word.offered, mine_[source].accepted);
        if (count > kMostPieces) ledger_.refuse(source, "offers more buffers than a round has room for");
        peer.done = (word.flags & Word::kDone) != 0;
        peer.offered = word.offered - count;
        peer.wanted = peer.offered + word.waiting;
        peer.promised -= count;
        for (std::uint32_t i = 0; i < count; ++i) {
            Buffer buffer = peer.accepted.pop();
            if (word.bytes[i] > buffer.capacity()) {
                ledger_.refuse(source, "has " + std::to_string(word.bytes[i]) + " bytes, a receive buffer " +
                                           std::to_string(buffer.capacity()));
            }
            buffer.set_size(word.bytes[i]);
            received_[source].push_back({buffer.storage().data(), word.bytes[i]});
            lane.arrivals.push_back({source, std::move(buffer)});
        }
        while (peer.done && peer.accepted.size() > 0) peer.accepted.pop();
    }
    void give_to(std::uint32_t destination, const Word& word, Lane& lane) {
        const std::uint32_t count = std::min(mine_[destination].offered, word.accepted);
        for (std::uint32_t i = 0; i < count; ++i) {
            Buffer buffer = peers_[destination].pending.pop();
            sent_[destination].push_back({buffer.storage().data(), buffer.size()});
            lane.sends.push_back(std::move(buffer));
        }
        pending_ -= count;
    }

    /// Hands over what the oldest movements brought; in their order, so that sequences have no gaps.
    bool take_moved(const std::function<void(ArrivedBuffer)>& arrived) {
        bool moved = false;
        while (lanes_running_ > 0 && rounds_.pieces_moved(first_lane_)) {
            Lane& lane = lanes_[first_lane_];
            moved = moved || !lane.sends.empty() || !lane.arrivals.empty();
            lane.sends.clear();
            for (Arrival& arrival : lane.arrivals) {
                const MessageHeader header = ledger_.admit(arrival.source, arrival.buffer.data());
                arrived({header, std::move(arrival.buffer)});
            }
            lane.arrivals.clear();
            first_lane_ = (first_lane_ + 1) % Rounds::kLanes;
            --lanes_running_;
        }
        return moved;
    }

    Rounds& rounds_;
    BufferPool& pool_;
    std::uint32_t rank_, ranks_;
    std::size_t most_pieces_;  // of one pair in one round
    std::size_t share_ = 0;    // buffers set aside for a source that has none to offer yet
    MessageLedger ledger_;
    std::vector<Peer> peers_;
    std::vector<Word> mine_, theirs_;  // by peer
    PiecesByPeer sent_, received_;     // of the movement being started
    Lane lanes_[Rounds::kLanes];
    std::size_t first_lane_ = 0, lanes_running_ = 0;
    std::size_t pending_ = 0;  // buffers in all pending rings
    std::uint64_t round_ = 0;  // of the next word
    unsigned idle_rounds_ = 0;
    std::uint32_t first_served_ = 0;
    bool exchanging_ = false, news_ = false, finishing_ = false, done_said_ = false, all_done_ = false;
};

}  // namespace

std::unique_ptr<Transport> make_alltoallv_transport(Rounds& rounds, BufferPool& receive_pool, std::uint64_t run_id) {
    return std::make_unique<AlltoallvTransport>(rounds, receive_pool, run_id);
}

}  // namespace sluice
