#include "jobs/phase_one.hpp"

#include <algorithm>
#include <memory>

#include "runtime/machine.hpp"
#include "stages/coalescer.hpp"
#include "stages/log_writer.hpp"
#include "stages/logical_disk_distributor.hpp"
#include "stages/network.hpp"
#include "stages/node_distributor.hpp"

namespace sluice {
namespace {

/// The pools of the phase, one a role (DESIGN.md chapter 6), so that no schedule can deadlock.
struct Pools {
    Pools(Executor& executor, Arena& arena, const PhaseOnePlan& plan, bool shared)
        : read(executor, "read", arena.take(plan.read_buffers * plan.read_bytes, kDirectIoAlign, "read"),
               plan.read_bytes, plan.read_buffers),
          chunks(executor, "chunks", arena.take(plan.chunks * plan.chunk_bytes, kDirectIoAlign, "chunks"),
                 plan.chunk_bytes, plan.chunks) {
        if (plan.send_buffers == 0 || shared) return;
        const auto make = [&](const char* name, std::size_t count) {
            return std::make_unique<BufferPool>(executor, name,
                                                arena.take(count * plan.message_bytes, kDirectIoAlign, name),
                                                plan.message_bytes, count);
        };
        send = make("send", plan.send_buffers);
        receive = make("receive", plan.receive_buffers);
    }
    BufferPool read, chunks;
    std::unique_ptr<BufferPool> send, receive;  // absent with one rank
};

/// The stages between the pools. With one rank there is no network: its queue and stages stay empty.
class PhaseOne {
public:
    PhaseOne(JobContext& job, Arena& arena, const RankPlan& plan, const SortPlan& sort, const Partitioner& partitioner,
             const PhaseOneInput& input, ExtentIndex& index)
        : job_(job),
          plan_(plan.one),
          sort_(sort),
          partitioner_(partitioner),
          input_(input),
          index_(index),
          pools_(job.executor, arena, plan.one, input.mutant.one_shared_pool),
          read_queue_(job.executor, plan.one.read_buffers, input.ranges_by_reader.size()),
          send_queue_(job.executor, std::max<std::size_t>(1, shared_or(plan.one.send_buffers)), plan.one.distributors),
          arrived_queue_(job.executor, std::max<std::size_t>(1, shared_or(plan.one.receive_buffers)), 1),
          chains_(job.executor, pools_.chunks, sort.format.record_bytes,
                  {plan.partitions, plan.one.target_chunks, plan.one.max_chunks, plan.one.low_water_chunks,
                   input.mutant.ignore_waiting_distributors},
                  plan.one.distributors + plan.one.logical_disk_distributors),
          pipeline_(job.executor, job.bind) {
        pools_.chunks.on_pressure([this] { chains_.look_again(); });
        create_stages();
        connect();
    }

    PhaseOneResult run(LiveCounters& live) {
        const std::uint64_t begin_ns = job_.executor.now_ns();
        const ProcessIo kernel_before = read_process_io();
        std::unique_ptr<Sender> sender;
        std::unique_ptr<Receiver> receiver;
        std::unique_ptr<Transport> transport;
        if (job_.ranks() > 1) {
            transport =
                job_.make_transport(input_.mutant.one_shared_pool ? pools_.chunks : *pools_.receive, input_.run_id);
            sender = std::make_unique<Sender>(send_queue_, *transport, job_.rank(), job_.ranks(),
                                              shared_or(plan_.send_buffers));
            receiver = std::make_unique<Receiver>(arrived_queue_, *transport,
                                                  [this] { first_arrival_input_bytes_ = input_bytes_read(); });
        }
        const LivePhase shown(live, "phase one", pipeline_, goal_bytes(), sender ? &sender->metrics() : nullptr);
        NetworkLoop network(job_.communicator, pipeline_, job_.doorbell, job_.backoff, rings());
        pipeline_.start();
        if (transport) {
            sender->metrics().start_ns.set(begin_ns);
            receiver->metrics().start_ns.set(begin_ns);
            network.exchange(*sender, *receiver, *transport);
            sender->metrics().end_ns.set(job_.executor.now_ns());
            receiver->metrics().end_ns.set(job_.executor.now_ns());
        }
        network.wait_for_workers();
        return result(begin_ns, kernel_before, sender.get(), receiver.get(), transport.get());
    }

private:
    // The mutant draws all roles from the chunk pool, so any of its queues may have to hold all of it.
    std::size_t shared_or(std::size_t count) const { return input_.mutant.one_shared_pool ? plan_.chunks : count; }
    bool rings() const { return job_.executor.seeded() != nullptr; }

    std::uint64_t input_bytes_read() const {
        std::uint64_t bytes = 0;
        for (const Worker& worker : pipeline_.workers())
            bytes += worker.stage == "reader" ? worker.metrics->input_bytes.get() : 0;
        return bytes;
    }
    std::uint64_t goal_bytes() const {
        std::uint64_t bytes = 0;
        for (const auto& ranges : input_.ranges_by_reader) {
            for (const ReadRange& range : ranges) bytes += range.bytes;
        }
        return bytes;
    }

