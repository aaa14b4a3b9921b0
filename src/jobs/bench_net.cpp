#include "jobs/bench_net.hpp"

#include <algorithm>
#include <cstring>
#include <numeric>

#include "io/io_backend.hpp"
#include "net/collectives.hpp"
#include "net/transport_kind.hpp"
#include "plan/cluster.hpp"
#include "plan/plan.hpp"
#include "runtime/units.hpp"

namespace sluice {
namespace {

constexpr std::uint64_t kComparedMessages = 4;  // per pair, before and after the clock

double seconds(std::uint64_t ns) { return static_cast<double>(ns) * 1e-9; }

/// Content that only this message of this pair has.
void fill(std::span<std::byte> out, std::uint64_t base) {
    for (std::size_t at = 0; at < out.size(); at += 8) {
        const std::uint64_t word = base + at * 0x9E3779B97F4A7C15ull;
        std::memcpy(out.data() + at, &word, std::min<std::size_t>(8, out.size() - at));
    }
}
bool holds(std::span<const std::byte> in, std::uint64_t base) {
    for (std::size_t at = 0; at < in.size(); at += 8) {
        const std::uint64_t word = base + at * 0x9E3779B97F4A7C15ull;
        if (std::memcmp(in.data() + at, &word, std::min<std::size_t>(8, in.size() - at)) != 0) return false;
    }
    return true;
}
std::uint64_t content_of(std::uint64_t source, std::uint64_t destination, std::uint64_t number) {
    return (source << 52) ^ (destination << 40) ^ number * 0xD1342543DE82EF95ull;
}

/// Buffers for one transport and message size on this rank: as many as a sort plans, as far as the memory goes.
struct Buffers {
    struct Counts {
        Counts(TransportKind transport, std::size_t ranks, SpareMessages spare)
            : send(ranks - 1 + spare.send),
              receive(usable_receive_buffers(transport, ranks + spare.receive, ranks)),
              windowed(transport == TransportKind::rma ? receive : 0) {}
        std::size_t send, receive;
        std::size_t windowed;  ///< of those to receive: in the window of rma, which is beside the arena
    };
    Buffers(JobContext& job, const NetFabric& fabric, Arena& arena, Counts counts, std::uint64_t bytes)
        : buffer_bytes(round_up(bytes, kDirectIoAlign)),
          send(job.executor, "send", arena.take(counts.send * buffer_bytes, kDirectIoAlign, "send"), buffer_bytes,
               counts.send),
          window(counts.windowed > 0 ? fabric.make_window(counts.windowed * buffer_bytes) : nullptr),
          receive(job.executor, "receive",
                  window ? window->memory() : arena.take(counts.receive * buffer_bytes, kDirectIoAlign, "receive"),
                  buffer_bytes, counts.receive) {
        receive.on_return([&job] { job.doorbell.ring(); });
    }

    std::uint64_t buffer_bytes;
    BufferPool send;
    std::unique_ptr<ReceiveWindow> window;
    BufferPool receive;
};

/// Who sends to this rank, and to whom it sends.
struct Neighbours {
    Neighbours(const TrafficPattern& pattern, std::uint32_t rank, std::uint32_t ranks) {
        for (std::uint32_t shift = 1; shift < ranks; ++shift) {  // rank-shifted, so that not all begin with one
            const std::uint32_t other = (rank + shift) % ranks;
            const auto mine = destinations_of(pattern, rank, ranks), theirs = destinations_of(pattern, other, ranks);
            if (std::find(mine.begin(), mine.end(), other) != mine.end()) to.push_back(other);
            if (std::find(theirs.begin(), theirs.end(), rank) != theirs.end()) from.push_back(other);
        }
    }
    std::vector<std::uint32_t> to, from;
};

/// One exchange of a number of messages for each pair, on one rank.
class NetExchange {
public:
    NetExchange(JobContext& job, const NetFabric& fabric, Buffers& buffers, TransportKind transport,
                std::uint64_t message_bytes, std::uint64_t run_id)
        : job_(job),
          buffers_(buffers),
          message_bytes_(message_bytes),
          transport_(fabric.make_transport(transport, buffers.receive, run_id, buffers.window.get())),
          received_(job.ranks()) {}

