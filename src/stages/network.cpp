#include "stages/network.hpp"

#include "runtime/step.hpp"

namespace sluice {
Sender::Sender(WorkQueue<OutgoingBuffer>& input, Transport& transport, std::uint32_t rank, std::uint32_t ranks,
               std::size_t capacity)
    : input_(input), transport_(transport), rank_(rank), ranks_(ranks), nodes_(capacity), waiting_(ranks) {
    SLUICE_CHECK(capacity < kNone);
    for (std::uint32_t node = 0; node < capacity; ++node) nodes_[node].next = node + 1 < capacity ? node + 1 : kNone;
    free_ = capacity > 0 ? 0 : kNone;
}

bool Sender::step() {
    if (finished_) return false;
    bool moved = false;
    while (auto full = input_.try_pop()) {
        metrics_.input_bytes.add(full->buffer.size());
        queue(std::move(*full));
        moved = true;
    }
    for (std::uint32_t shift = 1; shift < ranks_; ++shift) moved |= send_to((rank_ + shift) % ranks_);
    if (queued_ == 0 && input_.drained()) {
        transport_.finish_sending();
        finished_ = true;
        moved = true;
    }
    return moved;
}

void Sender::queue(OutgoingBuffer full) {
    SLUICE_CHECK(free_ != kNone);
    const std::uint32_t node = free_;
    Fifo& fifo = waiting_[full.destination];
    free_ = nodes_[node].next;
    nodes_[node] = {std::move(full), kNone};
    (fifo.size++ == 0 ? fifo.first : nodes_[fifo.last].next) = node;
    fifo.last = node;
    ++queued_;
}

void Sender::drop_first(Fifo& fifo) {
    const std::uint32_t node = fifo.first;
    fifo.first = nodes_[node].next;
    --fifo.size;
    --queued_;
    nodes_[node].next = free_;
    free_ = node;
}

bool Sender::send_to(std::uint32_t destination) {
    Fifo& fifo = waiting_[destination];
    bool moved = false;
    while (fifo.size > 0) {
        OutgoingBuffer& full = nodes_[fifo.first].full;
        const std::size_t bytes = full.buffer.size();
        if (!transport_.try_send(full, fifo.size - 1)) break;
        metrics_.output_bytes.add(bytes);
        metrics_.units.add(1);
        drop_first(fifo);
        moved = true;
    }
    return moved;
}

bool Receiver::step() {
    if (finished_) return false;
    bool moved = transport_.progress([this](ArrivedBuffer arrived) {
        if (metrics_.units.get() == 0 && first_arrival_) first_arrival_();
        metrics_.input_bytes.add(arrived.buffer.size());
        metrics_.output_bytes.add(arrived.buffer.size());
        metrics_.records.add(arrived.header.record_count);
        metrics_.units.add(1);
        output_.push(std::move(arrived));
    });
    if (transport_.receiving_done()) {
        output_.producer_done();
        finished_ = true;
        moved = true;
    }
    return moved;
}

void NetworkLoop::exchange(Sender& sender, Receiver& receiver, Transport& transport, Executor& executor) {
    const StepPause pause;
    const auto ignore = [](ArrivedBuffer) {};
    std::uint64_t begin_ns = executor.now_ns();
    sender.metrics().start_ns.set(begin_ns);
    receiver.metrics().start_ns.set(begin_ns);
    while (!failed() && !(sender.finished() && receiver.finished() && transport.sending_done())) {
        const bool sending = !sender.finished(), receiving = !receiver.finished();
        const bool sent = sender.step();
        const std::uint64_t sent_ns = executor.now_ns();
        const bool received = receiving ? receiver.step() : transport.progress(ignore);
        const std::uint64_t received_ns = executor.now_ns();
        if (sent || received) {
            backoff_.did_something();
        } else {
            idle(transport.rings());
        }
        // The two stages share this thread: each is busy in its own turns that moved something, and waits otherwise.
        const std::uint64_t end_ns = executor.now_ns();
        if (sending) {
            const std::uint64_t wait_ns = end_ns - (sent ? sent_ns : begin_ns);
            (sender.waits_for_credit() ? sender.metrics().wait_output_ns : sender.metrics().wait_input_ns).add(wait_ns);
            sender.metrics().end_ns.set(end_ns);
        }
        if (receiving) {
            const std::uint64_t wait_ns = (sent_ns - begin_ns) + (end_ns - (received ? received_ns : sent_ns));
            receiver.metrics().wait_input_ns.add(wait_ns);
            receiver.metrics().end_ns.set(end_ns);
        }
        begin_ns = end_ns;
    }
}

void NetworkLoop::wait_for_workers() {
    const StepPause pause;
    // The fabric brings heartbeats and failures only; workers that end ring.
    while (!failed() && !pipeline_.finished()) idle(rings_doorbell_ ? Rings::everything : Rings::messages);
    pipeline_.join();
}

bool NetworkLoop::failed() {
    if (pipeline_.failed()) return true;
    if (const auto failure = communicator_.poll_failure()) {
        pipeline_.fail(std::make_exception_ptr(aborted_by(*failure)));
        return true;
    }
    return false;
}

void NetworkLoop::idle(Rings rings) {
    if (rings == Rings::everything) {
        doorbell_.wait();
    } else if (rings == Rings::messages) {
        backoff_.idle_until_rung(doorbell_);
    } else {
        backoff_.idle(doorbell_);
    }
}

}  // namespace sluice
