#pragma once
/// The simulated Executor: real threads, of which exactly one runs at a time, in an order drawn from a seed, in virtual
/// time.
///
/// A task hands the baton on at every lock, wait and sleep; which runnable task gets it is random. When nothing can
/// run, virtual time jumps to the next sleeper; when nobody sleeps either, the run is deadlocked: every waiting task is
/// woken with DeadlockError, whose text lists who waited. Sanitizers and debuggers work, since the threads are real.

#include <sched.h>
#include <semaphore.h>

#include <list>
#include <string>
#include <vector>

#include "runtime/error.hpp"
#include "runtime/executor.hpp"
#include "runtime/rng.hpp"

namespace sluice {

/// All tasks wait for each other. Not an Error: it can only come from a wrong plan or a bug.
class DeadlockError : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

/// Passes the baton. Used through SeededExecutor, by the thread that holds the baton.
class SeededScheduler final : public Scheduler {
public:
    /// @param seed  of every choice: the same tasks under the same seed run in the same order
    explicit SeededScheduler(std::uint64_t seed) : rng_(seed) {}

    void acquire(bool& held, const void* mutex) override;
    void release(bool& held, const void* mutex) override;
    void wait(const void* condition, Lock& lock) override;
    bool wait_until(const void* condition, Lock& lock, std::uint64_t deadline_ns) override;
    void notify(const void* condition, bool all) override;
    void sleep(std::uint64_t nanoseconds);
    std::uint64_t now_ns() const noexcept override { return now_ns_; }
    std::uint64_t switches() const noexcept { return switches_; }

private:
    friend class SeededExecutor;
    friend class SeededTask;
    static constexpr std::uint64_t kForever = ~std::uint64_t{0};
    /// Hands the run from one thread to another. Not std::binary_semaphore, which spins before it sleeps: here the one
    /// that hands on always has to sleep.
    struct Baton {
        Baton() { sem_init(&semaphore, 0, 0); }
        ~Baton() { sem_destroy(&semaphore); }
        Baton(const Baton&) = delete;
        Baton& operator=(const Baton&) = delete;
        void release() { sem_post(&semaphore); }
        void acquire() {
            while (sem_wait(&semaphore) != 0) {
            }
        }
        sem_t semaphore;
    };

    struct Thread {
        std::string name;
        Baton baton;
        const void* waits_on = nullptr;    // mutex, condition or joined task; nullptr when runnable or only asleep
        std::uint64_t wake_ns = kForever;  // virtual time at which it wakes by itself
        bool runnable = true, finished = false, timed_out = false;
    };

    Thread* add_thread(std::string name);
    void yield();                                             // somebody else may go first
    void block(const void* waits_on, std::uint64_t wake_ns);  // until woken or timed out; throws DeadlockError
    void wake(const void* object, bool all);
    void finish(Thread* thread);
    Thread* choose();  // next to run; advances time; nullptr = deadlock
    void declare_deadlock();
    void pass_baton(Thread* next);

    Rng rng_;
    std::uint64_t now_ns_ = 0, switches_ = 0;
    std::list<Thread> threads_;
    Thread* current_ = nullptr;
    std::string deadlock_;  // report, once it happened
};

/// The thread that constructs it becomes the first task and holds the baton; it must outlive and join all others.
class SeededExecutor final : public Executor {
public:
    /// Binds the calling thread, and those it spawns, to one core. @param seed  of the schedule
    explicit SeededExecutor(std::uint64_t seed);
    std::unique_ptr<Task> spawn(std::string name, std::function<void()> body) override;
    std::uint64_t now_ns() const override { return scheduler_.now_ns(); }
    void sleep_for_ns(std::uint64_t nanoseconds) override { scheduler_.sleep(nanoseconds); }
    Scheduler* scheduler() noexcept override { return &scheduler_; }
    /// Baton changes so far: the length of the schedule.
    std::uint64_t switches() const noexcept { return scheduler_.switches(); }

private:
    /// Keeps the threads on the core that the first one is on: only one of them ever runs, and handing on across cores
    /// costs more than what most of them do in their turn. Gives the cores back at its end.
    class OneCore {
    public:
        OneCore();
        ~OneCore();
        OneCore(const OneCore&) = delete;
        OneCore& operator=(const OneCore&) = delete;

    private:
        cpu_set_t before_;
    };

    OneCore one_core_;
    SeededScheduler scheduler_;
};

}  // namespace sluice