    const char* transport_name() const { return transport_->name(); }
    std::uint64_t wrong() const { return wrong_; }
    std::uint64_t verified() const { return verified_; }

    /// Returns when all is sent and received; the seconds until this rank's part was through.
    double run(const Neighbours& neighbours, std::uint64_t messages, bool compare) {
        std::vector<std::uint64_t> sent(neighbours.to.size());
        std::vector<OutgoingBuffer> ready(neighbours.to.size());
        const std::uint64_t outgoing = messages * neighbours.to.size(), incoming = messages * neighbours.from.size();
        std::uint64_t taken = 0, arrivals = 0, end_ns = 0;
        const auto send = [&] {
            bool moved = false;
            for (std::size_t i = 0; i < sent.size(); ++i) {
                if (!ready[i].buffer && sent[i] < messages) {
                    auto buffer = buffers_.send.try_take();
                    if (!buffer) break;
                    ready[i] = {neighbours.to[i], message(std::move(*buffer), neighbours.to[i], sent[i]++, compare)};
                }
                if (!ready[i].buffer) continue;
                if (!transport_->try_send(ready[i], messages - sent[i])) continue;
                moved = true;
                if (++taken == outgoing) transport_->finish_sending();
            }
            return moved;
        };
        const auto arrived = [&](ArrivedBuffer message) {
            ++arrivals;
            if (compare) check(message);
        };
        job_.communicator.barrier_or_failure();
        const std::uint64_t begin_ns = job_.executor.now_ns();
        if (outgoing == 0) transport_->finish_sending();
        drive(send, arrived, [&] {
            // The clock stops before the ranks tell each other that they are done.
            if (end_ns == 0 && arrivals == incoming && taken == outgoing &&
                buffers_.send.free_buffers() == buffers_.send.count())
                end_ns = job_.executor.now_ns();
            return end_ns != 0 && done();
        });
        return seconds(end_ns - begin_ns);
    }

    /// Rank 0 sends one message to the last rank and waits until it is sent back, `trips` times; half of each time.
    std::vector<double> ping_pong(std::uint64_t trips) {
        const std::uint32_t last = job_.ranks() - 1, me = job_.rank();
        const bool first = me == 0, plays = first || me == last;
        const std::uint32_t other = first ? last : 0;
        std::uint64_t sent = 0, arrivals = 0, begin_ns = 0;
        std::vector<double> halves_s;
        halves_s.reserve(trips);
        bool finished = false;
        OutgoingBuffer ready;
        const auto send = [&] {
            if (!finished && (!plays || sent == trips)) {
                transport_->finish_sending();
                return finished = true;
            }
            if (!plays || sent == trips || sent != arrivals - (first ? 0 : 1)) return false;
            if (!ready.buffer) {
                auto buffer = buffers_.send.try_take();
                if (!buffer) return false;
                ready = {other, message(std::move(*buffer), other, sent, false)};
                begin_ns = job_.executor.now_ns();
            }
            if (!transport_->try_send(ready, 0)) return false;
            ++sent;
            return true;
        };
        const auto arrived = [&](ArrivedBuffer) {
            ++arrivals;
            if (first) halves_s.push_back(seconds(job_.executor.now_ns() - begin_ns) / 2);
        };
        job_.communicator.barrier_or_failure();
        drive(send, arrived, [&] { return finished && done(); });
        return halves_s;
    }

private:
    bool done() const { return transport_->sending_done() && transport_->receiving_done(); }

