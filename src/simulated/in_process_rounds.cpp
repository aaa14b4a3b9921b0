// Rounds among the ranks of one process: an exchange completes when the last rank joins, a movement pair by pair.
#include <algorithm>
#include <cstring>

#include "runtime/error.hpp"
#include "simulated/in_process.hpp"

namespace sluice {

class InProcessRounds final : public Rounds {
public:
    InProcessRounds(InProcessCluster& cluster, std::uint32_t rank) : cluster_(cluster), rank_(rank) {}
    std::uint32_t rank() const override { return rank_; }
    std::uint32_t size() const override { return cluster_.ranks_; }

    void start_words(std::span<const std::byte> mine, std::span<std::byte> theirs) override {
        {
            Lock lock(cluster_.mutex_);
            SLUICE_CHECK(!end().joined);
            end().mine = mine;
            end().theirs = theirs;
            end().joined = true;
            if (++cluster_.rounds_joined_ == cluster_.ranks_) complete();
        }
        for (auto& doorbell : cluster_.doorbells_) doorbell->ring();
    }
    bool words_arrived() override {
        Lock lock(cluster_.mutex_);
        return !end().joined;
    }
    bool ought_to_join(unsigned) override {
        Lock lock(cluster_.mutex_);
        return cluster_.rounds_joined_ > 0 && !end().joined;
    }
    void start_pieces(std::size_t lane, const PiecesByPeer& sent, const PiecesByPeer& received) override {
        {
            Lock lock(cluster_.mutex_);
            for (std::uint32_t peer = 0; peer < cluster_.ranks_; ++peer) {
                if (!sent[peer].empty()) {
                    pair(rank_, peer).sent.push_back({sent[peer], lane});
                    ++end().moving[lane];
                    match(rank_, peer);
                }
                if (!received[peer].empty()) {
                    pair(peer, rank_).received.push_back({received[peer], lane});
                    ++end().moving[lane];
                    match(peer, rank_);
                }
            }
        }
        for (auto& doorbell : cluster_.doorbells_) doorbell->ring();
    }
    bool pieces_moved(std::size_t lane) override {
        Lock lock(cluster_.mutex_);
        return end().moving[lane] == 0;
    }
    void abandon() noexcept override {
        Lock lock(cluster_.mutex_);
        if (end().joined) --cluster_.rounds_joined_;
        end() = {};
        for (std::uint32_t peer = 0; peer < cluster_.ranks_; ++peer) {
            pair(rank_, peer).sent.clear();
            pair(peer, rank_).received.clear();
        }
    }
    Rings rings() const override { return Rings::everything; }

private:
    InProcessCluster::RoundsEnd& end() { return cluster_.rounds_ends_[rank_]; }
    InProcessCluster::RoundsPair& pair(std::uint32_t source, std::uint32_t destination) {
        return cluster_.rounds_pairs_[source * cluster_.ranks_ + destination];
    }
    void complete() {
        auto& ends = cluster_.rounds_ends_;
        const std::size_t block_bytes = end().mine.size() / ends.size();
        for (std::size_t to = 0; to < ends.size(); ++to) {
            for (std::size_t from = 0; from < ends.size(); ++from)
                std::memcpy(ends[to].theirs.data() + from * block_bytes, ends[from].mine.data() + to * block_bytes,
                            block_bytes);
        }
        for (auto& one : ends) one.joined = false;
        cluster_.rounds_joined_ = 0;
    }
    void match(std::uint32_t source, std::uint32_t destination) {
        auto& between = pair(source, destination);
        while (!between.sent.empty() && !between.received.empty()) {
            const auto &from = between.sent.front(), &to = between.received.front();
            SLUICE_CHECK(from.pieces.size() == to.pieces.size());
            for (std::size_t i = 0; i < from.pieces.size(); ++i) {
                SLUICE_CHECK(from.pieces[i].bytes == to.pieces[i].bytes);
                std::memcpy(to.pieces[i].memory, from.pieces[i].memory, from.pieces[i].bytes);
                WireFault& fault = cluster_.fault_;
                if (fault.kind == WireFault::Kind::corrupt_header && cluster_.sent_++ == fault.nth) {
                    to.pieces[i].memory[8] ^= std::byte{1};
                    fault.fired = true;
                }
            }
            --cluster_.rounds_ends_[source].moving[from.lane];
            --cluster_.rounds_ends_[destination].moving[to.lane];
            between.sent.pop_front();
            between.received.pop_front();
        }
    }

    InProcessCluster& cluster_;
    std::uint32_t rank_;
};

std::unique_ptr<Rounds> make_in_process_rounds(InProcessCluster& cluster, std::uint32_t rank) {
    return std::make_unique<InProcessRounds>(cluster, rank);
}

}  // namespace sluice
