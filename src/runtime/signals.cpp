#include "runtime/signals.hpp"

#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>

#include "runtime/error.hpp"

namespace sluice {
namespace {

// Handlers can reach nothing but what is static.
std::atomic<std::uint64_t> first{0};  // number, and in the high half who sent it
std::atomic<int> descriptor{-1};

void ring() {
    const std::uint64_t one = 1;
    // A full counter means that it is readable already.
    [[maybe_unused]] const ssize_t written = ::write(descriptor, &one, sizeof one);
}

void on_signal(int number, siginfo_t* info, void*) {
    std::uint64_t none = 0;
    const std::uint64_t sender = info != nullptr && info->si_code <= 0 ? static_cast<std::uint32_t>(info->si_pid) : 0;
    if (!first.compare_exchange_strong(none, sender << 32 | static_cast<std::uint32_t>(number)))
        ::_exit(static_cast<int>(Errc::interrupted));
    ring();
}

}  // namespace

void install_signal_handlers() {
    if (descriptor < 0) descriptor = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (descriptor < 0) throw Error::from_errno(errno, "eventfd", "signals", Errc::environment);
    struct sigaction action {};
    action.sa_sigaction = on_signal;
    action.sa_flags = SA_SIGINFO | SA_RESTART;
    ::sigemptyset(&action.sa_mask);
    ::sigaction(SIGINT, &action, nullptr);
    ::sigaction(SIGTERM, &action, nullptr);
    ::sigaction(SIGUSR1, &action, nullptr);
    ::sigaction(SIGUSR2, &action, nullptr);
    std::signal(SIGPIPE, SIG_IGN);
    std::signal(SIGHUP, SIG_IGN);
}

int signal_descriptor() { return descriptor; }
void wake_signal_waiter() { ring(); }

ReceivedSignal received_signal() {
    const std::uint64_t received = first;
    return {static_cast<int>(received & 0xffffffff),
            received != 0 && static_cast<pid_t>(received >> 32) == ::getppid()};
}

std::string signal_name(int number) {
    // mpirun passes these two on at once, an interrupt only after a second: launch.sh sends them instead.
    if (number == SIGUSR1) number = SIGINT;
    if (number == SIGUSR2) number = SIGTERM;
    return number == SIGINT ? "SIGINT" : number == SIGTERM ? "SIGTERM" : "signal " + std::to_string(number);
}

}  // namespace sluice
