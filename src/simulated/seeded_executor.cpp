#include "simulated/seeded_executor.hpp"

#include <algorithm>
#include <thread>

namespace sluice {

SeededScheduler::Thread* SeededScheduler::add_thread(std::string name) {
    Thread& added = threads_.emplace_back();
    added.name = std::move(name);
    return &added;
}

SeededScheduler::Thread* SeededScheduler::choose() {
    for (;;) {
        std::uint64_t runnable = 0, earliest_ns = kForever;
        for (const Thread& t : threads_) {
            if (t.finished) continue;
            if (t.runnable) ++runnable;
            earliest_ns = std::min(earliest_ns, t.wake_ns);
        }
        if (runnable > 0) {
            std::uint64_t pick = rng_.below(runnable);
            for (Thread& t : threads_) {
                if (!t.finished && t.runnable && pick-- == 0) return &t;
            }
        }
        if (earliest_ns == kForever) return nullptr;
        now_ns_ = std::max(now_ns_, earliest_ns);
        for (Thread& t : threads_) {
            if (!t.finished && !t.runnable && t.wake_ns <= now_ns_) {
                t.timed_out = true;
                t.runnable = true;
                t.wake_ns = kForever;
                t.waits_on = nullptr;
            }
        }
    }
}

void SeededScheduler::pass_baton(Thread* next) {
    Thread* self = current_;
    if (next == self) return;
    ++switches_;
    current_ = next;
    next->baton.release();
    if (!self->finished) self->baton.acquire();
}

void SeededScheduler::yield() {
    Thread* next = choose();
    if (next != nullptr) pass_baton(next);
}

void SeededScheduler::declare_deadlock() {
    deadlock_ = "deadlock: every task waits:";
    for (Thread& t : threads_) {
        if (t.finished) continue;
        deadlock_ += " " + t.name;
        t.runnable = true;
        t.waits_on = nullptr;
    }
}

void SeededScheduler::block(const void* waits_on, std::uint64_t wake_ns) {
    if (!deadlock_.empty()) throw DeadlockError(deadlock_);
    Thread* self = current_;
    self->runnable = false;
    self->timed_out = false;
    self->waits_on = waits_on;
    self->wake_ns = wake_ns;
    Thread* next = choose();
    if (next == nullptr) {
        declare_deadlock();
        throw DeadlockError(deadlock_);
    }
    pass_baton(next);
    self->wake_ns = kForever;
    if (!deadlock_.empty()) throw DeadlockError(deadlock_);
}

void SeededScheduler::wake(const void* object, bool all) {
    std::vector<Thread*> waiters;
    for (Thread& t : threads_) {
        if (!t.finished && !t.runnable && t.waits_on == object) waiters.push_back(&t);
    }
    if (waiters.empty()) return;
    if (!all) {
        waiters[0] =
            waiters[rng_.below(waiters.size())];  // any waiter may be the lucky one: real kernels promise no order
        waiters.resize(1);
    }
    for (Thread* t : waiters) {
        t->runnable = true;
        t->waits_on = nullptr;
        t->wake_ns = kForever;
    }
}

void SeededScheduler::acquire(bool& held, const void* mutex) {
    yield();
    while (held) {
        // Never throws, since destructors lock: once a deadlock is declared everybody unwinds, so pass the baton until
        // the holder has let go.
        if (!deadlock_.empty()) {
            yield();
            continue;
        }
        try {
            block(mutex, kForever);
        } catch (const DeadlockError&) {
            continue;
        }
    }
    held = true;
}

void SeededScheduler::release(bool& held, const void* mutex) {
    held = false;
    wake(mutex, true);
}

void SeededScheduler::wait(const void* condition, Lock& lock) { wait_until(condition, lock, kForever); }

bool SeededScheduler::wait_until(const void* condition, Lock& lock, std::uint64_t deadline_ns) {
    if (deadline_ns != kForever && deadline_ns <= now_ns_) return false;
    Thread* self = current_;
    lock.unlock();  // gives no baton away, so no notification can be lost before block()
    try {
        block(condition, deadline_ns);
    } catch (...) {
        lock.lock();
        throw;
    }
    const bool woken = !self->timed_out;
    lock.lock();
    return woken;
}

void SeededScheduler::notify(const void* condition, bool all) { wake(condition, all); }

void SeededScheduler::sleep(std::uint64_t nanoseconds) { block(nullptr, now_ns_ + nanoseconds); }

void SeededScheduler::finish(Thread* thread) {
    thread->finished = true;
    wake(thread, true);
    Thread* next = choose();
    if (next == nullptr) {
        declare_deadlock();
        next = choose();
    }
    if (next != nullptr) pass_baton(next);
}

class SeededTask final : public Task {
public:
    SeededTask(SeededScheduler& scheduler, SeededScheduler::Thread* thread, std::function<void()> body)
        : scheduler_(scheduler), thread_(thread), native_([this, b = std::move(body)] {
              thread_->baton.acquire();
              b();
              scheduler_.finish(thread_);
          }) {}
    void join() override {
        while (!thread_->finished) {
            try {
                scheduler_.block(thread_, SeededScheduler::kForever);
            } catch (const DeadlockError&) {
                scheduler_
                    .yield();  // the others unwind by the same error; keep passing the baton until they are through
            }
        }
        native_.join();
    }

private:
    SeededScheduler& scheduler_;
    SeededScheduler::Thread* thread_;
    std::thread native_;
};

SeededExecutor::OneCore::OneCore() {
    CPU_ZERO(&before_);
    if (sched_getaffinity(0, sizeof before_, &before_) != 0) return;  // more than 1,024 cores: it is only slower
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(static_cast<unsigned>(sched_getcpu()), &one);
    sched_setaffinity(0, sizeof one, &one);
}

SeededExecutor::OneCore::~OneCore() {
    if (CPU_COUNT(&before_) > 0) sched_setaffinity(0, sizeof before_, &before_);
}

SeededExecutor::SeededExecutor(std::uint64_t seed) : scheduler_(seed) {
    scheduler_.current_ = scheduler_.add_thread("main");
}

std::unique_ptr<Task> SeededExecutor::spawn(std::string name, std::function<void()> body) {
    SeededScheduler::Thread* thread = scheduler_.add_thread(std::move(name));
    return std::make_unique<SeededTask>(scheduler_, thread, std::move(body));
}

}  // namespace sluice