    template <typename Send, typename Arrived, typename Finished>
    void drive(const Send& send, const Arrived& arrived, const Finished& finished) {
        IdleBackoff backoff = job_.backoff;
        const std::function<void(ArrivedBuffer)> take = arrived;
        while (!finished()) {
            bool moved = send();
            moved |= transport_->progress(take);
            if (moved) {
                backoff.did_something();
                continue;
            }
            throw_if_aborted(job_.communicator);
            if (finished()) break;
            transport_->rings() == Rings::everything ? job_.doorbell.wait() : backoff.idle(job_.doorbell);
        }
    }
    Buffer message(Buffer buffer, std::uint32_t to, std::uint64_t number, bool compare) const {
        buffer.set_size(message_bytes_);
        MessageHeader header;
        header.record_count = 1;
        std::memcpy(buffer.storage().data(), &header, sizeof header);
        if (compare)
            fill(buffer.storage().subspan(kHeaderBytes, message_bytes_ - kHeaderBytes),
                 content_of(job_.rank(), to, number));
        return buffer;
    }
    void check(const ArrivedBuffer& arrived) {
        const std::uint32_t source = arrived.header.source;
        ++verified_;
        if (arrived.buffer.size() != message_bytes_ ||
            !holds(arrived.records(), content_of(source, job_.rank(), received_[source]++)))
            ++wrong_;
    }

    JobContext& job_;
    Buffers& buffers_;
    std::uint64_t message_bytes_;
    std::unique_ptr<Transport> transport_;
    std::vector<std::uint64_t> received_;  // by source, compared
    std::uint64_t verified_ = 0, wrong_ = 0;
};

class BenchNet {
public:
    BenchNet(JobContext& job, const NetFabric& fabric, const BenchNetOptions& options)
        : job_(job), fabric_(fabric), options_(options), hosts_(job.communicator.all_gather(job.place.host)) {}

