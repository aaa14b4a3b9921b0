#pragma once
/// Signals that end a run, turned into something a thread can wait for.

#include <cstdint>
#include <string>

namespace sluice {

/// Once per program, before other threads start. SIGINT and SIGTERM are remembered and make signal_descriptor()
/// readable; a second one of them ends the process at once with exit code 8. SIGUSR1 counts as SIGINT and SIGUSR2 as
/// SIGTERM: launch.sh sends these, since mpirun passes them on at once. SIGPIPE and SIGHUP are ignored: a closed
/// terminal or a pipe without a reader must not end a run. Throws Error(environment) without a free descriptor.
void install_signal_handlers();
/// An eventfd: readable after a signal or wake_signal_waiter(); the reader reads it empty.
int signal_descriptor();
void wake_signal_waiter();

/// The first signal that came, of those that end a run.
struct ReceivedSignal {
    int number = 0;            ///< 0: none yet
    bool from_parent = false;  ///< sent by the process that started us: the launcher
};
ReceivedSignal received_signal();
/// "SIGINT" or "SIGTERM", also for the two that stand for them.
std::string signal_name(int number);

}  // namespace sluice
