#pragma once
/// Phase one's sender and receiver stages and the loop of the network thread that drives them. The network thread is
/// the rank's main thread and the only one that calls the transport (ARCHITECTURE.md, Transports).

#include <cstdint>
#include <functional>
#include <vector>

#include "net/communicator.hpp"
#include "net/idle_backoff.hpp"
#include "net/transport.hpp"
#include "runtime/doorbell.hpp"
#include "runtime/pipeline.hpp"
#include "runtime/work_queue.hpp"

namespace sluice {

/// Takes full buffers from the distributors and hands them to the transport as fast as the receivers grant credits.
/// Starts with the rank after its own, so that not everybody sends to the same one first. Never waits.
class Sender {
public:
    /// @param capacity  buffers of the send pool and lent ones: no more can be queued here, for all peers together.
    Sender(WorkQueue<OutgoingBuffer>& input, Transport& transport, std::uint32_t rank, std::uint32_t ranks,
           std::size_t capacity);
    /// Moves what can be moved; true if anything was.
    bool step();
    bool finished() const noexcept { return finished_; }
    /// There are buffers to send, but no peer has room for one; otherwise an idle sender waits for the distributors.
    bool waits_for_credit() const noexcept { return queued_ > 0; }
    /// What it holds beside the buffers themselves, which the budget does not count.
    std::uint64_t queue_bytes() const noexcept {
        return nodes_.capacity() * sizeof(Node) + waiting_.capacity() * sizeof(Fifo);
    }
    WorkerMetrics& metrics() noexcept { return metrics_; }

private:
    bool send_to(std::uint32_t destination);

    static constexpr std::uint32_t kNone = UINT32_MAX;
    /// All queues together hold no more than there are buffers: one pool of nodes, a list a destination.
    struct Node {
        OutgoingBuffer full;
        std::uint32_t next = kNone;
    };
    struct Fifo {
        std::uint32_t first = kNone, last = kNone, size = 0;
    };
    void queue(OutgoingBuffer full);
    void drop_first(Fifo& fifo);

    WorkQueue<OutgoingBuffer>& input_;
    Transport& transport_;
    std::uint32_t rank_, ranks_;
    std::vector<Node> nodes_;
    std::uint32_t free_ = kNone;
    std::vector<Fifo> waiting_;  // by destination
    std::size_t queued_ = 0;
    bool finished_ = false;
    WorkerMetrics metrics_;
};

/// Hands arrived buffers to the logical-disk distributors. Never waits: the queue holds as many as there are receive
/// buffers.
class Receiver {
public:
    /// @param first_arrival  called once, when the first buffer arrives.
    Receiver(WorkQueue<ArrivedBuffer>& output, Transport& transport, std::function<void()> first_arrival)
        : output_(output), transport_(transport), first_arrival_(std::move(first_arrival)) {}
    bool step();
    bool finished() const noexcept { return finished_; }
    WorkerMetrics& metrics() noexcept { return metrics_; }

private:
    WorkQueue<ArrivedBuffer>& output_;
    Transport& transport_;
    std::function<void()> first_arrival_;
    bool finished_ = false;
    WorkerMetrics metrics_;
};

/// What the main thread of a rank does during a phase.
class NetworkLoop {
public:
    /// All references outlive this.
    /// @param doorbell        what an idle turn sleeps on; workers ring it
    /// @param rings_doorbell  news of failures ring it too, as in process: then it may sleep without a limit
    NetworkLoop(Communicator& communicator, Pipeline& pipeline, Doorbell& doorbell, IdleBackoff backoff,
                bool rings_doorbell)
        : communicator_(communicator),
          pipeline_(pipeline),
          doorbell_(doorbell),
          backoff_(backoff),
          rings_doorbell_(rings_doorbell) {}
    /// Until everything is sent and received, or the phase failed here or elsewhere. Keeps the two stages' time.
    /// @param executor  whose clock that is.
    void exchange(Sender& sender, Receiver& receiver, Transport& transport, Executor& executor);
    /// Until all workers have returned; rethrows the first failure, this rank's or another's. Joins the workers.
    void wait_for_workers();

private:
    bool failed();
    void idle(Rings rings);

    Communicator& communicator_;
    Pipeline& pipeline_;
    Doorbell& doorbell_;
    IdleBackoff backoff_;
    bool rings_doorbell_;
};

}  // namespace sluice
