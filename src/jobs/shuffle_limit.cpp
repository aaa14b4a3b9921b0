#include "jobs/shuffle_limit.hpp"

#include <algorithm>
#include <cstring>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "jobs/cluster.hpp"
#include "record/crc32c.hpp"
#include "runtime/units.hpp"
#include "stages/record_sink.hpp"
#include "stages/record_source.hpp"

namespace sluice {
namespace {

/// A pool of the plan's, whose buffers keep what was once written to them: made ready before, handed round during a
/// step.
class FilledPool {
public:
    /// @param fill  gets the number and the memory of each buffer, once.
    FilledPool(JobContext& job, Arena& arena, const char* name, std::size_t count, std::uint64_t bytes,
               const std::function<void(std::size_t, std::span<std::byte>)>& fill)
        : memory_(arena.take(count * bytes, kDirectIoAlign, name)), pool_(job.executor, name, memory_, bytes, count) {
        for (std::size_t i = 0; i < count; ++i) fill(i, memory_.subspan(i * bytes, bytes));
    }
    BufferPool& pool() noexcept { return pool_; }
    std::size_t index_of(const Buffer& buffer) const {
        return static_cast<std::size_t>(buffer.data().data() - memory_.data()) / pool_.buffer_bytes();
    }

private:
    std::span<std::byte> memory_;
    BufferPool pool_;
};

void fill_nothing(std::size_t, std::span<std::byte>) {}

/// The four steps of one rank. Each is given its pools from the start of the same arena.
class Steps {
public:
    Steps(JobContext& job, Arena& arena, const PreparedShuffle& prepared, const Partitioner& partitioner,
          std::uint64_t exchange_id, std::uint64_t step_ns)
        : job_(job),
          arena_(arena),
          sort_(prepared.plan),
          mine_(prepared.plan.ranks[job.rank()]),
          plan_(mine_.one),
          partitioner_(partitioner),
          pattern_(prepared.options.pattern),
          exchange_id_(exchange_id),
          step_ns_(step_ns),
          record_bytes_(sort_.format.record_bytes) {
        // Alone, a step may have all cores that the shuffle's workers share, as far as the planned buffers go round.
        workers_ = std::min(std::max(1u, prepared.resources[job.rank()].cores),
                            plan_.distributors + plan_.logical_disk_distributors);
    }

    /// Each returns bytes of records per second on this rank, 0 where there is nothing to do. Collective.
    double distribute(bool idle);
    double transport();
    double redistribute(bool idle);
    double check(bool idle);

private:
    std::uint64_t message_payload() const {
        return (plan_.message_bytes - kHeaderBytes) / record_bytes_ * record_bytes_;
    }
    Coalescer::Options chain_options() const { return {mine_.partitions, 1, plan_.max_chunks, 0}; }
    bool over(std::uint64_t begin_ns) const { return job_.executor.now_ns() - begin_ns >= step_ns_; }
    void drop_chains(Coalescer& chains) const {
        Chain chain;
        chain.chunks.reserve(plan_.max_chunks);
        while (chains.take(chain, true)) chain.chunks.clear();
    }
    double run(Pipeline& pipeline, const std::function<std::uint64_t()>& bytes_done);
    void send_and_drop(Transport& transport, BufferPool& send, const std::vector<std::uint32_t>& destinations);

