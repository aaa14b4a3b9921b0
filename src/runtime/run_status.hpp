#pragma once
/// status.json and error.json of one rank: what a harness reads when the exit code has been lost on the way.

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "runtime/error.hpp"

namespace sluice {

/// The files are RESULTS/run-JOB/status-r00003.json and error-r00003.json. Written by a thread of its own, so that a
/// hanging disk stops neither the run nor its watchdog. What cannot be written is left out: no run fails for it.
class RunStatus {
public:
    struct Identity {
        std::string job, host, verb;
        std::uint32_t rank = 0, ranks = 1;
    };
    struct Failure {
        int exit_code = 1;
        std::string code, stage, message;
    };
    RunStatus();
    ~RunStatus();
    RunStatus(const RunStatus&) = delete;

    /// From here on changes are written. Called again when more is known, from one thread.
    /// @param results_directory  "": not known yet, only the copy of error.json is written
    /// @param copy_directory     also gets error.json when it exists; "": none
    void open(std::string results_directory, std::string copy_directory, Identity identity);
    /// @param state  running | interrupted | failed | aborted | done; aborted: because of another rank.
    void change(std::string state, std::string step, std::string run_id = "");
    void fail(const std::string& state, Failure failure);
    /// Waits until everything said so far is on disk, but no longer than this; true: it is.
    bool flush(std::uint64_t milliseconds);
    /// The run was refused before it wrote a byte, or is done: no trace stays.
    void remove();
    /// status.json of a run that succeeded, for its results folder.
    std::string done_text() const;
    /// Another rank, of this host or on a shared file system, has left its error.json: ours would be an echo.
    bool another_failed() const;
    /// Calls `beat` about every second on the status thread until the handle is let go, which waits for a call under
    /// way; what it throws is lost. Nothing is called before open().
    std::shared_ptr<void> keep_beating(std::function<void()> beat);
    /// Of the status file's directory; "" before open().
    std::string directory() const;

private:
    void run();
    void beat();
    static void write(const std::string& directory, const std::string& name, const std::string& status,
                      const std::string& error);
    std::string status_text(const std::string& state) const;

    mutable std::mutex mutex_;
    std::condition_variable changed_, written_;
    Identity identity_;
    std::string directory_, copy_directory_, state_ = "running", step_ = "start", run_id_, since_, error_;
    std::uint64_t wanted_ = 0, done_ = 0;
    bool open_ = false, removing_ = false, stop_ = false, has_beats_ = false;
    std::mutex beats_mutex_;  // held while beats are called
    std::list<std::function<void()>> beats_;
    std::thread thread_;
};

/// The name of this job, the same on all its ranks and on no other job of this host: from the launcher, else the
/// process number.
std::string job_name();

/// Leaves error-rNNNNN.json of this rank with launch.sh, without a thread, where none is there yet: for what ends a
/// process that has no RunStatus (yet). Nothing where launch.sh did not start this job.
void leave_early_error(const Error& error) noexcept;

}  // namespace sluice
