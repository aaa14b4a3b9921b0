#pragma once
/// Threads, waiting and time, behind one seam: the same stage code runs on free-running threads or, for tests, on
/// threads that pass one baton in a seeded order with virtual time (ARCHITECTURE.md, Threads).
///
/// Every wait of the program goes through Mutex and Condition below (queues, pools, credits and doorbells are built on
/// them), so a simulated executor sees all of them: it can choose any legal order, and it knows a deadlock when it sees
/// one.

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>

namespace sluice {

class Mutex;
using Lock = std::unique_lock<Mutex>;

/// Decides who goes on wherever a thread may have to wait: behind Mutex and Condition of a simulated executor. Called
/// by the thread that runs, of which there is one.
class Scheduler {
public:
    virtual ~Scheduler() = default;
    /// @param held  of the mutex, which nobody else looks at meanwhile
    virtual void acquire(bool& held, const void* mutex) = 0;
    virtual void release(bool& held, const void* mutex) = 0;
    virtual void wait(const void* condition, Lock& lock) = 0;
    /// False: the deadline passed.
    virtual bool wait_until(const void* condition, Lock& lock, std::uint64_t deadline_ns) = 0;
    virtual void notify(const void* condition, bool all) = 0;
    virtual std::uint64_t now_ns() const noexcept = 0;
};

/// A running thread of the executor. Destroying a task that was not joined is a bug and ends the program.
class Task {
public:
    virtual ~Task() = default;
    /// Waits for the body to return. The body must not throw: the pipeline runner catches at the top of each worker.
    virtual void join() = 0;
};

/// Starts threads and tells the time. Any thread may call it; it outlives its tasks and every Mutex and Condition made
/// with it.
class Executor {
public:
    virtual ~Executor() = default;
    /// Starts `body` on a thread of its own. `name` (at most 15 characters are kept) is what `top -H` and a deadlock
    /// report show.
    virtual std::unique_ptr<Task> spawn(std::string name, std::function<void()> body) = 0;
    /// Monotonic nanoseconds; virtual in a simulated one.
    virtual std::uint64_t now_ns() const = 0;
    virtual void sleep_for_ns(std::uint64_t nanoseconds) = 0;
    /// The scheduler behind Mutex and Condition, nullptr on free-running threads.
    virtual Scheduler* scheduler() noexcept { return nullptr; }
};

/// Free-running operating-system threads and the steady clock.
class ThreadExecutor final : public Executor {
public:
    std::unique_ptr<Task> spawn(std::string name, std::function<void()> body) override;
    std::uint64_t now_ns() const override;
    void sleep_for_ns(std::uint64_t nanoseconds) override;
};

/// Mutual exclusion; BasicLockable, so std::unique_lock<Mutex> (alias Lock) works.
class Mutex {
public:
    /// @param executor  whose threads will lock it; must outlive it
    explicit Mutex(Executor& executor) : scheduler_(executor.scheduler()) {}
    Mutex(const Mutex&) = delete;
    void lock();
    void unlock();

private:
    friend class Condition;
    std::mutex native_;
    Scheduler* scheduler_;
    bool held_ = false;  // simulated only: the thread that runs is the only one to look
};

/// Condition variable. Always waited on with a predicate; notify while holding the mutex or after.
class Condition {
public:
    /// @param executor  that of the mutex it will be used with; must outlive it
    explicit Condition(Executor& executor) : scheduler_(executor.scheduler()) {}
    Condition(const Condition&) = delete;

    template <typename Predicate>
    void wait(Lock& lock, Predicate ready) {
        while (!ready()) wait_once(lock);
    }
    /// As wait, but gives up after `nanoseconds`; returns what ready() says at the end.
    template <typename Predicate>
    bool wait_for_ns(Lock& lock, std::uint64_t nanoseconds, Predicate ready) {
        const std::uint64_t deadline_ns = now_ns() + nanoseconds;
        while (!ready()) {
            if (!wait_once_until(lock, deadline_ns)) return ready();
        }
        return true;
    }
    void notify_one();
    void notify_all();

private:
    void wait_once(Lock& lock);
    bool wait_once_until(Lock& lock, std::uint64_t deadline_ns);  // false: the deadline passed
    std::uint64_t now_ns() const;

    std::condition_variable_any native_;
    Scheduler* scheduler_;
};

}  // namespace sluice
