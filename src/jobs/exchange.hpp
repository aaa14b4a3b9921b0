#pragma once
/// The middle of phase one, which a shuffle alone has as well: between a queue of filled buffers and chains of full
/// chunks.

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "plan/job_context.hpp"
#include "plan/plan.hpp"
#include "record/partitioner.hpp"
#include "record/record_sum.hpp"
#include "runtime/work_queue.hpp"
#include "stages/coalescer.hpp"
#include "stages/logical_disk_distributor.hpp"
#include "stages/network.hpp"
#include "stages/node_distributor.hpp"
#include "stages/stage_report.hpp"

namespace sluice {

/// Pipelines that are wrong on purpose, to show that the simulated cluster finds such bugs (tests only).
struct PhaseOneMutant {
    bool one_shared_pool = false;              ///< send, receive and chunk buffers from one pool
    bool ignore_waiting_distributors = false;  ///< a chain must reach its length even while somebody waits for a chunk
};

/// Node distributor -> sender = network = receiver -> logical-disk distributor, with their pools and queues. The phase
/// adds what fills input() before and what empties chains() behind it. With one rank there is no network: its queues
/// and stages stay empty.
///
/// Owned by the phase, beside a Pipeline that is destroyed first: its workers use what lives here.
class Exchange {
public:
    struct Options {
        std::uint64_t run_id = 0;
        std::size_t producers = 1;  ///< workers that fill input(), each of which ends with producer_done()
        PhaseOneMutant mutant{};
        bool sum_sources = false;       ///< sum what arrives by rank it came from
        SourceSums* sources = nullptr;  ///< gets sums by input file; may be nullptr
        BufferPool* chunks =
            nullptr;  ///< where chunks come from that may outlive the exchange; nullptr: it has its own
        std::function<void()> on_pressure{};  ///< a worker waits for a chunk; any thread, may be empty
    };
    /// Takes the pools from `arena` and, with more than one rank, makes the transport; collective then. All that is
    /// passed by reference must outlive this.
    /// @param plan         of this rank: sizes and numbers of its buffers and workers
    /// @param partitioner  the same on all ranks
    Exchange(JobContext& job, Arena& arena, const RankPlan& plan, const SortPlan& sort, const Partitioner& partitioner,
             Options options);
    Exchange(const Exchange&) = delete;

    BufferPool& read_pool() noexcept { return pools_.read; }
    WorkQueue<Buffer>& input() noexcept { return input_; }
    Coalescer& chains() noexcept { return chains_; }

    /// Adds the distributors, after the stages that fill input() and before those that empty chains(), and lets a
    /// failure anywhere wake whoever waits here.
    void add_workers(Pipeline& pipeline);
    /// Starts the pipeline and moves buffers between ranks until all workers have returned; rethrows the first failure.
    /// The network thread's part: call it on the main thread.
    /// @param first_arrival  called once, when the first buffer of a peer arrives.
    void run(Pipeline& pipeline, const std::function<void()>& first_arrival);
    /// What the network thread sends, for live figures; nullptr with one rank.
    const WorkerMetrics* sending() const { return sender_ ? &sender_->metrics() : nullptr; }

    // Exact after run().
    RecordSum input_sum() const;                  ///< over all records distributed here
    std::vector<PeerCounters> peers() const;      ///< by rank; empty with one rank
    std::vector<RecordSum> received() const;      ///< from peers, by rank; zeros without sum_sources
    bool anything_arrived() const;                ///< from a peer
    void add_reports(PhaseReport& report) const;  ///< sender and receiver, where they exist

private:
    /// One pool a role (ARCHITECTURE.md, Data flow), so that no schedule can deadlock.
    struct Pools {
        Pools(JobContext& job, Arena& arena, const PhaseOnePlan& plan, const Options& options);
        std::unique_ptr<ReceiveWindow> window;  // under the receive pool, with rma
        BufferPool read;
        std::unique_ptr<BufferPool> own_chunks;  // absent where they were given
        BufferPool& chunks;
        std::unique_ptr<BufferPool> send, receive;  // absent with one rank
    };
    // The mutant draws all roles from the chunk pool, so any of its queues may have to hold all of it.
    std::size_t shared_or(std::size_t count) const { return options_.mutant.one_shared_pool ? plan_.chunks : count; }

    JobContext& job_;
    const PhaseOnePlan& plan_;
    Options options_;
    Arena& arena_;
    Pools pools_;
    std::size_t lendable_;                  // buffers that the transport may have lent
    std::unique_ptr<Transport> transport_;  // before what may hold buffers that it lent
    WorkQueue<Buffer> input_;
    WorkQueue<OutgoingBuffer> outgoing_;
    WorkQueue<ArrivedBuffer> arrived_;
    Coalescer chains_;
    PressureListener pressure_;
    std::vector<std::unique_ptr<SharedOpenBuffers>> shared_;  // by group; none: each distributor has its own
    std::vector<std::unique_ptr<NodeDistributor>> distributors_;
    std::vector<std::unique_ptr<LogicalDiskDistributor>> logical_distributors_;
    std::function<void()> first_arrival_;
    std::unique_ptr<Sender> sender_;  // absent with one rank, as the transport and the receiver
    std::unique_ptr<Receiver> receiver_;
    std::uint64_t begin_ns_ = 0;
};

}  // namespace sluice
