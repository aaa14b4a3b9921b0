#include "jobs/shuffle_limit.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <map>
#include <memory>
#include <numeric>
#include <optional>
#include <set>
#include <thread>
#include <tuple>

#include "net/collectives.hpp"
#include "net/transport_kind.hpp"
#include "plan/cluster.hpp"
#include "record/crc32c.hpp"
#include "runtime/thread_clock.hpp"
#include "runtime/units.hpp"
#include "stages/record_sink.hpp"
#include "stages/record_source.hpp"

namespace sluice {
namespace {

constexpr unsigned kRounds = 5;

/// Buffers that are filled once and then read again and again.
std::vector<std::span<std::byte>> take_buffers(Arena& arena, const char* name, std::size_t count, std::uint64_t bytes) {
    const auto memory = arena.take(count * bytes, kDirectIoAlign, name);
    std::vector<std::span<std::byte>> buffers;
    for (std::size_t i = 0; i < count; ++i) buffers.push_back(memory.subspan(i * bytes, bytes));
    return buffers;
}

/// A pool of the plan's, empty.
BufferPool make_pool(JobContext& job, Arena& arena, const char* name, std::size_t count, std::uint64_t bytes) {
    return {job.executor, name, arena.take(count * bytes, kDirectIoAlign, name), bytes, count};
}

/// Of one step on one rank, per byte of records.
struct StepCost {
    double cpu_s = 0;   ///< processor time, of all threads that did it
    double wall_s = 0;  ///< by the clock, all threads at once
};

StepCost cost(std::uint64_t bytes, std::uint64_t cpu_ns, std::uint64_t elapsed_ns) {
    if (bytes == 0) return {};
    const double per_byte = 1e-9 / static_cast<double>(bytes);
    return {static_cast<double>(cpu_ns) * per_byte, static_cast<double>(elapsed_ns) * per_byte};
}

/// The four steps of one rank. A worker of a step calls the stage's own work on buffers that are there already, and
/// drops at once what comes out: no queue, no hand-over, nothing to wait for. Pools come from the start of one arena.
class Steps {
public:
    Steps(JobContext& job, Arena& arena, const PreparedShuffle& prepared, const Partitioner& partitioner,
          std::uint64_t step_ns)
        : job_(job),
          arena_(arena),
          sort_(prepared.plan),
          mine_(prepared.plan.ranks[job.rank()]),
          plan_(mine_.one),
          partitioner_(partitioner),
          pattern_(prepared.options.pattern),
          maker_(sort_.format, job.rank() * kRecordNumbersPerRank),
          step_ns_(step_ns),
          record_bytes_(sort_.format.record_bytes) {
        // Alone, a step may have all cores that the shuffle's workers share, as far as the planned buffers go round.
        workers_ = std::min(std::max(1u, prepared.resources[job.rank()].cores),
                            plan_.distributors + plan_.logical_disk_distributors);
    }

    /// Each returns what a byte of records cost this rank, nothing where there is nothing to do. Collective.
    StepCost distribute(bool idle);
    /// @param exchange_id  the same on all ranks, another one each time.
    StepCost transport(std::uint64_t exchange_id);
    StepCost redistribute(bool idle);
    StepCost check(bool idle);

private:
    std::uint64_t message_payload() const {
        return (plan_.message_bytes - kHeaderBytes) / record_bytes_ * record_bytes_;
    }
    Coalescer::Options chain_options() const { return {mine_.partitions, 1, plan_.max_chunks, 0}; }
    static void drop(Coalescer& chains, Chain& chain) {
        while (chains.take(chain, false)) chain.chunks.clear();
    }
    StepCost run(unsigned workers, const std::function<void(unsigned)>& one_round, std::uint64_t round_bytes);
    std::vector<std::span<std::byte>> make_input();
    std::size_t that_fit(std::size_t wanted, std::uint64_t beside_bytes) const;
    void send_and_drop(Transport& transport, BufferPool& send, const std::vector<std::uint32_t>& destinations);

