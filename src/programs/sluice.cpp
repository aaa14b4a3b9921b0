// The sluice program: parses the call, builds the application, runs the verb, and turns any failure into one line and
// its exit code.
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <memory>
#include <string>
#include <thread>

#include "cli/standard_output.hpp"
#include "cli/verbs.hpp"
#include "runtime/printable.hpp"
#include "runtime/process_limits.hpp"
#include "runtime/resources.hpp"
#include "runtime/run_status.hpp"

namespace {

/// One line (or one per problem) that says who failed and why; never through MPI_Finalize, where this rank would wait
/// for the others.
[[noreturn]] void leave(sluice::Application* application, const sluice::Error& error) {
    const std::string text = sluice::printable_lines(error.what());
    // Rank 0 speaks for all when all found the same; the others let it finish first, since the launcher ends the job at
    // the first exit.
    const bool collective = dynamic_cast<const sluice::CollectiveError*>(&error) != nullptr;
    const bool echo = dynamic_cast<const sluice::AbortedError*>(&error) != nullptr ||
                      (collective && application != nullptr && application->rank() != 0);
    std::fflush(stdout);
    if (echo) {
        // Said already, by the rank that found it.
    } else if (application == nullptr) {
        std::fprintf(stderr, "ERROR code=%s(%d): %s\n", std::string(to_string(error.code())).c_str(), error.exit_code(),
                     text.c_str());
    } else {
        std::fprintf(stderr, "ERROR rank=%u host=%s code=%s(%d)%s: %s\n", application->rank(),
                     application->host().c_str(), std::string(to_string(error.code())).c_str(), error.exit_code(),
                     application->watchdog().run_words().c_str(), text.c_str());
    }
    std::fflush(stderr);
    if (application != nullptr) application->record_failure(error, echo);
    if (application == nullptr && !echo) sluice::leave_early_error(error);
    if (application != nullptr && !collective) application->announce(error);
    if (application != nullptr) application->watchdog().status().flush(1000);
    if (echo) std::this_thread::sleep_for(std::chrono::milliseconds(300));
    ::_exit(error.exit_code());
}

}  // namespace

int main(int argc, char** argv) {
    sluice::keep_standard_descriptors();  // before anything is opened
    sluice::take_process_limits();
    sluice::explain_uncaught_exceptions();
    std::unique_ptr<sluice::Application> application;
    try {
        const sluice::CommandLine line = sluice::parse_command_line(argc, argv);
        if (const int done = sluice::run_simple_verb(line); done >= 0) return done;
        application = std::make_unique<sluice::Application>(argc, argv, line);
        const int code = sluice::run_verb(*application);
        application->finish();
        return code;
    } catch (const sluice::Error& error) {
        leave(application.get(), error);
    } catch (const std::exception& error) {
        leave(application.get(), sluice::error_of(error));
    }
}