    JobContext& job_;
    Arena& arena_;
    const SortPlan& sort_;
    const RankPlan& mine_;
    const PhaseOnePlan& plan_;
    const Partitioner& partitioner_;
    const TrafficPattern& pattern_;
    std::uint64_t exchange_id_, step_ns_;
    std::uint32_t record_bytes_;
    unsigned workers_ = 1;
};

/// Starts with all ranks, waits for this rank's workers.
double Steps::run(Pipeline& pipeline, const std::function<std::uint64_t()>& bytes_done) {
    pipeline.on_change([this] { job_.doorbell.ring(); });
    job_.communicator.barrier_or_failure();
    const std::uint64_t begin_ns = job_.executor.now_ns();
    pipeline.start();
    NetworkLoop(job_.communicator, pipeline, job_.doorbell, job_.backoff, job_.executor.seeded() != nullptr)
        .wait_for_workers();
    const double elapsed_s = static_cast<double>(job_.executor.now_ns() - begin_ns) * 1e-9;
    return static_cast<double>(bytes_done()) / std::max(1e-9, elapsed_s);
}

double Steps::distribute(bool idle) {
    arena_.reset();
    const std::size_t peers = job_.ranks() - 1;
    const std::size_t sends = plan_.send_buffers + plan_.receive_buffers;  // nothing is received here
    const auto workers =
        static_cast<unsigned>(peers == 0 ? workers_ : std::clamp<std::size_t>(sends / peers, 1, workers_));
    FilledPool read(job_, arena_, "read", plan_.read_buffers, plan_.read_bytes, fill_nothing);
    FilledPool chunks(job_, arena_, "chunks", plan_.chunks, plan_.chunk_bytes, fill_nothing);
    std::optional<FilledPool> send;
    if (peers > 0) send.emplace(job_, arena_, "send", sends, plan_.message_bytes, fill_nothing);
    WorkQueue<Buffer> input(job_.executor, plan_.read_buffers, 1);
    WorkQueue<OutgoingBuffer> outgoing(job_.executor, std::max<std::size_t>(1, sends), workers);
    Coalescer chains(job_.executor, chunks.pool(), record_bytes_, chain_options(), workers);
    chunks.pool().on_pressure([&] { chains.look_again(); });
    Doorbell nobody(job_.executor);

    RecordSource::Options options;
    options.first_record = job_.rank() * kRecordNumbersPerRank;
    options.duration_ns = step_ns_;
    options.idle = idle;
    options.sum = false;
    if (pattern_.kind != TrafficPattern::Kind::all_to_all)
        options.destinations = destinations_of(pattern_, job_.rank(), job_.ranks());
    RecordSource source(job_.executor, sort_.format, partitioner_, sort_.ownership, options, read.pool(), input);
    source.prepare();
    NodeDistributor::Ports ports{input, chunks.pool(), chains};
    if (peers > 0) {
        ports.send_buffers = &send->pool();
        ports.output = &outgoing;
        ports.network = &nobody;
    }
    std::vector<std::unique_ptr<NodeDistributor>> distributors;
    Pipeline pipeline(job_.executor, job_.bind);
    pipeline.add("source", 0, [&] { source.run(); });
    for (unsigned i = 0; i < workers; ++i) {
        distributors.push_back(std::make_unique<NodeDistributor>(ports, sort_.format, partitioner_, sort_.ownership,
                                                                 job_.rank(), job_.config.run.verify));
        pipeline.add("distributor", i, [&distributor = *distributors.back()] { distributor.run(); });
    }
    pipeline.add("sink", 0, [&] { drop_chains(chains); });
    if (peers > 0) {
        pipeline.add("sink", 1, [&] {
            while (outgoing.pop()) {
            }
        });
        pipeline.guard(send->pool());
    }
    pipeline.guard(input);
    pipeline.guard(outgoing);
    pipeline.guard(chains);
    pipeline.guard(read.pool());
    pipeline.guard(chunks.pool());
    return run(pipeline, [&] {
        std::uint64_t records = 0;
        for (const auto& distributor : distributors) records += distributor->input_sum().count;
        return records * record_bytes_;
    });
}

double Steps::redistribute(bool idle) {
    arena_.reset();
    RecordMaker maker(sort_.format, job_.rank() * kRecordNumbersPerRank);
    const auto range = prefix_range_of(partitioner_, sort_.ownership, job_.rank());
    std::vector<MessageHeader> headers(plan_.receive_buffers);
    FilledPool receive(job_, arena_, "receive", plan_.receive_buffers, plan_.message_bytes,
                       [&](std::size_t i, std::span<std::byte> memory) {
                           if (!range) return;
                           const auto records = memory.subspan(kHeaderBytes, message_payload());
                           maker.fill(records, std::span(&*range, 1));
                           headers[i].source = (job_.rank() + 1) % job_.ranks();
                           headers[i].destination = job_.rank();
                           headers[i].record_count = records.size() / record_bytes_;
                           headers[i].payload_crc32c = crc32c(records);
                       });
    FilledPool chunks(job_, arena_, "chunks", plan_.chunks, plan_.chunk_bytes, fill_nothing);
    WorkQueue<ArrivedBuffer> arrived(job_.executor, plan_.receive_buffers, 1);
    Coalescer chains(job_.executor, chunks.pool(), record_bytes_, chain_options(), workers_);
    chunks.pool().on_pressure([&] { chains.look_again(); });
    std::vector<std::unique_ptr<LogicalDiskDistributor>> distributors;
    std::uint64_t bytes = 0;
    Pipeline pipeline(job_.executor, job_.bind);
    pipeline.add("receiver", 0, [&] {
        for (const std::uint64_t begin_ns = job_.executor.now_ns(); !idle && range && !over(begin_ns);) {
            Buffer buffer = receive.pool().take();
            buffer.set_size(kHeaderBytes + message_payload());
            bytes += message_payload();
            const MessageHeader& header = headers[receive.index_of(buffer)];
            arrived.push({header, std::move(buffer)});
        }
        arrived.producer_done();
    });
    for (unsigned i = 0; i < workers_; ++i) {
        distributors.push_back(std::make_unique<LogicalDiskDistributor>(arrived, chunks.pool(), chains, sort_.format,
                                                                        partitioner_, sort_.ownership, job_.rank(),
                                                                        job_.config.run.verify));
        distributors.back()->sum_sources();
        pipeline.add("logical-disk-distributor", i, [&distributor = *distributors.back()] { distributor.run(); });
    }
    pipeline.add("sink", 0, [&] { drop_chains(chains); });
    pipeline.guard(arrived);
    pipeline.guard(chains);
    pipeline.guard(receive.pool());
    pipeline.guard(chunks.pool());
    return run(pipeline, [&] { return bytes; });
}

double Steps::check(bool idle) {
    arena_.reset();
    RecordMaker maker(sort_.format, job_.rank() * kRecordNumbersPerRank);
    const std::uint32_t partitions = mine_.partitions, first = sort_.ownership.first(job_.rank());
    const std::uint64_t chunk_records = plan_.chunk_bytes / record_bytes_ * record_bytes_;
    FilledPool chunks(
        job_, arena_, "chunks", plan_.chunks, plan_.chunk_bytes, [&](std::size_t i, std::span<std::byte> memory) {
            if (partitions == 0) return;
            const auto range = partitioner_.prefix_range(first + static_cast<std::uint32_t>(i % partitions));
            maker.fill(memory.first(chunk_records), std::span(&range, 1));
        });
    Coalescer chains(job_.executor, chunks.pool(), record_bytes_, chain_options(), 1);
    std::vector<std::unique_ptr<RecordSink>> sinks;
    std::uint64_t bytes = 0;
    Pipeline pipeline(job_.executor, job_.bind);
    pipeline.add("source", 0, [&] {
        for (const std::uint64_t begin_ns = job_.executor.now_ns(); !idle && partitions > 0 && !over(begin_ns);) {
            Buffer chunk = chunks.pool().take();
            chunk.set_size(chunk_records);
            bytes += chunk_records;
            const auto partition = static_cast<std::uint32_t>(chunks.index_of(chunk) % partitions);
            chains.add(partition, std::move(chunk));
        }
        chains.producer_done();
    });
    for (unsigned i = 0; i < workers_; ++i) {
        sinks.push_back(std::make_unique<RecordSink>(chains, sort_.format, partitioner_, first, plan_.max_chunks,
                                                     job_.config.run.verify));
        pipeline.add("sink", i, [&sink = *sinks.back()] { sink.run(); });
    }
    pipeline.guard(chains);
    pipeline.guard(chunks.pool());
    return run(pipeline, [&] { return bytes; });
}

double Steps::transport() {
    if (job_.ranks() == 1) return 0;
    arena_.reset();
    FilledPool send(job_, arena_, "send", plan_.send_buffers, plan_.message_bytes, fill_nothing);
    FilledPool receive(job_, arena_, "receive", plan_.receive_buffers, plan_.message_bytes, fill_nothing);
    const auto transport = job_.make_transport(receive.pool(), exchange_id_);
    job_.communicator.barrier_or_failure();
    const std::uint64_t begin_ns = job_.executor.now_ns();
    send_and_drop(*transport, send.pool(), destinations_of(pattern_, job_.rank(), job_.ranks()));
    const double elapsed_s = static_cast<double>(job_.executor.now_ns() - begin_ns) * 1e-9;
    std::uint64_t sent_bytes = 0, received_bytes = 0;
    for (const PeerCounters& peer : transport->counters()) {
        sent_bytes += peer.sent_bytes;
        received_bytes += peer.received_bytes;
    }
    return static_cast<double>(std::max(sent_bytes, received_bytes)) / std::max(1e-9, elapsed_s);
}

/// Full buffers to each destination in turn, as credits allow, and whatever arrives straight back to its pool.
void Steps::send_and_drop(Transport& transport, BufferPool& send, const std::vector<std::uint32_t>& destinations) {
    const std::uint64_t begin_ns = job_.executor.now_ns();
    const auto drop = [](ArrivedBuffer) {};
    OutgoingBuffer held;
    std::size_t next = 0;
    bool finishing = false;
    IdleBackoff backoff = job_.backoff;
    while (!(finishing && transport.receiving_done() && transport.sending_done())) {
        if (const auto failure = job_.communicator.poll_failure()) {
            throw Error(static_cast<Errc>(failure->exit_code),
                        "aborted because of rank " + std::to_string(failure->rank) + ": " + failure->message);
        }
        bool moved = false;
        for (std::size_t tried = 0; !finishing && tried < destinations.size(); ++tried) {
            if (!held.buffer) {
                auto buffer = send.try_take();
                if (!buffer) break;
                held.buffer = std::move(*buffer);
                held.buffer.set_size(kHeaderBytes + message_payload());
                const MessageHeader header;
                std::memcpy(held.buffer.storage().data(), &header, sizeof header);
            }
            held.destination = destinations[next];
            next = (next + 1) % destinations.size();
            transport.set_backlog(held.destination, 1);
            moved |= transport.try_send(held);
        }
        moved |= transport.progress(drop);
        if (!finishing && (destinations.empty() || over(begin_ns))) {
            held.buffer = Buffer();
            transport.finish_sending();
            finishing = moved = true;
        }
        if (moved) {
            backoff.did_something();
        } else if (job_.executor.seeded() != nullptr) {
            job_.doorbell.wait();
        } else {
            backoff.idle(job_.doorbell);
        }
    }
}

double seconds_for(std::uint64_t bytes, double bytes_per_s) {
    return bytes == 0 ? 0 : static_cast<double>(bytes) / std::max(1.0, bytes_per_s);
}

}  // namespace

double ShuffleLimit::rate_mb_per_s(double ShuffleStepTimes::*step) const {
    double longest_s = 0;
    for (const ShuffleStepTimes& rank : ranks) longest_s = std::max(longest_s, rank.*step);
    return longest_s > 0 ? static_cast<double>(bytes) / 1e6 / longest_s : 0;
}

double ShuffleLimit::mb_per_s() const {
    double longest_s = 0;
    for (const ShuffleStepTimes& rank : ranks) longest_s = std::max(longest_s, rank.sum_s());
    return longest_s > 0 ? static_cast<double>(bytes) / 1e6 / longest_s : 0;
}

ShuffleLimit measure_shuffle_limit(JobContext& job, const PreparedShuffle& prepared, const ShuffleResult& result,
                                   std::uint64_t step_ns) {
    const std::uint32_t rank = job.rank();
    const std::uint64_t record_bytes = prepared.plan.format.record_bytes;
    std::uint64_t made = 0, sent = 0, received = 0, all = 0;
    for (std::uint32_t from = 0; from < job.ranks(); ++from) {
        for (std::uint32_t to = 0; to < job.ranks(); ++to) {
            const std::uint64_t bytes = result.pairs[from][to].count * record_bytes;
            all += bytes;
            if (from == rank) made += bytes;
            if (from == rank && to != rank) sent += bytes;
            if (to == rank && from != rank) received += bytes;
        }
    }
    const std::uint64_t dropped = made - sent + received;
    const auto arena = job.make_arena(prepared.plan.ranks[rank].one.memory_bytes() + kMiB);
    arena->page_kind();  // all memory is touched
    const auto partitioner = make_uniform_partitioner(prepared.plan.format, prepared.plan.ownership.partitions());
    // An id of its own, so that late words of the shuffle's exchange are told apart.
    const std::uint64_t exchange_id = std::stoull(make_run_id(job).substr(16), nullptr, 16);
    Steps steps(job, *arena, prepared, *partitioner, exchange_id, step_ns);
    ShuffleStepTimes mine;
    mine.distribute_s = seconds_for(made, steps.distribute(made == 0));
    mine.transport_s = seconds_for(std::max(sent, received), steps.transport());
    if (job.ranks() > 1) mine.redistribute_s = seconds_for(received, steps.redistribute(received == 0));
    mine.check_s = seconds_for(dropped, steps.check(dropped == 0));

    ShuffleLimit limit;
    limit.bytes = all;
    const nlohmann::json row = {mine.distribute_s, mine.transport_s, mine.redistribute_s, mine.check_s};
    for (const std::string& text : job.communicator.all_gather(row.dump())) {
        const auto times = nlohmann::json::parse(text);
        limit.ranks.push_back({times[0], times[1], times[2], times[3]});
    }
    return limit;
}

}  // namespace sluice
