#pragma once
/// The bounded queue between two stages.

#include <cstdint>
#include <exception>
#include <optional>
#include <utility>
#include <vector>

#include "runtime/executor.hpp"
#include "runtime/metrics.hpp"

namespace sluice {

/// First-in first-out, many producers, many consumers, at most `capacity` units. A value, the end of the stream and an
/// abort are three distinct endings of pop(). The slots are allocated once. Time spent waiting is booked on
/// this_worker().
template <typename Unit>
class WorkQueue {
public:
    /// @param capacity   units, at least 1
    /// @param producers  how many producer_done() calls end the stream; 0: it has ended already
    WorkQueue(Executor& executor, std::size_t capacity, std::size_t producers)
        : executor_(executor),
          ring_(capacity),
          producers_(producers),
          mutex_(executor),
          not_empty_(executor),
          not_full_(executor) {}

    /// Waits while full; throws the abort cause.
    void push(Unit unit) {
        Lock lock(mutex_);
        if (!cause_ && size_ == ring_.size()) {
            const std::uint64_t since_ns = executor_.now_ns();
            const Waiting waiting(WaitKind::output, "room in the next queue");
            not_full_.wait(lock, [&] { return cause_ || size_ < ring_.size(); });
            this_worker().wait_output_ns.add(executor_.now_ns() - since_ns);
        }
        if (cause_) std::rethrow_exception(cause_);
        ring_[(head_ + size_) % ring_.size()].emplace(std::move(unit));
        ++size_;
        not_empty_.notify_one();
    }
    /// Waits while empty; nullopt = all producers are done and the queue is drained. Throws the abort cause.
    std::optional<Unit> pop() {
        Lock lock(mutex_);
        if (!cause_ && size_ == 0 && producers_ > 0) {
            const std::uint64_t since_ns = executor_.now_ns();
            const Waiting waiting(WaitKind::input, "input");
            not_empty_.wait(lock, [&] { return cause_ || size_ > 0 || producers_ == 0; });
            this_worker().wait_input_ns.add(executor_.now_ns() - since_ns);
        }
        return take_front();
    }
    /// As pop() but never waits: nullopt also when nothing is there yet (tell them apart with drained()).
    std::optional<Unit> try_pop() {
        Lock lock(mutex_);
        return take_front();
    }
    /// True when no unit is left and none will come.
    bool drained() const {
        Lock lock(mutex_);
        return size_ == 0 && producers_ == 0;
    }
    /// Several workers may feed one queue: only the last one's call ends the stream.
    void producer_done() {
        Lock lock(mutex_);
        if (--producers_ == 0) not_empty_.notify_all();
    }
    /// The first cause wins; both sides wake up and throw it.
    void abort(std::exception_ptr cause) {
        Lock lock(mutex_);
        if (!cause_) cause_ = std::move(cause);
        not_empty_.notify_all();
        not_full_.notify_all();
    }

private:
    std::optional<Unit> take_front() {
        if (cause_) std::rethrow_exception(cause_);
        if (size_ == 0) return std::nullopt;
        std::optional<Unit> unit = std::exchange(ring_[head_], std::nullopt);
        head_ = (head_ + 1) % ring_.size();
        --size_;
        not_full_.notify_one();
        return unit;
    }

    Executor& executor_;
    std::vector<std::optional<Unit>> ring_;
    std::size_t head_ = 0, size_ = 0, producers_;
    mutable Mutex mutex_;
    Condition not_empty_, not_full_;
    std::exception_ptr cause_;
};

}  // namespace sluice
