#include "runtime/run_status.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "runtime/launch_marks.hpp"
#include "runtime/wall_clock.hpp"

namespace sluice {
namespace {

constexpr std::chrono::milliseconds kBeat{1000};

std::string rank_text(std::uint32_t rank) {
    char text[16];
    std::snprintf(text, sizeof text, "r%05u", rank);
    return text;
}

std::string dump(const nlohmann::json& json) {
    return json.dump(1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

void make_directories(const std::string& path) {
    for (std::size_t at = path.find('/', 1);; at = path.find('/', at + 1)) {
        ::mkdir(path.substr(0, at).c_str(), 0700);
        if (at == std::string::npos) return;
    }
}

/// Temporary name, write, sync, rename; false: not there.
bool write_file(const std::string& path, const std::string& text, bool durable) {
    const std::string temporary = path + ".tmp";
    const int fd = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0) return false;
    bool good = ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
    if (durable) good = ::fsync(fd) == 0 && good;
    good = ::close(fd) == 0 && good;
    return good && ::rename(temporary.c_str(), path.c_str()) == 0;
}

std::string error_text(const RunStatus::Identity& identity, const std::string& run_id, const std::string& stage,
                       const RunStatus::Failure& failure, const std::string& at) {
    return dump({{"rank", identity.rank},
                 {"host", identity.host},
                 {"job", identity.job},
                 {"run_id", run_id},
                 {"verb", identity.verb},
                 {"stage", failure.stage.empty() ? stage : failure.stage},
                 {"exit_code", failure.exit_code},
                 {"code", failure.code},
                 {"message", failure.message},
                 {"at", at}});
}

}  // namespace

std::string job_name() {
    if (const char* slurm = std::getenv("SLURM_JOB_ID"); slurm != nullptr && *slurm != '\0') {
        const char* step = std::getenv("SLURM_STEP_ID");
        return std::string("slurm-") + slurm + (step != nullptr ? std::string(".") + step : "");
    }
    for (const char* name : {"PMIX_NAMESPACE", "OMPI_MCA_ess_base_jobid", "PMI_JOBID"}) {
        const char* value = std::getenv(name);
        if (value == nullptr || *value == '\0') continue;
        std::string text = value;
        for (char& c : text) c = c == '/' || c == ' ' ? '_' : c;
        return text;
    }
    return "pid-" + std::to_string(::getpid());
}

void leave_early_error(const Error& error) noexcept {
    try {
        const char* directory = std::getenv("SLUICE_LAUNCH_STATUS");
        if (directory == nullptr || *directory == '\0' || ::access(directory, W_OK) != 0) return;
        const LaunchPlace place = launch_place();
        const std::string path = std::string(directory) + "/error-" + rank_text(place.rank) + ".json";
        if (::access(path.c_str(), F_OK) == 0) return;  // the first cause
        std::array<char, 256> host{};
        ::gethostname(host.data(), host.size() - 1);
        write_file(path,
                   error_text({job_name(), host.data(), "", place.rank, place.ranks}, "", "start",
                              {error.exit_code(), std::string(to_string(error.code())), "", error.what()}, utc_now()),
                   false);
    } catch (const std::exception&) {  // the exit code and the message say it as well
    }
}

RunStatus::RunStatus() : since_(utc_now()) {}

RunStatus::~RunStatus() {
    {
        const std::lock_guard lock(mutex_);
        stop_ = true;
    }
    changed_.notify_all();
    if (thread_.joinable()) thread_.join();
}

void RunStatus::open(std::string results_directory, std::string copy_directory, Identity identity) {
    const std::lock_guard lock(mutex_);
    identity_ = std::move(identity);
    directory_ = results_directory.empty() ? "" : std::move(results_directory) + "/run-" + identity_.job;
    copy_directory_ = std::move(copy_directory);
    open_ = true;
    ++wanted_;
    if (!thread_.joinable()) thread_ = std::thread([this] { run(); });
    changed_.notify_all();
}

void RunStatus::change(std::string state, std::string step, std::string run_id) {
    const std::lock_guard lock(mutex_);
    if (removing_ || !error_.empty()) return;  // how it ended is the last word
    if (state == state_ && step == step_ && (run_id.empty() || run_id == run_id_)) return;
    state_ = std::move(state);
    step_ = std::move(step);
    if (!run_id.empty()) run_id_ = std::move(run_id);
    since_ = utc_now();
    ++wanted_;
    changed_.notify_all();
}

void RunStatus::fail(const std::string& state, Failure failure) {
    const std::lock_guard lock(mutex_);
    if (!error_.empty()) return;  // the first cause
    state_ = state;
    since_ = utc_now();
    error_ = error_text(identity_, run_id_, step_, failure, since_);
    ++wanted_;
    changed_.notify_all();
}

bool RunStatus::flush(std::uint64_t milliseconds) {
    std::unique_lock lock(mutex_);
    if (!open_) return true;
    return written_.wait_for(lock, std::chrono::milliseconds(milliseconds), [this] { return done_ >= wanted_; });
}

void RunStatus::remove() {
    {
        const std::lock_guard lock(mutex_);
        if (!open_) return;
        removing_ = true;
        ++wanted_;
    }
    changed_.notify_all();
    flush(1000);
}

bool RunStatus::another_failed() const {
    const std::lock_guard lock(mutex_);
    const std::string mine = "error-" + rank_text(identity_.rank) + ".json";
    for (const std::string& directory : {directory_, copy_directory_}) {
        std::error_code error;
        if (directory.empty()) continue;
        for (const auto& entry : std::filesystem::directory_iterator(directory, error)) {
            const std::string name = entry.path().filename();
            if (name.rfind("error-", 0) == 0 && name.find(".tmp") == std::string::npos && name != mine) return true;
        }
    }
    return false;
}

std::string RunStatus::directory() const {
    const std::lock_guard lock(mutex_);
    return directory_;
}

std::string RunStatus::done_text() const {
    const std::lock_guard lock(mutex_);
    return status_text("done");
}

std::string RunStatus::status_text(const std::string& state) const {
    return dump({{"state", state},
                 {"step", step_},
                 {"since", since_},
                 {"rank", identity_.rank},
                 {"ranks", identity_.ranks},
                 {"host", identity_.host},
                 {"pid", ::getpid()},
                 {"job", identity_.job},
                 {"verb", identity_.verb},
                 {"run_id", run_id_}});
}

void RunStatus::run() {
    std::unique_lock lock(mutex_);
    auto next_beat = std::chrono::steady_clock::now() + kBeat;
    while (!stop_ || done_ < wanted_) {
        // By the clock: changes of step, however often, hold no beat up.
        if (has_beats_ && std::chrono::steady_clock::now() >= next_beat) {
            lock.unlock();
            beat();
            lock.lock();
            next_beat = std::chrono::steady_clock::now() + kBeat;
            continue;
        }
        if (done_ == wanted_) {
            if (has_beats_) {
                changed_.wait_until(lock, next_beat);
            } else {
                changed_.wait(lock);
            }
            continue;
        }
        const std::uint64_t version = wanted_;
        const bool removing = removing_;
        const std::string status = status_text(state_), error = error_, directory = directory_, copy = copy_directory_,
                          name = rank_text(identity_.rank) + ".json";
        lock.unlock();
        if (removing) {
            if (!directory.empty()) {
                ::unlink((directory + "/status-" + name).c_str());
                ::rmdir(directory.c_str());  // the last rank's succeeds
            }
        } else {
            if (!directory.empty()) write(directory, name, status, error);
            if (!error.empty() && !copy.empty() && ::access(copy.c_str(), W_OK) == 0)
                write_file(copy + "/error-" + name, error, false);
        }
        lock.lock();
        done_ = version;
        written_.notify_all();
    }
}

std::shared_ptr<void> RunStatus::keep_beating(std::function<void()> beat) {
    const std::lock_guard lock(beats_mutex_);
    const auto place = beats_.insert(beats_.end(), std::move(beat));
    {
        const std::lock_guard state(mutex_);
        has_beats_ = true;
    }
    changed_.notify_all();
    return {nullptr, [this, place](std::nullptr_t) {
                const std::lock_guard inner(beats_mutex_);
                beats_.erase(place);
            }};
}

void RunStatus::beat() {
    const std::lock_guard lock(beats_mutex_);
    for (const auto& each : beats_) {
        try {
            each();
        } catch (const std::exception&) {  // whoever looks finds that it stands still
        }
    }
}

void RunStatus::write(const std::string& directory, const std::string& name, const std::string& status,
                      const std::string& error) {
    make_directories(directory);
    if (!error.empty()) write_file(directory + "/error-" + name, error, true);
    write_file(directory + "/status-" + name, status, !error.empty());
}

}  // namespace sluice
