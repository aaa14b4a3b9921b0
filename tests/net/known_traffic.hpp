#pragma once
/// One test body for every transport: each rank sends a known traffic, checks every byte that arrives, and never holds
/// more receive buffers than the pool has.

#include <gtest/gtest.h>

#include <cstring>
#include <deque>
#include <functional>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "net/idle_backoff.hpp"
#include "net/receive_window.hpp"
#include "net/transport.hpp"
#include "net/transport_kind.hpp"
#include "record/crc32c.hpp"
#include "runtime/doorbell.hpp"
#include "runtime/rng.hpp"

namespace sluice::testing {

struct Traffic {
    std::string name;
    std::size_t buffer_bytes = 4096;        ///< header included
    std::size_t extra_receive_buffers = 0;  ///< beyond the least that the transport needs
    bool slow_consumer = false;             ///< holds what arrived until the pool is empty or nothing else moves
    bool full_buffers = false;              ///< else of any size, also of no records
    /// Messages that rank `from` of `ranks` sends to rank `to`.
    std::function<std::uint64_t(std::uint32_t from, std::uint32_t to, std::uint32_t ranks)> messages;
    /// Each rank says at all times that many more buffers wait for every peer, and rank 0 answers only once it has got
    /// everything, before which nobody ends: a receive buffer kept for a peer that was believed would hold up all.
    bool lying_backlog = false;
};
inline std::ostream& operator<<(std::ostream& out, const Traffic& traffic) { return out << traffic.name; }

inline std::vector<Traffic> all_traffic() {
    const auto skewed = [](std::uint32_t from, std::uint32_t to, std::uint32_t) -> std::uint64_t {
        return (from * 7 + to * 3) % 5 * ((from * 7 + to * 3) % 5) * 8 + 1;
    };
    const auto all = [](std::uint64_t count) {
        return [count](std::uint32_t, std::uint32_t, std::uint32_t) { return count; };
    };
    const auto one_sided = [](std::uint32_t from, std::uint32_t to, std::uint32_t ranks) -> std::uint64_t {
        return from == 0 && to == ranks - 1 ? 300 : 0;
    };
    const auto even_to_odd = [](std::uint32_t from, std::uint32_t to, std::uint32_t) -> std::uint64_t {
        return from % 2 == 0 && to % 2 == 1 ? 40 : 0;
    };
    const auto incast = [](std::uint32_t, std::uint32_t to, std::uint32_t) -> std::uint64_t {
        return to == 0 ? 60 : 0;
    };
    const auto asked_and_answered = [](std::uint32_t from, std::uint32_t to, std::uint32_t) -> std::uint64_t {
        return to == 0 ? 10 + 20 * from : from == 0 ? 3 : 0;
    };
    return {
        {"Skewed", 4096, 4, false, false, skewed},
        {"SkewedWithTheLeastPoolAndASlowConsumer", 4096, 0, true, false, skewed},
        {"OneSided", 4096, 3, false, false, one_sided},
        {"OneSidedWithTheLeastPool", 4096, 0, true, false, one_sided},
        {"EmptyRanks", 4096, 2, false, false, even_to_odd},
        {"NothingAtAll", 4096, 0, false, false, all(0)},
        {"IncastWithTheLeastPoolAndASlowConsumer", 16384, 0, true, true, incast},
        {"LyingBacklogWithTheLeastPool", 4096, 0, false, false, asked_and_answered, true},
        {"LyingBacklog", 4096, 5, true, false, asked_and_answered, true},
        {"TinyBuffers", kHeaderBytes + 64, 9, false, false, all(150)},
        {"HugeBuffers", std::size_t{4} << 20, 1, false, true, all(2)},
    };
}

/// What one rank has to work with.
struct TrafficEnd {
    Executor& executor;
    Doorbell& doorbell;
    std::uint32_t rank = 0, ranks = 1;
    TransportKind transport = TransportKind::p2p;
    /// Memory that peers put into, for transports that need it; else empty.
    std::function<std::unique_ptr<ReceiveWindow>(std::uint64_t bytes)> make_window;
    std::function<std::unique_ptr<Transport>(BufferPool& receive_pool, std::uint64_t run_id, ReceiveWindow* window)>
        make_transport;
    std::function<void()> barrier;
};

inline std::uint64_t payload_bytes(const Traffic& t, std::uint32_t from, std::uint32_t to, std::uint64_t number) {
    const std::uint64_t most = t.buffer_bytes - kHeaderBytes;
    return t.full_buffers ? most : Rng((from * 1000 + to) * 1'000'003 + number).next() % (most + 1);
}

/// Content that only this message has: each 8-byte word names it and its own place.
inline void fill_payload(std::span<std::byte> out, std::uint32_t from, std::uint32_t to, std::uint64_t number) {
    const std::uint64_t base = ((std::uint64_t{from} << 16 | to) << 32) + number * 0x9E3779B97F4A7C15ull;
    for (std::size_t at = 0; at < out.size(); at += 8) {
        const std::uint64_t word = base + at * 0x100000001B3ull;
        std::memcpy(out.data() + at, &word, std::min<std::size_t>(8, out.size() - at));
    }
}

class TrafficRank {
public:
    TrafficRank(const Traffic& traffic, const TrafficEnd& end, std::uint64_t run_id)
        : traffic_(traffic),
          end_(end),
          receive_buffers_(usable_receive_buffers(
              end.transport, least_receive_buffers(end.transport, end.ranks) + traffic.extra_receive_buffers,
              end.ranks)),
          send_memory_((end.ranks + 1) * traffic.buffer_bytes),
          expected_(traffic.buffer_bytes),
          send_pool_(end.executor, "send", send_memory_, traffic.buffer_bytes, end.ranks + 1),
          window_(end.make_window ? end.make_window(receive_buffers_ * traffic.buffer_bytes) : nullptr),
          receive_memory_(window_ ? window_->memory() : own_memory(receive_buffers_ * traffic.buffer_bytes)),
          receive_pool_(end.executor, "receive", receive_memory_, traffic.buffer_bytes, receive_buffers_),
          transport_(end.make_transport(receive_pool_, run_id, window_.get())),
          next_sent_(end.ranks),
          received_(end.ranks),
          ready_(end.ranks) {}

