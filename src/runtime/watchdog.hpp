#pragma once
/// Ends a job that would wait for ever, and one that was told to stop: a thread of its own that never calls MPI.

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "runtime/pipeline.hpp"
#include "runtime/run_status.hpp"
#include "runtime/watch_rules.hpp"

namespace sluice {

/// One a process. It watches the main thread, which sends and hears the heartbeats (net/heartbeat.hpp), and the workers
/// that announced themselves. When a rule of WatchRules or a signal says so, it prints one line, writes error.json and
/// status.json, lets the main thread tell the other ranks, if that one still answers, and leaves by _exit.
class Watchdog {
public:
    /// Who the ranks of the job are.
    struct Process {
        std::string host;
        int pid = 0;
    };
    /// Called by the main thread, which is the one watched. @param limit_ns  0: only signals end the run.
    explicit Watchdog(std::uint64_t limit_ns);
    ~Watchdog();
    Watchdog(const Watchdog&) = delete;

    RunStatus& status() noexcept { return status_; }
    void set_limit(std::uint64_t limit_ns);
    /// Where this process runs, and the rank that the launcher gave it: its name in messages until listen_to().
    void set_place(std::string host, std::uint32_t launch_rank) {
        host_ = std::move(host);
        launch_rank_ = launch_rank;
    }
    /// What to add where the job ends in MPI_Init; called on the watchdog's thread. Set before MPI starts.
    void explain_start(std::function<std::string()> who_is_missing) { who_is_missing_ = std::move(who_is_missing); }
    /// The step in which ranks that have started first reach each other, or do not.
    static constexpr const char* kFirstMessages = "first messages of the ranks to each other";
    /// The data set is published: whatever ends the process from here on, a signal or a rule, ends it with a WARNING
    /// and code 0. @param last_words  for standard output, should the main thread not come to say them; "": none
    void settle(std::string last_words);
    bool settled() const noexcept { return settled_; }
    /// The main thread writes what decides between failure and success, until the handle is let go: a signal, a verdict
    /// and another's failure wait for it, but no longer than 5 s, then the message says that nobody knows. Null where
    /// the end has been decided before: then nothing may be written any more.
    [[nodiscard]] std::shared_ptr<void> begin_commit();
    /// The main thread is about to say them: true, at most once. False: they have been said.
    bool take_last_words() noexcept { return !words_taken_.exchange(true); }
    /// What the job does now: a state change.
    void enter(const std::string& step, const std::string& run_id = "");
    void set_seed(std::uint64_t seed);
    /// What identifies this run in an ERROR line: " run=ID seed=1", as far as it is known yet.
    std::string run_words() const;
    void set_processes(std::vector<Process> by_rank);
    /// Called on a worker's own thread: it is watched until the thread ends.
    void watch_this_thread(const Worker& worker);

    // The main thread's side.
    /// The main thread must answer (pulse) from now on, or no longer.
    void require_pulse(bool required);
    /// All is done, on all ranks, and nothing is left but MPI_Finalize: should that not come back within 10 s (or the
    /// limit, where that is shorter), the process ends with 0 and a warning, as it does on a signal.
    void finishing();
    void listen_to(std::uint32_t rank, std::uint32_t ranks, const std::vector<std::uint32_t>& peers);
    void stop_listening();
    /// How often to send heartbeats; 0: never.
    std::uint64_t beat_interval_ns() const noexcept { return beat_interval_ns_; }
    /// A sign of life, and what to tell the others.
    Heartbeat pulse();
    void heard(const Heartbeat& beat);
    void moved_data(std::uint32_t rank);
    void lives(std::uint32_t rank);  ///< see WatchRules
    void progress();
    /// The end has been decided: the main thread should tell the other ranks and then stay_until_the_end().
    bool leaving() const noexcept { return leaving_; }
    int exit_code() const;
    std::string message() const;
    [[noreturn]] void stay_until_the_end();
    /// Another rank has failed and said so: should this process not be gone in a few seconds, it is ended.
    void told(int code);

private:
    void run();
    void tick();
    std::optional<WatchVerdict> on_signal() const;
    std::vector<WatchedThread> threads() const;
    bool hold(const WatchVerdict& verdict);
    bool is_committing() const;
    /// Leaves with 0 where MPI_Finalize does not come back. @param held  the lock on mutex_
    void end_finalize(std::unique_lock<std::mutex>& held);
    [[noreturn]] void end_job(const WatchVerdict& verdict);
    [[noreturn]] void end_settled(const WatchVerdict& verdict);
    std::uint64_t tick_ns() const;

    RunStatus status_;
    mutable std::mutex mutex_;
    WatchRules rules_;
    const WorkerMetrics& main_;
    const StepNote& main_step_;
    std::string host_, run_id_, seed_;
    std::function<std::string()> who_is_missing_;
    std::vector<const Worker*> workers_;
    std::vector<Process> processes_;
    std::uint32_t rank_ = 0, ranks_ = 1, launch_rank_ = 0;
    std::uint64_t clock_ns_, last_tick_ns_;  // stands still while the process is stopped
    std::uint64_t held_since_ns_ = 0, told_at_ns_ = 0;
    std::uint64_t finishing_since_ns_ = 0, committing_since_ns_ = 0;
    bool ending_ = false;  // end_job() has been or is about to be called
    std::atomic<std::uint64_t> beat_interval_ns_{0};
    std::atomic<bool> leaving_{false}, told_others_{false}, stop_{false};
    std::atomic<bool> settled_{false}, words_taken_{true};
    std::string last_words_;
    int told_code_ = 0;
    WatchVerdict verdict_;
    std::thread thread_;
};

}  // namespace sluice
