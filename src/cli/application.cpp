#include "cli/application.hpp"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "cli/standard_output.hpp"
#include "net/alltoallv_transport.hpp"
#include "net/p2p_transport.hpp"
#include "net/rma_transport.hpp"
#include "runtime/launch_marks.hpp"

namespace sluice {

Application::~Application() = default;

std::unique_ptr<Transport> Application::make_transport(TransportKind kind, BufferPool& pool, std::uint64_t run_id,
                                                       ReceiveWindow* window) {
    SLUICE_CHECK(mpi_.has_value());  // one rank sends nothing
    if (kind == TransportKind::alltoallv) return make_alltoallv_transport(mpi_->rounds(), pool, run_id);
    if (kind == TransportKind::p2p) return make_p2p_transport(*wire_, pool, run_id);
    SLUICE_CHECK(window != nullptr);
    return make_rma_transport(*window, *wire_, pool, run_id);
}

std::unique_ptr<ReceiveWindow> Application::make_window(std::uint64_t bytes) {
    SLUICE_CHECK(mpi_.has_value());
    return mpi_->make_window(bytes);
}

unsigned Application::cores() const {
    const unsigned local_ranks = std::max(1u, place_.local_ranks);
    const unsigned found = placement_.rank_cores.empty()
                               ? static_cast<unsigned>(::sysconf(_SC_NPROCESSORS_ONLN)) / local_ranks
                               : static_cast<unsigned>(placement_.rank_cores.size());
    // A container of 4 of 64 cores: more workers than have time would only be stopped in turn.
    if (cgroup_cores_ == 0 || cgroup_cores_ >= found * local_ranks) return std::max(1u, found);
    return std::max(1u, std::min(found, static_cast<unsigned>(cgroup_cores_) / local_ranks));
}

RankMeans Application::means() {
    RankMeans means;
    means.cores = cores();
    means.memory_available_bytes = host_share_->memory_left_bytes();
    means.memory_note = host_share_->memory_note();
    means.notes = host_share_->notes();
    return means;
}

double Application::since_launch_s(std::uint64_t at_ns) const {
    double mine_s = since_main_s(at_ns);
    const char* stamp = std::getenv("SLUICE_LAUNCH_STAMP");
    if (rank_ == 0 && stamp != nullptr) {
        // Both clocks are rank 0's host's: the launch script runs there.
        const double launched_ns = std::strtod(stamp, nullptr);
        const double before_main_s = (static_cast<double>(main_begin_epoch_ns_) - launched_ns) * 1e-9;
        if (before_main_s > 0 && before_main_s < 600) mine_s += before_main_s;
    }
    return mine_s;
}

void Application::announce(const Error& error) noexcept {
    try {
        if (communicator_->size() > 1 && dynamic_cast<const AbortedError*>(&error) == nullptr)
            communicator_->announce_failure({rank_, error.exit_code(), error.what()});
    } catch (const std::exception&) {  // the others are gone as well; our own message is what counts
    }
}

void Application::record_failure(const Error& error, bool echo) noexcept {
    try {
        host_share_.reset();  // MPI ends a failed process without its destructors; other jobs may have the share now
        RunStatus& status = watchdog_.status();
        // What is refused together before the first byte leaves no trace.
        const bool refused =
            dynamic_cast<const RefusedError*>(&error) != nullptr ||
            (dynamic_cast<const CollectiveError*>(&error) != nullptr && error.code() != Errc::integrity);
        if (refused) {
            status.remove();
        } else if (echo) {
            status.change("aborted", "aborted because of another rank");
        } else {
            status.fail("failed", {error.exit_code(), std::string(to_string(error.code())), "", error.what()});
        }
        watchdog_.told(error.exit_code());  // a signal of the launcher is no cause any more
    } catch (const std::exception&) {       // the exit code and the message say it as well
    }
}

void Application::when_published(std::function<std::string()> result_line) {
    job_->on_published = [this, make = std::move(result_line)] {
        const std::string line = rank_ == 0 ? make() : "";
        watchdog_.settle(line);
        if (rank_ == 0) announce_published(line);
    };
}

void Application::warn_after_publishing(const std::string& what) const {
    std::fprintf(stderr, "WARNING rank=%u host=%s: the data set is published and complete; after that: %s\n", rank_,
                 host_.c_str(), what.c_str());
}

void Application::failed_after_publishing(const std::exception& error) noexcept {
    ranks_apart_ = true;
    if (dynamic_cast<const AbortedError*>(&error) != nullptr) return;  // that one says it
    warn_after_publishing(error.what());
    announce(Error(Errc::internal, error.what()));
}

void Application::say_result(const std::string& text, const std::string& line) {
    if (!watchdog_.take_last_words()) return;  // said by the watchdog, which is about to end this process
    try {
        print(text + line + "\n");
    } catch (const std::exception& error) {
        warn_after_publishing(error.what());
        std::fprintf(stderr, "%s\n", line.c_str());
    }
}

void Application::finish() {
    if (watchdog_.settled()) {
        try {
            if (mpi_ && ranks_apart_) mpi_->leave();
            if (mpi_ && !ranks_apart_) mpi_->finish();
        } catch (const std::exception& error) {
            warn_after_publishing(error.what());
            std::fflush(nullptr);
            watchdog_.status().remove();
            ::_exit(0);
        }
        watchdog_.status().remove();
        return;
    }
    if (mpi_) mpi_->finish();
    watchdog_.status().remove();
}

}  // namespace sluice
