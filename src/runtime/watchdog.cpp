#include "runtime/watchdog.hpp"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>

#include "runtime/launch_marks.hpp"
#include "runtime/signals.hpp"
#include "runtime/steady_clock.hpp"

namespace sluice {
namespace {

constexpr std::uint64_t kMs = 1'000'000;
constexpr std::uint64_t kGoneAfterToldNs = 3'000 * kMs, kFinalizeNs = 10'000 * kMs;
constexpr std::uint64_t kCommitNs = 5'000 * kMs;
constexpr std::uint64_t kMainAnswersWithinMs = 400, kFilesWithinMs = 400;

/// Never blocks on a full pipe or a stopped terminal.
bool write_line(const std::string& line, int to = STDERR_FILENO) {
    pollfd out{to, POLLOUT, 0};
    if (::poll(&out, 1, 200) != 1 || (out.revents & POLLOUT) == 0) return false;
    return ::write(to, line.data(), std::min<std::size_t>(line.size(), 4000)) > 0;
}

/// A process of this host is there and no zombie.
bool is_alive(int pid) {
    std::ifstream stat("/proc/" + std::to_string(pid) + "/stat");
    std::string text;
    if (!std::getline(stat, text)) return false;
    const std::size_t close = text.rfind(") ");
    return close != std::string::npos && text[close + 2] != 'Z' && text[close + 2] != 'X';
}

/// Takes a worker off the list when its thread ends.
class Registration {
public:
    ~Registration() { release(); }
    void set(std::function<void()> leave) {
        release();
        leave_ = std::move(leave);
    }

private:
    void release() {
        if (leave_) leave_();
        leave_ = nullptr;
    }
    std::function<void()> leave_;
};
thread_local Registration registration;

}  // namespace

Watchdog::Watchdog(std::uint64_t limit_ns)
    : rules_(limit_ns),
      main_(this_worker()),
      main_step_(this_thread_step()),
      clock_ns_(steady_ns()),
      last_tick_ns_(clock_ns_) {
    install_signal_handlers();
    set_limit(limit_ns);
    rules_.progress(clock_ns_);
    thread_ = std::thread([this] { run(); });
}

Watchdog::~Watchdog() {
    stop_ = true;
    wake_signal_waiter();
    thread_.join();
}

void Watchdog::set_limit(std::uint64_t limit_ns) {
    const std::lock_guard lock(mutex_);
    rules_.set_limit(limit_ns);
    beat_interval_ns_ = limit_ns == 0 ? 0 : std::clamp(limit_ns / 10, 20 * kMs, 1'000 * kMs);
}

std::uint64_t Watchdog::tick_ns() const {
    const std::uint64_t interval_ns = beat_interval_ns_;
    return interval_ns == 0 ? 250 * kMs : interval_ns / 4;
}

void Watchdog::enter(const std::string& step, const std::string& run_id) {
    {
        const std::lock_guard lock(mutex_);
        rules_.set_step(step, clock_ns_);
        if (!run_id.empty()) run_id_ = run_id;
    }
    status_.change("running", step, run_id);
}

void Watchdog::set_processes(std::vector<Process> by_rank) {
    const std::lock_guard lock(mutex_);
    std::vector<std::string> hosts;
    for (const Process& process : by_rank) hosts.push_back(process.host);
    rules_.name_hosts(std::move(hosts));
    processes_ = std::move(by_rank);
}

void Watchdog::watch_this_thread(const Worker& worker) {
    const std::lock_guard lock(mutex_);
    workers_.push_back(&worker);
    registration.set([this, &worker] {
        const std::lock_guard inner(mutex_);
        workers_.erase(std::remove(workers_.begin(), workers_.end(), &worker), workers_.end());
    });
}

void Watchdog::require_pulse(bool required) {
    const std::lock_guard lock(mutex_);
    rules_.require_pulse(required, clock_ns_);
}

void Watchdog::listen_to(std::uint32_t rank, std::uint32_t ranks, const std::vector<std::uint32_t>& peers) {
    const std::lock_guard lock(mutex_);
    rank_ = rank;
    ranks_ = ranks;
    rules_.listen_to(peers, clock_ns_);
}

void Watchdog::stop_listening() {
    const std::lock_guard lock(mutex_);
    rules_.stop_listening();
}

Heartbeat Watchdog::pulse() {
    const std::lock_guard lock(mutex_);
    rules_.main_pulse(clock_ns_);
    return rules_.heartbeat(rank_, clock_ns_);
}

void Watchdog::heard(const Heartbeat& beat) {
    const std::lock_guard lock(mutex_);
    rules_.heard(beat, clock_ns_);
}

void Watchdog::moved_data(std::uint32_t rank) {
    const std::lock_guard lock(mutex_);
    rules_.moved_data(rank, clock_ns_);
}

void Watchdog::lives(std::uint32_t rank) {
    const std::lock_guard lock(mutex_);
    rules_.lives(rank, clock_ns_);
}

void Watchdog::progress() {
    const std::lock_guard lock(mutex_);
    rules_.progress(clock_ns_);
}

void Watchdog::set_seed(std::uint64_t seed) {
    const std::lock_guard lock(mutex_);
    seed_ = std::to_string(seed);
}

std::string Watchdog::run_words() const {
    const std::lock_guard lock(mutex_);
    return (run_id_.empty() ? "" : " run=" + run_id_) + (seed_.empty() ? "" : " seed=" + seed_);
}

int Watchdog::exit_code() const {
    const std::lock_guard lock(mutex_);
    return static_cast<int>(verdict_.code);
}

std::string Watchdog::message() const {
    const std::lock_guard lock(mutex_);
    return verdict_.message;
}

void Watchdog::stay_until_the_end() {
    told_others_ = true;
    for (;;) std::this_thread::sleep_for(std::chrono::seconds(1));
}

void Watchdog::told(int code) {
    if (settled_) return;  // no failure of another ends what has succeeded
    status_.change("aborted", "aborted because of another rank");
    const std::lock_guard lock(mutex_);
    if (told_at_ns_ != 0) return;
    told_at_ns_ = clock_ns_;
    told_code_ = code;
}

void Watchdog::finishing() {
    enter("MPI_Finalize");
    const std::lock_guard lock(mutex_);
    finishing_since_ns_ = clock_ns_;
}

void Watchdog::end_finalize(std::unique_lock<std::mutex>& held) {
    const std::uint64_t limit_ns = rules_.limit_ns() == 0 ? 0 : std::min(rules_.limit_ns(), kFinalizeNs);
    const bool late = limit_ns != 0 && clock_ns_ - finishing_since_ns_ >= limit_ns;
    if (!late && received_signal().number == 0) return;
    held.unlock();
    if (late)
        write_line("WARNING rank=" + std::to_string(rank_) + " host=" + host_ +
                   ": MPI_Finalize has not come back for " + seconds_text(limit_ns) +
                   "; all was done before, so this rank leaves without it, with code 0\n");
    status_.remove();
    ::_exit(0);
}

void Watchdog::run() {
    while (!stop_) {
        pollfd wake{signal_descriptor(), POLLIN, 0};
        const std::uint64_t pause_ms = received_signal().number != 0 ? 10 : tick_ns() / kMs;
        if (::poll(&wake, 1, static_cast<int>(pause_ms)) > 0) {
            std::uint64_t rings = 0;
            [[maybe_unused]] const ssize_t got = ::read(wake.fd, &rings, sizeof rings);
        }
        if (!stop_) tick();
    }
}

void Watchdog::tick() {
    std::unique_lock lock(mutex_);
    // A process that was stopped, or a machine that slept, has no right to accuse anybody: that time does not count.
    const std::uint64_t now_ns = steady_ns();
    clock_ns_ += std::min(now_ns - last_tick_ns_, 4 * tick_ns());
    last_tick_ns_ = now_ns;
    if (told_at_ns_ != 0 && !settled_) {
        if (clock_ns_ - told_at_ns_ >= kGoneAfterToldNs && !is_committing()) ::_exit(told_code_);
        return;
    }
    if (finishing_since_ns_ != 0) {
        end_finalize(lock);
        return;
    }
    auto verdict = rules_.judge(threads(), clock_ns_, now_ns);
    if (auto signalled = on_signal()) verdict = std::move(signalled);
    if (!verdict) {
        held_since_ns_ = 0;
        return;
    }
    if (hold(*verdict) || is_committing()) return;
    if (committing_since_ns_ != 0 && !settled_)
        verdict->message += "; whether the data set is published is not known, its MANIFEST was being written";
    ending_ = true;
    lock.unlock();
    if (verdict->code == Errc::peer && who_is_missing_ && verdict->stage.rfind("MPI_Init", 0) == 0)
        verdict->message += who_is_missing_();
    if (verdict->code == Errc::peer && verdict->stage == kFirstMessages) verdict->message += advice_on_networks();
    end_job(*verdict);
}

std::vector<WatchedThread> Watchdog::threads() const {
    std::vector<WatchedThread> views;
    views.push_back({"main", main_.progress(), main_.waiting.view(), main_step_.view()});
    for (const Worker* worker : workers_) {
        views.push_back({worker->name(), worker->metrics->progress(), worker->metrics->waiting.view(), {}});
    }
    return views;
}

std::optional<WatchVerdict> Watchdog::on_signal() const {
    const ReceivedSignal signal = received_signal();
    if (signal.number == 0) return std::nullopt;
    // A launcher that lost one of its ranks ends the others by a signal: the cause is the one that is gone.
    for (std::uint32_t rank = 0; signal.from_parent && rank < processes_.size(); ++rank) {
        const Process& process = processes_[rank];
        if (rank == rank_ || process.host != host_ || is_alive(process.pid)) continue;
        return WatchVerdict{Errc::peer, rules_.step(),
                            "rank " + std::to_string(rank) + " on " + process.host + " (pid " +
                                std::to_string(process.pid) +
                                ") is gone: killed, or out of memory; see the kernel log of that host (dmesg)",
                            rank, false};
    }
    WatchVerdict verdict{Errc::interrupted, rules_.step(), "ended by " + signal_name(signal.number), {}, false, false};
    if (signal.from_parent && ranks_ > 1) {
        verdict.message += " from the launcher, which was stopped or lost another rank";
        verdict.silent = rank_ != 0 || status_.another_failed();  // all have got it, or it has been said
    }
    return verdict;
}

/// Rank 0 speaks for all where all see the same; the others wait a moment for it to do so.
bool Watchdog::hold(const WatchVerdict& verdict) {
    if (held_since_ns_ == 0) held_since_ns_ = clock_ns_;
    if (ranks_ == 1 || verdict.local) return false;
    // The news of a failure may be on its way, of which the launcher's signal is only an echo.
    if (const ReceivedSignal signal = received_signal(); signal.number != 0) {
        const std::uint64_t hold_ns = rank_ == 0 ? 50 * kMs : signal.from_parent ? 250 * kMs : 0;
        return clock_ns_ - held_since_ns_ < hold_ns;
    }
    if (rank_ == 0 || verdict.suspect == 0u) return false;
    const std::uint64_t beat_ns = beat_interval_ns_;
    return rules_.heard_within(0, 4 * beat_ns, clock_ns_) &&
           clock_ns_ - held_since_ns_ < std::max(300 * kMs, 5 * beat_ns);
}

bool Watchdog::is_committing() const {
    return committing_since_ns_ != 0 && clock_ns_ - committing_since_ns_ < kCommitNs;
}

std::shared_ptr<void> Watchdog::begin_commit() {
    const std::lock_guard lock(mutex_);
    if (ending_) return nullptr;
    committing_since_ns_ = clock_ns_;
    return {this, [](Watchdog* self) {
                const std::lock_guard held(self->mutex_);
                self->committing_since_ns_ = 0;
            }};
}

void Watchdog::settle(std::string last_words) {
    const std::lock_guard lock(mutex_);
    words_taken_ = last_words.empty();
    last_words_ = std::move(last_words) + "\n";
    settled_ = true;
}

void Watchdog::end_settled(const WatchVerdict& verdict) {
    if (!verdict.silent)
        write_line("WARNING host=" + host_ + " stage=" + verdict.stage +
                   ": the data set is published and complete; after that: " + verdict.message + "\n");
    if (take_last_words() && !write_line(last_words_, STDOUT_FILENO)) write_line(last_words_);
    status_.change("done", "published");
    status_.flush(kFilesWithinMs);
    ::_exit(0);
}

void Watchdog::end_job(const WatchVerdict& verdict) {
    if (settled_) end_settled(verdict);
    const std::string code(to_string(verdict.code));
    const int number = static_cast<int>(verdict.code);
    std::string message = verdict.message;
    const std::string directory = status_.directory();
    if (!directory.empty()) message += "; status and error in " + directory;
    {
        const std::lock_guard lock(mutex_);
        verdict_ = verdict;
    }
    leaving_ = true;  // the main thread, if it still answers, tells the others while we write
    if (!verdict.silent)
        write_line("ERROR rank=" + std::to_string(ranks_ > 1 ? rank_ : launch_rank_) + " host=" + host_ +
                   " stage=" + verdict.stage + " code=" + code + "(" + std::to_string(number) + ")" + run_words() +
                   ": " + message + "\n");
    if (verdict.silent && status_.another_failed()) {
        status_.change("aborted", "aborted because of another rank");
    } else {
        status_.fail(verdict.code == Errc::interrupted ? "interrupted" : "failed",
                     {number, code, verdict.stage, verdict.message});
    }
    status_.flush(kFilesWithinMs);
    for (std::uint64_t waited_ms = 0; ranks_ > 1 && !told_others_ && waited_ms < kMainAnswersWithinMs; waited_ms += 5)
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
    ::_exit(number);
}

}  // namespace sluice
