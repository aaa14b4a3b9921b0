#pragma once
/// Runs the workers of one phase: starts them, times them, and turns the first failure into the end of all.

#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "runtime/error.hpp"
#include "runtime/executor.hpp"
#include "runtime/metrics.hpp"
#include "runtime/stage_kind.hpp"

namespace sluice {

/// One worker thread of one stage, and what it did. Metrics may be read while it runs; exact after join().
struct Worker {
    StageKind stage = StageKind::network;
    unsigned index = 0;
    std::function<void()> body;
    std::unique_ptr<WorkerMetrics> metrics = std::make_unique<WorkerMetrics>();
    int thread_id = 0;  ///< kernel thread id, 0 before it starts
    std::string name() const { return word_of(stage) + "-" + std::to_string(index); }  ///< "reader-0"
};

/// Create, add(), guard(), start(), join(). The phase file owns everything the bodies refer to and outlives the
/// pipeline.
class Pipeline {
public:
    /// @param bind  called first on each worker's thread, to bind it to its cores; may be empty.
    Pipeline(Executor& executor, std::function<void(const Worker&)> bind);
    ~Pipeline();
    Pipeline(const Pipeline&) = delete;

    /// `body` returns when its input is drained; what it throws ends the phase on this rank.
    void add(StageKind stage, unsigned index, std::function<void()> body);
    /// `waitable` (a queue, a pool, ...) is aborted with the cause when any worker fails, so that nobody waits for
    /// ever.
    template <typename Waitable>
    void guard(Waitable& waitable) {
        guarded_.push_back([&waitable](std::exception_ptr cause) { waitable.abort(cause); });
    }
    /// Called from a worker's thread after each worker's end and after a failure: to ring the network thread's
    /// doorbell.
    void on_change(std::function<void()> listener) { changed_ = std::move(listener); }

    void start();
    /// Ends the phase with `cause` unless something failed before.
    void fail(std::exception_ptr cause);
    bool failed() const;
    /// All workers have returned.
    bool finished() const;
    /// Waits until all workers have returned; rethrows the first cause.
    void join();
    const std::deque<Worker>& workers() const noexcept { return workers_; }

private:
    void run_worker(Worker& worker);
    void fail_in(const Worker& worker, const Error& error);

    Executor& executor_;
    std::function<void(const Worker&)> bind_;
    std::function<void()> changed_;
    std::deque<Worker> workers_;  // deque: addresses stay valid
    std::vector<std::unique_ptr<Task>> tasks_;
    std::vector<std::function<void(std::exception_ptr)>> guarded_;
    mutable Mutex mutex_;
    Condition ended_;
    std::size_t running_ = 0;
    std::exception_ptr cause_;
};

}  // namespace sluice