    void run() {
        IdleBackoff backoff(Polling::adaptive);
        bool finished = false;
        while (!finished) {
            bool moved = send();
            moved |= transport_->progress([this](ArrivedBuffer arrived) { take(std::move(arrived)); });
            if (!held_.empty() && (!traffic_.slow_consumer || !moved || held_.size() == receive_buffers_)) {
                held_.pop_front();
                moved = true;
            }
            finished = held_.empty() && transport_->receiving_done() && transport_->sending_done();
            if (moved) {
                backoff.did_something();
            } else if (!finished && transport_->rings() == Rings::everything) {
                end_.doorbell.wait();
            } else if (!finished) {
                backoff.idle(end_.doorbell);
            }
        }
        check_counts();
        end_.barrier();
        if (window_) window_->close();
    }

private:
    static constexpr std::uint64_t kLie = 1'000'000;  // buffers

    std::span<std::byte> own_memory(std::size_t bytes) {
        own_memory_.resize(bytes);
        return own_memory_;
    }
    bool send() {
        bool moved = false, all = true;
        const bool held_back = traffic_.lying_backlog && !all_received();
        for (std::uint32_t shift = 1; shift < end_.ranks; ++shift) {
            const std::uint32_t to = (end_.rank + shift) % end_.ranks;
            const std::uint64_t count = traffic_.messages(end_.rank, to, end_.ranks);
            while (!(held_back && end_.rank == 0) && (next_sent_[to] < count || ready_[to].buffer)) {
                if (!ready_[to].buffer) {
                    std::optional<Buffer> buffer;  // two of three are filled where they will be read, if they can be
                    if (next_sent_[to] % 3 != 0) buffer = transport_->lend(to);
                    if (!buffer) buffer = send_pool_.try_take();
                    if (!buffer) break;
                    ready_[to] = {to, make_message(std::move(*buffer), to, next_sent_[to]++)};
                }
                if (!transport_->try_send(ready_[to], traffic_.lying_backlog ? kLie : count - next_sent_[to])) break;
                EXPECT_FALSE(ready_[to].buffer) << "a buffer was taken and left";
                moved = true;
            }
            all = all && next_sent_[to] == count && !ready_[to].buffer;
        }
        if (all && !held_back && !finished_sending_) {
            transport_->finish_sending();
            finished_sending_ = moved = true;
        }
        return moved;
    }
    bool all_received() const {
        for (std::uint32_t from = 0; from < end_.ranks; ++from) {
            if (from != end_.rank && received_[from] < traffic_.messages(from, end_.rank, end_.ranks)) return false;
        }
        return true;
    }
    Buffer make_message(Buffer buffer, std::uint32_t to, std::uint64_t number) const {
        const std::uint64_t bytes = payload_bytes(traffic_, end_.rank, to, number);
        buffer.set_size(kHeaderBytes + bytes);
        const auto payload = buffer.storage().subspan(kHeaderBytes, bytes);
        fill_payload(payload, end_.rank, to, number);
        MessageHeader header;
        header.record_count = number + 1;
        header.payload_crc32c = crc32c(payload);
        std::memcpy(buffer.storage().data(), &header, sizeof header);
        return buffer;
    }
    void take(ArrivedBuffer arrived) {
        const MessageHeader& header = arrived.header;
        ASSERT_LT(header.source, end_.ranks);
        const std::uint64_t number = received_[header.source]++;
        ASSERT_EQ(header.sequence, number);
        ASSERT_EQ(header.record_count, number + 1);
        const auto payload = arrived.records();
        ASSERT_EQ(payload.size(), payload_bytes(traffic_, header.source, end_.rank, number));
        ASSERT_EQ(crc32c(payload), header.payload_crc32c);
        fill_payload(std::span(expected_).first(payload.size()), header.source, end_.rank, number);
        ASSERT_EQ(std::memcmp(payload.data(), expected_.data(), payload.size()), 0);
        ASSERT_GE(arrived.buffer.data().data(), receive_memory_.data());
        ASSERT_LT(arrived.buffer.data().data(), receive_memory_.data() + receive_memory_.size());
        held_.push_back(std::move(arrived));
        ASSERT_LE(held_.size(), receive_buffers_);
    }
    void check_counts() const {
        for (std::uint32_t peer = 0; peer < end_.ranks; ++peer) {
            if (peer == end_.rank) continue;
            const PeerCounters& counted = transport_->counters()[peer];
            const std::uint64_t out = traffic_.messages(end_.rank, peer, end_.ranks),
                                in = traffic_.messages(peer, end_.rank, end_.ranks);
            std::uint64_t out_bytes = 0, in_bytes = 0;
            for (std::uint64_t i = 0; i < out; ++i) out_bytes += payload_bytes(traffic_, end_.rank, peer, i);
            for (std::uint64_t i = 0; i < in; ++i) in_bytes += payload_bytes(traffic_, peer, end_.rank, i);
            EXPECT_EQ(received_[peer], in) << "from rank " << peer;
            EXPECT_EQ(counted.sent_messages, out);
            EXPECT_EQ(counted.received_messages, in);
            EXPECT_EQ(counted.sent_bytes, out_bytes);
            EXPECT_EQ(counted.received_bytes, in_bytes);
            EXPECT_EQ(counted.sent_records, out * (out + 1) / 2);
            EXPECT_EQ(counted.received_records, in * (in + 1) / 2);
        }
        EXPECT_EQ(send_pool_.free_buffers(), send_pool_.count()) << "the buffers sent went home";
    }

    const Traffic& traffic_;
    const TrafficEnd& end_;
    std::size_t receive_buffers_;
    std::vector<std::byte> send_memory_, own_memory_, expected_;
    BufferPool send_pool_;
    std::unique_ptr<ReceiveWindow> window_;
    std::span<std::byte> receive_memory_;
    BufferPool receive_pool_;
    std::unique_ptr<Transport> transport_;
    std::vector<std::uint64_t> next_sent_, received_;  // by peer
    std::vector<OutgoingBuffer> ready_;                // by peer: made, not yet taken
    std::deque<ArrivedBuffer> held_;
    bool finished_sending_ = false;
};

}  // namespace sluice::testing
