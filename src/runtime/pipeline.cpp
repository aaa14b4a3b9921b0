#include "runtime/pipeline.hpp"

#include <sys/syscall.h>
#include <unistd.h>

#include <new>
#include <system_error>

#include "runtime/error.hpp"
#include "runtime/resources.hpp"
#include "runtime/thread_clock.hpp"

namespace sluice {

Pipeline::Pipeline(Executor& executor, std::function<void(const Worker&)> bind)
    : executor_(executor), bind_(std::move(bind)), mutex_(executor), ended_(executor) {}

Pipeline::~Pipeline() {
    if (tasks_.empty()) return;
    fail(std::make_exception_ptr(Error(Errc::internal, "phase left before its workers ended")));
    for (auto& task : tasks_) task->join();
}

void Pipeline::add(StageKind stage, unsigned index, std::function<void()> body) {
    SLUICE_CHECK(tasks_.empty());
    Worker& worker = workers_.emplace_back();
    worker.stage = stage;
    worker.index = index;
    worker.body = std::move(body);
}

void Pipeline::start() {
    running_ = workers_.size();
    tasks_.reserve(workers_.size());
    for (Worker& worker : workers_) {
        try {
            tasks_.push_back(executor_.spawn(worker.name(), [this, &worker] { run_worker(worker); }));
        } catch (...) {
            {
                Lock lock(mutex_);
                running_ -= workers_.size() - tasks_.size();
            }
            fail(std::current_exception());
            return;
        }
    }
}

void Pipeline::run_worker(Worker& worker) {
    set_this_worker(worker.metrics.get());
    worker.thread_id = static_cast<int>(::syscall(SYS_gettid));
    worker.metrics->start_ns.set(executor_.now_ns());
    try {
        if (bind_) bind_(worker);
        worker.body();
    } catch (const Error& error) {
        fail_in(worker, error);
    } catch (const std::bad_alloc& error) {
        fail_in(worker, error_of(error));
    } catch (const std::system_error& error) {
        fail_in(worker, error_of(error));
    } catch (...) {
        fail(std::current_exception());
    }
    worker.metrics->end_ns.set(executor_.now_ns());
    worker.metrics->cpu_ns.set(thread_cpu_ns());
    set_this_worker(nullptr);
    {
        Lock lock(mutex_);
        --running_;
        ended_.notify_all();
    }
    if (changed_) changed_();
}

void Pipeline::fail_in(const Worker& worker, const Error& error) {
    fail(std::make_exception_ptr(
        error.with("stage=" + word_of(worker.stage) + " worker=" + std::to_string(worker.index))));
}

void Pipeline::fail(std::exception_ptr cause) {
    {
        Lock lock(mutex_);
        if (cause_) return;  // later failures are echoes of the first
        cause_ = cause;
    }
    for (const auto& abort : guarded_) abort(cause);
    if (changed_) changed_();
}

bool Pipeline::failed() const {
    Lock lock(mutex_);
    return cause_ != nullptr;
}

bool Pipeline::finished() const {
    Lock lock(mutex_);
    return running_ == 0;
}

void Pipeline::join() {
    for (auto& task : tasks_) task->join();
    tasks_.clear();
    if (cause_) std::rethrow_exception(cause_);
}

}  // namespace sluice