    void create_stages() {
        for (const auto& ranges : input_.ranges_by_reader) {
            readers_.push_back(std::make_unique<Reader>(job_.io, ranges, plan_.read_depth, pools_.read, read_queue_));
        }
        NodeDistributor::Ports ports{read_queue_, pools_.chunks, chains_};
        if (job_.ranks() > 1) {
            ports.send_buffers = input_.mutant.one_shared_pool ? &pools_.chunks : pools_.send.get();
            ports.output = &send_queue_;
            ports.network = &job_.doorbell;
        }
        const bool verify = job_.config.run.verify;
        for (unsigned i = 0; i < plan_.distributors; ++i) {
            distributors_.push_back(std::make_unique<NodeDistributor>(ports, sort_.format, partitioner_,
                                                                      sort_.ownership, job_.rank(), verify));
        }
        for (unsigned i = 0; i < plan_.logical_disk_distributors; ++i) {
            logical_distributors_.push_back(
                std::make_unique<LogicalDiskDistributor>(arrived_queue_, pools_.chunks, chains_, sort_.format,
                                                         partitioner_, sort_.ownership, job_.rank(), verify));
        }
        for (std::uint32_t disk = 0; disk < input_.logs.size(); ++disk) {
            writers_.push_back(std::make_unique<LogWriter>(job_.io, *input_.logs[disk], *input_.log_space[disk], index_,
                                                           disk, plan_.write_depth, plan_.max_chunks, chains_));
        }
    }

    void connect() {
        unsigned index = 0;
        for (auto& reader : readers_) pipeline_.add("reader", index++, [&reader] { reader->run(); });
        index = 0;
        for (auto& distributor : distributors_)
            pipeline_.add("distributor", index++, [&distributor] { distributor->run(); });
        index = 0;
        for (auto& distributor : logical_distributors_)
            pipeline_.add("logical-disk-distributor", index++, [&distributor] { distributor->run(); });
        index = 0;
        for (auto& writer : writers_) pipeline_.add("writer", index++, [&writer] { writer->run(); });
        pipeline_.guard(read_queue_);
        pipeline_.guard(send_queue_);
        pipeline_.guard(arrived_queue_);
        pipeline_.guard(chains_);
        pipeline_.guard(pools_.read);
        pipeline_.guard(pools_.chunks);
        if (pools_.send) {
            pipeline_.guard(*pools_.send);
            pipeline_.guard(*pools_.receive);
            pools_.receive->on_return([this] { job_.doorbell.ring(); });  // a free receive buffer is a credit to grant
        }
        if (input_.mutant.one_shared_pool) pools_.chunks.on_return([this] { job_.doorbell.ring(); });
        pipeline_.on_change([this] { job_.doorbell.ring(); });
    }

    PhaseOneResult result(std::uint64_t begin_ns, const ProcessIo& before, Sender* sender, Receiver* receiver,
                          Transport* transport) {
        PhaseOneResult result;
        for (const auto& distributor : distributors_) result.input_sum += distributor->input_sum();
        result.report.phase = "phase one";
        result.report.elapsed_ns = job_.executor.now_ns() - begin_ns;
        result.report.stages = report_stages(pipeline_, begin_ns);
        if (transport != nullptr) {
            result.peers = transport->counters();
            if (receiver->metrics().units.get() > 0 && goal_bytes() > 0) {
                result.first_arrival_input_fraction =
                    static_cast<double>(first_arrival_input_bytes_) / static_cast<double>(goal_bytes());
            }
            result.report.stages.push_back(report_metrics("sender", sender->metrics(), begin_ns));
            result.report.stages.push_back(report_metrics("receiver", receiver->metrics(), begin_ns));
        }
        for (const auto& reader : readers_) add_counters(result.report.io, reader->counters());
        for (const auto& writer : writers_) add_counters(result.report.io, writer->counters());
        result.report.planned_depth = std::max(plan_.read_depth, plan_.write_depth);
        const ProcessIo after = read_process_io();
        result.report.kernel_read_bytes = after.read_bytes - before.read_bytes;
        result.report.kernel_written_bytes = after.write_bytes - before.write_bytes;
        return result;
    }

    JobContext& job_;
    const PhaseOnePlan& plan_;
    const SortPlan& sort_;
    const Partitioner& partitioner_;
    const PhaseOneInput& input_;
    ExtentIndex& index_;
    Pools pools_;
    WorkQueue<Buffer> read_queue_;
    WorkQueue<OutgoingBuffer> send_queue_;
    WorkQueue<ArrivedBuffer> arrived_queue_;
    Coalescer chains_;
    std::vector<std::unique_ptr<Reader>> readers_;
    std::vector<std::unique_ptr<NodeDistributor>> distributors_;
    std::vector<std::unique_ptr<LogicalDiskDistributor>> logical_distributors_;
    std::vector<std::unique_ptr<LogWriter>> writers_;
    std::uint64_t first_arrival_input_bytes_ = 0;
    Pipeline pipeline_;  // last: its destructor joins the workers while everything they use still lives
};

}  // namespace

PhaseOneResult run_phase_one(JobContext& job, Arena& arena, const RankPlan& plan, const SortPlan& sort,
                             const Partitioner& partitioner, const PhaseOneInput& input, ExtentIndex& index,
                             LiveCounters& live) {
    arena.reset();
    PhaseOne phase(job, arena, plan, sort, partitioner, input, index);
    return phase.run(live);
}

}  // namespace sluice
