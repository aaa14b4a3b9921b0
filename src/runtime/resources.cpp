#include "runtime/resources.hpp"

#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <mutex>
#include <new>
#include <system_error>
#include <thread>
#include <vector>

#include "runtime/errno_text.hpp"
#include "runtime/machine_cgroup.hpp"
#include "runtime/run_status.hpp"
#include "runtime/units.hpp"

namespace sluice {
namespace {

constexpr std::uint64_t kLargeStackBytes = 64 * kMiB;  // more than a machine has room for a few times

std::uint64_t limit_of(__rlimit_resource resource) {
    rlimit limit{};
    return ::getrlimit(resource, &limit) == 0 ? limit.rlim_cur : RLIM_INFINITY;
}

std::uint64_t mapped_bytes() {
    std::ifstream file("/proc/self/statm");
    std::uint64_t pages = 0;
    file >> pages;
    return pages * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

std::string size(std::uint64_t bytes) { return human_bytes(static_cast<double>(bytes)); }

std::string limits_of_memory() {
    std::string text;
    if (const std::uint64_t space = limit_of(RLIMIT_AS); space != RLIM_INFINITY)
        text += "; RLIMIT_AS (`ulimit -v`) is " + size(space) + ", " + size(mapped_bytes()) + " are mapped";
    if (const std::uint64_t data = limit_of(RLIMIT_DATA); data != RLIM_INFINITY)
        text += "; RLIMIT_DATA (`ulimit -d`) is " + size(data) + " for heap, stacks and buffers";
    return text;
}

std::string limits_of_threads() {
    std::string text;
    if (const std::uint64_t limit = limit_of(RLIMIT_NPROC); limit != RLIM_INFINITY) {
        text += "; RLIMIT_NPROC (`ulimit -u`) allows " + std::to_string(limit) + " for all of user " +
                std::to_string(::getuid());
    }
    if (const PidsLimit pids = tightest_pids_limit(); pids.limit != 0) {
        text += "; pids.max of the control group " + pids.group + " is " + std::to_string(pids.limit) + ", " +
                std::to_string(pids.used) + " are used";
    }
    const std::string of_memory = limits_of_memory();
    text += of_memory;
    const std::uint64_t stack = limit_of(RLIMIT_STACK);
    if (stack != RLIM_INFINITY && (!of_memory.empty() || stack > kLargeStackBytes))
        text += "; a thread's stack takes " + size(stack) + " (`ulimit -s`)";
    return text;
}

/// Threads that do nothing until they are let go.
class IdleThreads {
public:
    ~IdleThreads() {
        {
            const std::lock_guard lock(mutex_);
            over_ = true;
        }
        changed_.notify_all();
    }
    /// How many could be started; with why not all.
    unsigned start(unsigned count, std::string& why) {
        threads_.reserve(count);
        try {
            while (threads_.size() < count) {
                threads_.emplace_back([this] {
                    std::unique_lock lock(mutex_);
                    changed_.wait(lock, [this] { return over_; });
                });
            }
        } catch (const std::system_error& error) {
            why = errno_text(error.code().value());
        }
        return static_cast<unsigned>(threads_.size());
    }

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    bool over_ = false;
    std::vector<std::jthread> threads_;  // last: joined before the rest goes
};

[[noreturn]] void end_uncaught() {
    Error error(Errc::internal, "ended without an exception; this is a bug of sluice, please report it");
    try {
        if (const auto current = std::current_exception()) std::rethrow_exception(current);
    } catch (const std::exception& caught) {
        error = error_of(caught);
    } catch (...) {
        error = Error(Errc::internal, "unknown exception; this is a bug of sluice, please report it");
    }
    std::fprintf(stderr, "ERROR code=%s(%d): %s\n", std::string(to_string(error.code())).c_str(), error.exit_code(),
                 error.what());
    leave_early_error(error);
    ::_exit(error.exit_code());
}

}  // namespace

Error error_of(const std::exception& error) {
    if (const auto* ours = dynamic_cast<const Error*>(&error)) return *ours;
    if (dynamic_cast<const std::bad_alloc*>(&error) != nullptr) {
        return {Errc::environment, "no memory beside the buffers: " + errno_text(ENOMEM) + limits_of_memory() +
                                       "; lower memory.budget, raise the limit, or free memory on this host"};
    }
    const auto* system = dynamic_cast<const std::system_error*>(&error);
    if (system != nullptr && (system->code().value() == EAGAIN || system->code().value() == ENOMEM)) {
        return {Errc::environment, "cannot start a thread: " + errno_text(system->code().value()) +
                                       limits_of_threads() + "; raise the limit or lower stages.*.workers"};
    }
    return {Errc::internal, std::string(error.what()) + "; this is a bug of sluice, please report it"};
}

std::string problem_of_resources(unsigned threads, std::uint64_t bytes) {
    IdleThreads idle;
    std::string why;
    const unsigned started = idle.start(threads, why);
    if (started < threads) {
        return std::to_string(threads) + " threads more are needed, " + std::to_string(started) +
               " could be started: " + why + limits_of_threads() +
               "; raise the limit, or lower stages.*.workers, io.workers or the ranks of this host";
    }
    void* const memory =
        bytes == 0 ? nullptr : ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
        return size(bytes) + " of memory for buffers cannot be mapped beside the stacks of " + std::to_string(threads) +
               " threads: " + errno_text(errno) + limits_of_memory() + "; lower memory.budget or raise the limit";
    }
    if (memory != nullptr) ::munmap(memory, bytes);
    return "";
}

void explain_uncaught_exceptions() { std::set_terminate(end_uncaught); }

}  // namespace sluice