    BenchNetResult run() {
        const std::uint64_t largest = *std::max_element(options_.message_bytes.begin(), options_.message_bytes.end());
        std::uint64_t arena_bytes = 0, window_bytes = 0;
        for (const TransportKind transport : options_.transports) {
            for (const std::uint64_t message_bytes : options_.message_bytes) {
                const Buffers::Counts found = counts(transport, message_bytes);
                const std::uint64_t each = round_up(message_bytes, kDirectIoAlign);
                arena_bytes = std::max(arena_bytes, (found.send + found.receive - found.windowed) * each);
                window_bytes = std::max(window_bytes, found.windowed * each);
            }
        }
        const std::uint64_t bytes = arena_bytes + window_bytes;
        if (bytes > options_.memory_bytes) {
            throw Error(Errc::config, "--sizes: messages of " + format_bytes(largest) + " on " +
                                          std::to_string(job_.ranks()) + " ranks need " + format_bytes(bytes) +
                                          " of buffers a rank, " + format_bytes(options_.memory_bytes) +
                                          " may be used; use smaller ones or raise memory.budget");
        }
        const auto arena = job_.make_arena(arena_bytes + kMiB);
        BenchNetResult result;
        result.hosts = hosts_;
        for (const TransportKind transport : options_.transports) {
            for (const std::uint64_t message_bytes : options_.message_bytes) {
                arena->reset();
                Buffers buffers(job_, fabric_, *arena, counts(transport, message_bytes), message_bytes);
                for (const TrafficPattern& pattern : options_.patterns)
                    result.rows.push_back(measure(buffers, transport, pattern, message_bytes));
                if (options_.ping_pong) result.rows.push_back(measure_latency(buffers, transport, message_bytes));
                job_.communicator.barrier_or_failure();
                if (buffers.window) buffers.window->close();
            }
        }
        return result;
    }

private:
    /// As many as a sort has; fewer where they would need more than half of the memory that may be used, since the
    /// window of one transport lies beside the arena of all.
    Buffers::Counts counts(TransportKind transport, std::uint64_t message_bytes) const {
        constexpr std::size_t kFewSpare = 4;
        SpareMessages spare =
            spare_messages(transport, job_.ranks() - 1, job_.place.hosts > 1, round_up(message_bytes, kDirectIoAlign));
        for (;;) {
            const Buffers::Counts found(transport, job_.ranks(), spare);
            const std::uint64_t bytes = (found.send + found.receive) * round_up(message_bytes, kDirectIoAlign);
            if (bytes <= options_.memory_bytes / 2 || (spare.send <= kFewSpare && spare.receive <= kFewSpare))
                return found;
            for (std::size_t* count : {&spare.send, &spare.receive})
                *count = std::max(std::min(*count, kFewSpare), *count / 2);
        }
    }
    /// The figure of every rank, on all ranks.
    std::vector<double> of_all_ranks(double mine) const { return all_gather(job_.communicator, mine); }
    double slowest(double mine) const {
        const auto all = of_all_ranks(mine);
        return std::max(1e-9, *std::max_element(all.begin(), all.end()));
    }
    double exchange(Buffers& buffers, TransportKind transport, std::uint64_t message_bytes,
                    const Neighbours& neighbours, std::uint64_t messages, BenchNetRow* compared) {
        NetExchange once(job_, fabric_, buffers, transport, message_bytes, next_run_id_++);
        const double elapsed_s = once.run(neighbours, messages, compared != nullptr);
        job_.communicator.barrier_or_failure();  // no word of the next exchange may meet this one
        if (compared != nullptr) {
            compared->transport = once.transport_name();
            const auto counts = job_.communicator.sum({once.verified(), once.wrong()});
            compared->verified += static_cast<std::uint64_t>(counts[0]);
            compared->wrong += static_cast<std::uint64_t>(counts[1]);
        }
        return elapsed_s;
    }
    /// How many messages a pair fill one repetition.
    std::uint64_t messages_for(Buffers& buffers, TransportKind transport, std::uint64_t message_bytes,
                               const Neighbours& neighbours) {
        if (options_.iterations != 0) return options_.iterations;
        const std::uint64_t some = std::clamp<std::uint64_t>(8 * kMiB / message_bytes, 2, 200);
        const double elapsed_s = slowest(exchange(buffers, transport, message_bytes, neighbours, some, nullptr));
        const double wanted = options_.seconds / options_.repetitions / elapsed_s * static_cast<double>(some);
        return static_cast<std::uint64_t>(std::clamp(wanted, 1.0, 1e7));
    }

    BenchNetRow measure(Buffers& buffers, TransportKind transport, const TrafficPattern& pattern,
                        std::uint64_t message_bytes) {
        const Neighbours mine(pattern, job_.rank(), job_.ranks());
        BenchNetRow row;
        row.pattern = pattern.name();
        row.message_bytes = message_bytes;
        for (std::uint32_t rank = 0; rank < job_.ranks(); ++rank)
            row.pairs += destinations_of(pattern, rank, job_.ranks()).size();
        if (row.pairs == 0) {
            throw Error(Errc::config, "--pattern " + row.pattern + ": on " + std::to_string(job_.ranks()) +
                                          " ranks each would send to itself; choose a --stride that is no multiple");
        }
        exchange(buffers, transport, message_bytes, mine, kComparedMessages, &row);
        row.messages = messages_for(buffers, transport, message_bytes, mine);
        const double payload_mb = static_cast<double>(message_bytes - kHeaderBytes) * 1e-6;
        const double rank_mb =
            payload_mb * static_cast<double>(row.messages * std::max(mine.to.size(), mine.from.size()));
        std::vector<double> slowest_s, rates, mine_s;
        for (unsigned i = 0; i < options_.repetitions; ++i) {
            mine_s.push_back(exchange(buffers, transport, message_bytes, mine, row.messages, nullptr));
            slowest_s.push_back(slowest(mine_s.back()));
            rates.push_back(payload_mb * static_cast<double>(row.messages * row.pairs) / slowest_s.back());
        }
        exchange(buffers, transport, message_bytes, mine, kComparedMessages, &row);
        row.elapsed_s = spread_of(slowest_s);
        row.algorithm_mb_per_s = spread_of(rates);
        std::vector<double> ranks_mb_per_s;
        for (const double rate : of_all_ranks(rank_mb / std::max(1e-9, spread_of(mine_s).median))) {
            if (rate > 0) ranks_mb_per_s.push_back(rate);
        }
        row.rank_mb_per_s = spread_of(ranks_mb_per_s);
        row.wire_mb_per_s = busiest_host_bytes(pattern, message_bytes * row.messages) * 1e-6 / row.elapsed_s.median;
        return row;
    }
    /// Bytes that leave, or that reach, the host with the most of them, when each pair moves `pair_bytes`.
    double busiest_host_bytes(const TrafficPattern& pattern, std::uint64_t pair_bytes) const {
        double most = 0;
        for (const std::string& host : hosts_) {
            std::uint64_t out = 0, in = 0;
            for (std::uint32_t from = 0; from < hosts_.size(); ++from) {
                for (const std::uint32_t to : destinations_of(pattern, from, job_.ranks())) {
                    if (hosts_[from] == hosts_[to]) continue;
                    out += hosts_[from] == host ? pair_bytes : 0;
                    in += hosts_[to] == host ? pair_bytes : 0;
                }
            }
            most = std::max(most, static_cast<double>(std::max(out, in)));
        }
        return most;
    }

