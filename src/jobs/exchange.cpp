#include "jobs/exchange.hpp"

#include <algorithm>

#include "runtime/units.hpp"

namespace sluice {

Exchange::Pools::Pools(JobContext& job, Arena& arena, const PhaseOnePlan& plan, const Options& options)
    : read(job.executor, "read", arena.take(plan.read_buffers * plan.read_bytes, kDirectIoAlign, "read"),
           plan.read_bytes, plan.read_buffers),
      own_chunks(options.chunks != nullptr
                     ? nullptr
                     : std::make_unique<BufferPool>(job.executor, "chunks",
                                                    arena.take(plan.chunk_memory_bytes(), kDirectIoAlign, "chunks"),
                                                    plan.chunk_bytes, plan.chunks)),
      chunks(options.chunks != nullptr ? *options.chunks : *own_chunks) {
    if (plan.send_buffers == 0 || options.mutant.one_shared_pool) return;
    const auto make = [&](const char* name, std::span<std::byte> memory, std::size_t count) {
        return std::make_unique<BufferPool>(job.executor, name, memory, plan.message_bytes, count);
    };
    send = make("send", arena.take(plan.send_buffers * plan.message_bytes, kDirectIoAlign, "send"), plan.send_buffers);
    const std::uint64_t receive_bytes = plan.receive_buffers * plan.message_bytes;
    if (job.make_window) window = job.make_window(receive_bytes);
    receive = make("receive", window ? window->memory() : arena.take(receive_bytes, kDirectIoAlign, "receive"),
                   plan.receive_buffers);
}

namespace {

/// Slots that the peers of `rank` have for it, all of which it may have filled at one time.
std::size_t slots_of_peers(const SortPlan& sort, std::uint32_t rank) {
    std::size_t slots = 0;
    for (std::uint32_t peer = 0; peer < sort.ranks.size(); ++peer) {
        if (peer != rank) slots += sort.ranks[peer].one.receive_buffers / (sort.ranks.size() - 1);
    }
    return slots;
}

}  // namespace

Exchange::Exchange(JobContext& job, Arena& arena, const RankPlan& plan, const SortPlan& sort,
                   const Partitioner& partitioner, Options options)
    : job_(job),
      plan_(plan.one),
      options_(std::move(options)),
      arena_(arena),
      pools_(job, arena, plan.one, options_),
      lendable_(pools_.window && pools_.window->direct() ? slots_of_peers(sort, job.rank()) : 0),
      input_(job.executor, plan.one.read_buffers, options_.producers),
      outgoing_(job.executor, std::max<std::size_t>(1, shared_or(plan.one.send_buffers) + lendable_),
                plan.one.distributors),
      arrived_(job.executor, std::max<std::size_t>(1, shared_or(plan.one.receive_buffers)), 1),
      chains_(job.executor, pools_.chunks, sort.format.record_bytes,
              {plan.partitions, plan.one.target_chunks, plan.one.max_chunks, plan.one.low_water_chunks,
               options_.mutant.ignore_waiting_distributors},
              plan.one.distributors + plan.one.logical_disk_distributors),
      pressure_(pools_.chunks, [this] {
          if (options_.on_pressure) options_.on_pressure();
          chains_.look_again();
      }) {
    NodeDistributor::Ports ports{input_, pools_.chunks, chains_};
    ports.sources = options_.sources;
    if (job.ranks() > 1) {
        BufferPool& receive = options_.mutant.one_shared_pool ? pools_.chunks : *pools_.receive;
        receive.on_return([this] { job_.doorbell.ring(); });  // a free receive buffer is a credit to grant
        ports.send_buffers = options_.mutant.one_shared_pool ? &pools_.chunks : pools_.send.get();
        ports.output = &outgoing_;
        ports.network = &job_.doorbell;
        transport_ = job.make_transport(receive, options_.run_id, pools_.window.get());
        ports.lender = transport_.get();
        sender_ = std::make_unique<Sender>(outgoing_, *transport_, job.rank(), job.ranks(),
                                           shared_or(plan_.send_buffers) + lendable_);
        receiver_ = std::make_unique<Receiver>(arrived_, *transport_, [this] {
            if (first_arrival_) first_arrival_();
        });
    }
    const bool verify = job.config.run.verify;
    for (unsigned i = 0; i < plan_.send_groups; ++i) {
        shared_.push_back(std::make_unique<SharedOpenBuffers>(job.executor, *ports.send_buffers, ports.lender,
                                                              sort.format.record_bytes, job.ranks()));
    }
    for (unsigned i = 0; i < plan_.distributors; ++i) {
        ports.shared = shared_.empty() ? nullptr : shared_[plan_.send_group(i)].get();
        distributors_.push_back(
            std::make_unique<NodeDistributor>(ports, sort.format, partitioner, sort.ownership, job.rank(), verify));
    }
    for (unsigned i = 0; i < plan_.logical_disk_distributors; ++i) {
        logical_distributors_.push_back(
            std::make_unique<LogicalDiskDistributor>(LogicalDiskDistributor::Ports{arrived_, pools_.chunks, chains_},
                                                     sort.format, partitioner, sort.ownership, job.rank(), verify));
        if (options_.sum_sources) logical_distributors_.back()->sum_sources();
    }
}

void Exchange::add_workers(Pipeline& pipeline) {
    unsigned index = 0;
    for (auto& distributor : distributors_)
        pipeline.add(StageKind::node_distributor, index++, [&distributor] { distributor->run(); });
    index = 0;
    for (auto& distributor : logical_distributors_)
        pipeline.add(StageKind::logical_disk_distributor, index++, [&distributor] { distributor->run(); });
    pipeline.guard(input_);
    pipeline.guard(outgoing_);
    pipeline.guard(arrived_);
    pipeline.guard(chains_);
    for (auto& shared : shared_) pipeline.guard(*shared);
    pipeline.guard(pools_.read);
    pipeline.guard(pools_.chunks);
    if (pools_.send) {
        pipeline.guard(*pools_.send);
        pipeline.guard(*pools_.receive);
    }
    pipeline.on_change([this] { job_.doorbell.ring(); });
}

void Exchange::run(Pipeline& pipeline, const std::function<void()>& first_arrival) {
    begin_ns_ = job_.executor.now_ns();
    first_arrival_ = first_arrival;
    NetworkLoop network = make_network_loop(job_, pipeline);
    pipeline.start();
    arena_.touch_rest();  // from here on nobody allocates
    if (transport_) {
        network.exchange(*sender_, *receiver_, *transport_, job_.executor);
    }
    network.wait_for_workers();
    if (pools_.window) {
        job_.communicator.barrier_or_failure();  // closing waits for all ranks, and not as patiently
        pools_.window->close();
    }
}

RecordSum Exchange::input_sum() const {
    RecordSum sum;
    for (const auto& distributor : distributors_) sum += distributor->input_sum();
    return sum;
}

std::vector<PeerCounters> Exchange::peers() const {
    return transport_ ? transport_->counters() : std::vector<PeerCounters>{};
}

std::vector<RecordSum> Exchange::received() const {
    std::vector<RecordSum> sums(job_.ranks());
    for (const auto& distributor : logical_distributors_) {
        for (std::size_t source = 0; source < distributor->received().size(); ++source)
            sums[source] += distributor->received()[source];
    }
    return sums;
}

bool Exchange::anything_arrived() const { return receiver_ && receiver_->metrics().units.get() > 0; }

void Exchange::add_reports(PhaseReport& report) const {
    if (!transport_) return;
    // Where the data passes them: behind the node distributor.
    auto at = std::find_if(report.stages.begin(), report.stages.end(),
                           [](const StageReport& stage) { return stage.stage == StageKind::node_distributor; });
    if (at != report.stages.end()) ++at;
    at = report.stages.insert(at, report_metrics(StageKind::sender, sender_->metrics(), begin_ns_));
    report.stages.insert(at + 1, report_metrics(StageKind::receiver, receiver_->metrics(), begin_ns_));
}

}  // namespace sluice
