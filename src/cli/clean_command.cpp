#include "cli/clean_command.hpp"

#include <poll.h>
#include <spdlog/fmt/fmt.h>
#include <unistd.h>

#include <cstdio>
#include <iostream>
#include <string>

#include "cli/standard_output.hpp"
#include "jobs/clean_job.hpp"
#include "plan/cluster.hpp"
#include "runtime/units.hpp"

namespace sluice {
namespace {

/// On a terminal a person decides; elsewhere only --yes does.
bool may_remove(JobContext& job, const CommandLine& line, const std::vector<std::string>& lines) {
    const Step step = open_step(job, "waits for an answer");
    std::string text = line.dry_run ? "would be removed:\n" : "to be removed:\n";
    for (const std::string& each : lines) text += "  " + each + "\n";
    print(text);
    if (line.dry_run || line.yes) return true;
    if (::isatty(STDIN_FILENO) == 0 || ::isatty(STDOUT_FILENO) == 0) return false;
    print("remove all this? [y/N] ");
    // A person may take longer than the watchdog does: the waiting is a step, with a sign of life each second.
    for (pollfd keyboard{STDIN_FILENO, POLLIN, 0}; ::poll(&keyboard, 1, 1000) == 0;) tick_step();
    std::string answer;
    std::getline(std::cin, answer);
    return answer == "y" || answer == "Y" || answer == "yes";
}

void report(Application& app, const Leftovers& left, bool also_when_nothing) {
    say_notes(app.job(), left.removal.kept);
    if (app.rank() != 0) return;
    for (const std::string& run : left.runs) print("removed what dead " + run + " left\n");
    if (left.restored > 0)
        print(fmt::format("{} older data set director{} got back the name(s) that dead runs had taken\n", left.restored,
                          left.restored == 1 ? "y" : "ies"));
    if (left.removal.files > 0 || also_when_nothing)
        print(fmt::format("removed {} file(s), {}\n", left.removal.files,
                          human_bytes(static_cast<double>(left.removal.bytes))));
}

}  // namespace

int clean_command(Application& app) {
    const CommandLine& line = app.line();
    JobContext& job = app.job();
    CleanOptions options;
    options.with_input = line.with_input;
    options.dry_run = line.dry_run;
    options.force = line.force;
    if (!line.run_id.empty()) options.only_runs = leftovers_of(line.run_id, line.force);
    options.confirm = [&](const std::vector<std::string>& lines) { return may_remove(job, line, lines); };
    const CleanResult result = run_clean(job, options);
    if (options.only_runs && !line.dry_run) {
        report(app, result.left, false);
        if (app.rank() == 0 && result.left.runs.empty())
            print("nothing to remove" +
                  (line.run_id == "all" ? std::string(" of dead runs\n") : " of run " + line.run_id + "\n"));
        return 0;
    }
    if (!result.found) {
        if (app.rank() == 0) print("nothing to remove\n");
        return 0;
    }
    if (line.dry_run) return 0;
    if (!result.confirmed) {
        throw CollectiveError(Errc::config,
                              "clean: nothing was removed; say --yes to remove what is listed, --dry-run to "
                              "only list it");
    }
    report(app, result.left, true);
    return 0;
}

}  // namespace sluice