    BenchNetRow measure_latency(Buffers& buffers, TransportKind transport, std::uint64_t message_bytes) {
        BenchNetRow row;
        row.pattern = "ping-pong";
        row.message_bytes = message_bytes;
        row.pairs = 2;
        const auto trips_of = [&](std::uint64_t trips) {
            NetExchange once(job_, fabric_, buffers, transport, message_bytes, next_run_id_++);
            row.transport = once.transport_name();
            auto halves_s = once.ping_pong(trips);
            job_.communicator.barrier_or_failure();
            return halves_s;
        };
        std::uint64_t trips = options_.iterations;
        if (trips == 0) {
            const auto some = trips_of(20);
            const double half_s = slowest(job_.rank() == 0 ? spread_of(some).median : 0);
            trips = static_cast<std::uint64_t>(std::clamp(options_.seconds / 2 / half_s, 5.0, 1e4));
        }
        std::vector<double> halves_us = trips_of(trips);
        for (double& half : halves_us) half *= 1e6;
        row.messages = trips;
        const Spread mine = spread_of(halves_us);
        row.latency_us = {of_all_ranks(mine.min)[0], of_all_ranks(mine.median)[0], of_all_ranks(mine.max)[0]};
        return row;
    }

    JobContext& job_;
    const NetFabric& fabric_;
    const BenchNetOptions& options_;
    std::vector<std::string> hosts_;
    std::uint64_t next_run_id_ = 1;
};

}  // namespace

Spread spread_of(std::vector<double> figures) {
    if (figures.empty()) return {};
    std::sort(figures.begin(), figures.end());
    const std::size_t half = figures.size() / 2;
    const double median = figures.size() % 2 == 1 ? figures[half] : (figures[half - 1] + figures[half]) / 2;
    return {figures.front(), median, figures.back()};
}

std::uint64_t BenchNetResult::wrong() const {
    return std::accumulate(rows.begin(), rows.end(), std::uint64_t{0},
                           [](std::uint64_t sum, const BenchNetRow& row) { return sum + row.wrong; });
}

BenchNetResult run_bench_net(JobContext& job, const NetFabric& fabric, const BenchNetOptions& options) {
    if (job.ranks() < 2)
        throw Error(Errc::config, "bench net: needs two ranks or more; start it with scripts/launch.sh -n 2 -- ...");
    BenchNetResult result = BenchNet(job, fabric, options).run();
    result.run_id = make_run_id(job);
    return result;
}

}  // namespace sluice