    JobContext& job_;
    Arena& arena_;
    const SortPlan& sort_;
    const RankPlan& mine_;
    const PhaseOnePlan& plan_;
    const Partitioner& partitioner_;
    const TrafficPattern& pattern_;
    RecordMaker maker_;
    std::uint64_t step_ns_;
    std::uint32_t record_bytes_;
    unsigned workers_ = 1;
};

/// Workers that repeat `one_round`, each of `round_bytes`, until the time is over; all ranks start together.
/// @param workers  0: this rank only waits for the others to start.
StepCost Steps::run(unsigned workers, const std::function<void(unsigned)>& one_round, std::uint64_t round_bytes) {
    std::vector<std::uint64_t> rounds(workers);
    std::uint64_t begin_ns = 0;
    Pipeline pipeline(job_.executor, job_.bind);
    for (unsigned i = 0; i < workers; ++i) {
        pipeline.add(StageKind::node_distributor, i, [&, i] {
            for (; job_.executor.now_ns() - begin_ns < step_ns_; ++rounds[i]) one_round(i);
        });
    }
    pipeline.on_change([this] { job_.doorbell.ring(); });
    job_.communicator.barrier_or_failure();
    begin_ns = job_.executor.now_ns();
    pipeline.start();
    make_network_loop(job_, pipeline).wait_for_workers();
    const std::uint64_t elapsed_ns = job_.executor.now_ns() - begin_ns;
    std::uint64_t cpu_ns = 0;
    for (const Worker& worker : pipeline.workers()) cpu_ns += worker.metrics->cpu_ns.get();
    return cost(std::accumulate(rounds.begin(), rounds.end(), std::uint64_t{0}) * round_bytes, cpu_ns, elapsed_ns);
}

/// As many message buffers as there is room for beside so many bytes: with rma the shuffle's own lay in its window.
std::size_t Steps::that_fit(std::size_t wanted, std::uint64_t beside_bytes) const {
    const std::uint64_t room = plan_.arena_bytes() - std::min(plan_.arena_bytes(), beside_bytes);
    return std::min<std::size_t>(wanted, room / plan_.message_bytes);
}

/// Filled read buffers, of the pattern.
std::vector<std::span<std::byte>> Steps::make_input() {
    std::vector<std::pair<std::uint64_t, std::uint64_t>> ranges;
    if (pattern_.kind != TrafficPattern::Kind::all_to_all) {
        for (const std::uint32_t to : destinations_of(pattern_, job_.rank(), job_.ranks()))
            ranges.push_back(*prefix_range_of(partitioner_, sort_.ownership, to));
    }
    const auto input = take_buffers(arena_, "read", plan_.read_buffers, plan_.read_bytes);
    for (const auto& buffer : input) maker_.fill(buffer, ranges);
    return input;
}

StepCost Steps::distribute(bool idle) {
    arena_.reset();
    const std::size_t peers = job_.ranks() - 1;
    // Nothing is received here, so there is room for more of them.
    const std::size_t sends = that_fit(plan_.send_buffers + plan_.receive_buffers,
                                       plan_.read_buffers * plan_.read_bytes + plan_.chunk_memory_bytes());
    const bool own_sends = peers > 0 && plan_.send_groups == 0;
    const auto workers =
        static_cast<unsigned>(own_sends ? std::clamp<std::size_t>(sends / peers, 1, workers_) : workers_);
    const auto input = make_input();
    BufferPool chunks = make_pool(job_, arena_, "chunks", plan_.chunks, plan_.chunk_bytes);
    BufferPool send = make_pool(job_, arena_, "send", sends, plan_.message_bytes);
    WorkQueue<Buffer> unused(job_.executor, 1, 1);
    WorkQueue<OutgoingBuffer> outgoing(job_.executor, std::max<std::size_t>(1, sends), workers);
    Coalescer chains(job_.executor, chunks, record_bytes_, chain_options(), workers);
    const auto drop_all = [&](Chain& chain) {
        drop(chains, chain);
        while (outgoing.try_pop()) {
        }
    };
    const auto make_room = [&] {
        Chain chain;
        drop_all(chain);
    };
    chunks.on_pressure(make_room);
    send.on_pressure(make_room);
    Doorbell nobody(job_.executor);
    NodeDistributor::Ports ports{unused, chunks, chains};
    if (peers > 0) {
        ports.send_buffers = &send;
        ports.output = &outgoing;
        ports.network = &nobody;
        ports.stream_messages = lends_memory(job_.config.net.transport, job_.place.hosts > 1);
    }
    std::vector<std::unique_ptr<SharedOpenBuffers>> shared;
    for (unsigned i = 0; i < plan_.send_groups; ++i)
        shared.push_back(
            std::make_unique<SharedOpenBuffers>(job_.executor, send, nullptr, record_bytes_, job_.ranks()));
    std::vector<std::unique_ptr<NodeDistributor>> distributors;
    std::vector<Chain> dropped(workers);
    std::vector<std::size_t> next(workers);
    for (unsigned i = 0; i < workers; ++i) {
        if (!shared.empty()) ports.shared = shared[i * shared.size() / workers].get();
        distributors.push_back(std::make_unique<NodeDistributor>(ports, sort_.format, partitioner_, sort_.ownership,
                                                                 job_.rank(), job_.config.run.verify));
        dropped[i].chunks.reserve(plan_.max_chunks);
        next[i] = i;
    }
    const std::size_t block = std::max<std::size_t>(1, 409'600 / record_bytes_) * record_bytes_;
    return run(
        idle ? 0 : workers,
        [&](unsigned i) {
            const auto records = input[next[i]++ % input.size()];
            for (std::size_t at = 0; at < records.size(); at += block) {
                distributors[i]->distribute(records.subspan(at, std::min(block, records.size() - at)));
                drop_all(dropped[i]);
            }
        },
        plan_.read_bytes);
}

StepCost Steps::redistribute(bool idle) {
    arena_.reset();
    const auto range = prefix_range_of(partitioner_, sort_.ownership, job_.rank());
    const bool works = !idle && range;
    const std::size_t receives = that_fit(plan_.receive_buffers, plan_.chunk_memory_bytes());
    BufferPool receive = make_pool(job_, arena_, "receive", receives, plan_.message_bytes);
    BufferPool chunks = make_pool(job_, arena_, "chunks", plan_.chunks, plan_.chunk_bytes);
    std::vector<ArrivedBuffer> arrived;
    while (auto buffer = works ? receive.try_take() : std::nullopt) {
        buffer->set_size(kHeaderBytes + message_payload());
        const auto records = buffer->storage().subspan(kHeaderBytes, message_payload());
        maker_.fill(records, std::span(&*range, 1));
        MessageHeader header;
        header.source = (job_.rank() + 1) % job_.ranks();
        header.destination = job_.rank();
        header.record_count = records.size() / record_bytes_;
        header.payload_crc32c = crc32c(records);
        arrived.push_back({header, std::move(*buffer)});
    }
    WorkQueue<ArrivedBuffer> unused(job_.executor, 1, 1);
    Coalescer chains(job_.executor, chunks, record_bytes_, chain_options(), workers_);
    chunks.on_pressure([&] {
        Chain chain;
        drop(chains, chain);
    });
    std::vector<std::unique_ptr<LogicalDiskDistributor>> distributors;
    std::vector<Chain> dropped(workers_);
    std::vector<std::size_t> next(workers_);
    for (unsigned i = 0; i < workers_; ++i) {
        distributors.push_back(std::make_unique<LogicalDiskDistributor>(
            LogicalDiskDistributor::Ports{unused, chunks, chains}, sort_.format, partitioner_, sort_.ownership,
            job_.rank(), job_.config.run.verify));
        distributors.back()->sum_sources();
        dropped[i].chunks.reserve(plan_.max_chunks);
        next[i] = i;
    }
    return run(
        works ? workers_ : 0,
        [&](unsigned i) {
            distributors[i]->distribute(arrived[next[i]++ % arrived.size()]);
            drop(chains, dropped[i]);
        },
        message_payload());
}

StepCost Steps::check(bool idle) {
    arena_.reset();
    const std::uint32_t partitions = mine_.partitions, first = sort_.ownership.first(job_.rank());
    const bool works = !idle && partitions > 0;
    const auto chunks = take_buffers(arena_, "chunks", plan_.chunks, plan_.chunk_bytes);
    for (std::size_t i = 0; works && i < chunks.size(); ++i) {
        const auto range = partitioner_.prefix_range(first + static_cast<std::uint32_t>(i % partitions));
        maker_.fill(chunks[i], std::span(&range, 1));
    }
    BufferPool unused_pool(job_.executor, "unused", {}, 0, 0);
    Coalescer unused(job_.executor, unused_pool, record_bytes_, chain_options(), 1);
    std::vector<std::unique_ptr<RecordSink>> sinks;
    std::vector<std::size_t> next(workers_);
    for (unsigned i = 0; i < workers_; ++i) {
        sinks.push_back(std::make_unique<RecordSink>(unused, sort_.format, partitioner_, first, plan_.max_chunks,
                                                     job_.config.run.verify));
        next[i] = i;
    }
    return run(
        works ? workers_ : 0,
        [&](unsigned i) {
            const std::size_t chunk = next[i]++ % chunks.size();
            sinks[i]->check(static_cast<std::uint32_t>(chunk % partitions), chunks[chunk]);
        },
        plan_.chunk_bytes);
}

StepCost Steps::transport(std::uint64_t exchange_id) {
    if (job_.ranks() == 1) return {};
    arena_.reset();
    BufferPool send = make_pool(job_, arena_, "send", plan_.send_buffers, plan_.message_bytes);
    const std::uint64_t receive_bytes = plan_.receive_buffers * plan_.message_bytes;
    const auto window = job_.make_window ? job_.make_window(receive_bytes) : nullptr;
    BufferPool receive(job_.executor, "receive",
                       window ? window->memory() : arena_.take(receive_bytes, kDirectIoAlign, "receive"),
                       plan_.message_bytes, plan_.receive_buffers);
    const auto transport = job_.make_transport(receive, exchange_id, window.get());
    job_.communicator.barrier_or_failure();
    const std::uint64_t begin_ns = job_.executor.now_ns(), begin_cpu_ns = thread_cpu_ns();
    send_and_drop(*transport, send, destinations_of(pattern_, job_.rank(), job_.ranks()));
    const std::uint64_t cpu_ns = thread_cpu_ns() - begin_cpu_ns, elapsed_ns = job_.executor.now_ns() - begin_ns;
    std::uint64_t sent_bytes = 0, received_bytes = 0;
    for (const PeerCounters& peer : transport->counters()) {
        sent_bytes += peer.sent_bytes;
        received_bytes += peer.received_bytes;
    }
    if (window) {
        job_.communicator.barrier_or_failure();
        window->close();
    }
    return cost(std::max(sent_bytes, received_bytes), cpu_ns, elapsed_ns);
}

/// Full buffers to each destination in turn, as credits allow, and whatever arrives straight back to its pool.
void Steps::send_and_drop(Transport& transport, BufferPool& send, const std::vector<std::uint32_t>& destinations) {
    const std::uint64_t begin_ns = job_.executor.now_ns();
    const auto drop = [](ArrivedBuffer) {};
    OutgoingBuffer held;
    std::size_t next = 0;
    bool finishing = false;
    while (!(finishing && transport.receiving_done() && transport.sending_done())) {
        throw_if_aborted(job_.communicator);
        bool moved = false;
        for (std::size_t tried = 0; !finishing && tried < destinations.size(); ++tried) {
            if (!held.buffer) {
                // A message made where it will be read needs no copy in the shuffle, so none is in its limit.
                auto buffer = transport.lend(destinations[next]);
                if (!buffer) buffer = send.try_take();
                if (!buffer) break;
                held.buffer = std::move(*buffer);
                held.buffer.set_size(kHeaderBytes + message_payload());
                const MessageHeader header;
                std::memcpy(held.buffer.storage().data(), &header, sizeof header);
            }
            held.destination = destinations[next];
            next = (next + 1) % destinations.size();
            moved |= transport.try_send(held, 1);
        }
        moved |= transport.progress(drop);
        if (!finishing && (destinations.empty() || job_.executor.now_ns() - begin_ns >= step_ns_)) {
            held.buffer = Buffer();
            transport.finish_sending();
            finishing = moved = true;
        }
        // Alone it need not leave the core to workers, only to other ranks; asleep it would see arrivals late.
        if (!moved) std::this_thread::yield();
    }
}

enum Step : std::size_t { kDistribute, kTransport, kRedistribute, kCheck, kSteps };

/// What one rank had to do in the shuffle, and what each step alone cost it, by round; as gathered from all ranks.
struct RankSteps {
    std::string host;
    std::vector<unsigned> cores;  // their numbers; empty: only how many is known
    unsigned core_count = 1;
    std::array<std::uint64_t, kSteps> bytes{};
    std::array<std::array<StepCost, kSteps>, kRounds> cost{};
    static constexpr auto fields =
        std::tuple{&RankSteps::host, &RankSteps::cores, &RankSteps::core_count, &RankSteps::bytes, &RankSteps::cost};
};

/// The cores that these ranks of one host may use together.
double cores_of_host(const std::vector<const RankSteps*>& ranks) {
    std::set<unsigned> cores;
    std::size_t counted = 0;
    bool numbered = true;
    for (const RankSteps* rank : ranks) {
        cores.insert(rank->cores.begin(), rank->cores.end());
        counted += rank->core_count;
        numbered = numbered && !rank->cores.empty();
    }
    return static_cast<double>(std::max<std::size_t>(1, numbered ? cores.size() : counted));
}

/// The shortest round of each step, for all that the ranks of this host had to do.
ShuffleStepTimes times_of_host(const std::vector<const RankSteps*>& ranks, bool links) {
    const double cores = cores_of_host(ranks);
    std::array<double, kSteps> times{};
    for (std::size_t step = 0; step < kSteps; ++step) {
        for (unsigned round = 0; round < kRounds; ++round) {
            double cpu_s = 0, wall_s = 0;
            for (const RankSteps* rank : ranks) {
                const auto bytes = static_cast<double>(rank->bytes[step]);
                cpu_s += bytes * rank->cost[round][step].cpu_s;
                wall_s = std::max(wall_s, bytes * rank->cost[round][step].wall_s);
            }
            const double time_s = std::max(cpu_s / cores, links && step == kTransport ? wall_s : 0);
            times[step] = round == 0 ? time_s : std::min(times[step], time_s);
        }
    }
    return {times[kDistribute], times[kTransport], times[kRedistribute], times[kCheck]};
}

}  // namespace

double ShuffleLimit::rate_mb_per_s(double ShuffleStepTimes::*step) const {
    double longest_s = 0;
    for (const ShuffleStepTimes& host : hosts) longest_s = std::max(longest_s, host.*step);
    return longest_s > 0 ? static_cast<double>(bytes) / 1e6 / longest_s : 0;
}

double ShuffleLimit::mb_per_s() const {
    double longest_s = 0;
    for (const ShuffleStepTimes& host : hosts) longest_s = std::max(longest_s, host.sum_s());
    return longest_s > 0 ? static_cast<double>(bytes) / 1e6 / longest_s : 0;
}

ShuffleLimit measure_shuffle_limit(JobContext& job, const PreparedShuffle& prepared, const ShuffleResult& result,
                                   std::uint64_t step_ns) {
    const std::uint32_t rank = job.rank();
    const std::uint64_t record_bytes = prepared.plan.format.record_bytes;
    std::uint64_t made = 0, sent = 0, received = 0;
    for (std::uint32_t other = 0; other < job.ranks(); ++other) {
        made += result.made[other].count * record_bytes;
        sent += other == rank ? 0 : result.made[other].count * record_bytes;
        received += other == rank ? 0 : result.received[other].count * record_bytes;
    }
    const std::uint64_t all = sum_over_ranks(job.communicator, made);
    const std::uint64_t dropped = made - sent + received;
    const auto arena = job.make_arena(prepared.plan.ranks[rank].one.arena_bytes() + kMiB);
    wait_until_touched(job, *arena);
    arena->finish_touching();
    const auto partitioner = make_uniform_partitioner(prepared.plan.format, prepared.plan.ownership.partitions());
    // An id of its own, so that late words of the shuffle's exchange are told apart.
    const std::uint64_t exchange_id = std::stoull(make_run_id(job).substr(16), nullptr, 16);
    Steps steps(job, *arena, prepared, *partitioner, step_ns / kRounds);
    // Rounds, of which the best counts: what else the machine does slows one step of one round, not the light.
    RankSteps mine{job.place.host,
                   job.place.cores,
                   prepared.resources[rank].cores,
                   {made, std::max(sent, received), received, dropped},
                   {}};
    for (unsigned round = 0; round < kRounds; ++round) {
        mine.cost[round] = {steps.distribute(made == 0), steps.transport(exchange_id + round),
                            job.ranks() > 1 ? steps.redistribute(received == 0) : StepCost{},
                            steps.check(dropped == 0)};
    }
    const auto ranks = all_gather(job.communicator, mine);
    ShuffleLimit limit;
    limit.bytes = all;
    std::map<std::string, std::vector<const RankSteps*>> hosts;
    for (const RankSteps& one : ranks) hosts[one.host].push_back(&one);
    for (const auto& [name, on_it] : hosts) limit.hosts.push_back(times_of_host(on_it, hosts.size() > 1));
    return limit;
}

}  // namespace sluice
