#include "cli/verbs.hpp"
#include "cli/build_id.hpp"

#include <spdlog/fmt/fmt.h>

#include <optional>
#include <sstream>

#include "cli/bench_net_command.hpp"
#include "cli/clean_command.hpp"
#include "cli/config_command.hpp"
#include "cli/progress.hpp"
#include "cli/shuffle_command.hpp"
#include "cli/sort_command.hpp"
#include "cli/standard_output.hpp"
#include "jobs/data_jobs.hpp"
#include "net/collectives.hpp"
#include "plan/plan.hpp"
#include "record/uint128_text.hpp"
#include "runtime/machine.hpp"
#include "runtime/units.hpp"

namespace sluice {
namespace {

int generate(Application& app) {
    const GenerateOptions options{app.line().ascii, app.line().keys, app.line().start, app.line().records, app.cores()};
    LiveCounters live;
    std::optional<Progress> progress;
    if (app.rank() == 0) progress.emplace(live, app.job().config.run.progress);
    app.job().live = &live;
    GenerateResult result;
    const auto words = [&] {
        return fmt::format("generated {} in {} file(s): {}, {:.2f} s",
                           human_bytes(static_cast<double>(options.records) * result.set.format.record_bytes),
                           result.set.files.size(), result.set.total.text(), result.elapsed_s);
    };
    app.when_published(words);
    try {
        run_generate(app.job(), options, result);
    } catch (const std::exception& error) {
        if (!app.watchdog().settled()) throw;
        app.failed_after_publishing(error);
    }
    progress.reset();
    if (app.rank() == 0) app.say_result("", words());
    return 0;
}

int validate(Application& app) {
    const ValidateResult result = run_validate(app.job(), app.cores());
    if (app.rank() == 0) {
        const SortSummary& s = result.summary;
        print(fmt::format(
            "VALIDATE status={} records={} checksum={} duplicate_keys={} parts={} empty_parts={} stray_parts={} "
            "compared_with=\"{}\" elapsed_s={:.3f}\n",
            result.sum_is_known ? "VALID" : "UNCHECKED", s.sum.count, to_hex(s.sum.sum), to_decimal(s.duplicate_keys),
            result.parts, result.empty_parts, result.stray_parts, result.expected_from, result.elapsed_s));
    }
    return 0;
}

int config(Application& app) {
    const CommandLine& line = app.line();
    if (line.command == Command::config_show) {
        std::ostringstream text;
        print_config_origins(text, app.config(), app.host());
        if (app.rank() == 0) print(text.str());
        return 0;
    }
    if (line.is_described()) {
        std::ostringstream text;
        if (app.rank() == 0) print_described_plan(text, line, app.config());
        if (app.rank() == 0) print(text.str());
        return 0;
    }
    const PreparedSort prepared = prepare_sort(app.job(), app.means());
    const auto placements =
        gather(app.job().communicator,
               app.placement().explanation + threads_and_cores(app.placement(), prepared.plan.ranks[app.rank()]));
    if (app.rank() == 0) {
        print(
            describe(plan_sort(app.job().config, prepared.plan.format, prepared.resources, true), prepared.resources));
        for (std::size_t rank = 0; rank < placements.size(); ++rank)
            print(fmt::format("rank {} runs on {}\n", rank, placements[rank]));
    }
    return 0;
}

}  // namespace

int run_simple_verb(const CommandLine& line) {
    if (line.version) {
        print(build_id() + "\n");
        return 0;
    }
    if (line.help || line.verb.empty()) {
        print(help_text(line.verb));
        return line.help ? 0 : 2;
    }
    if (line.command == Command::sysinfo) {
        print(describe_system_json("", 1) + "\n");
        return 0;
    }
    if (line.command == Command::config_list) {
        std::ostringstream text;
        print_option_list(text, line.markdown);
        print(text.str());
        return 0;
    }
    return -1;
}

int run_verb(Application& app) {
    switch (app.line().command) {
        case Command::gen:
            return generate(app);
        case Command::sort:
            return sort_command(app);
        case Command::validate:
            return validate(app);
        case Command::shuffle:
            return shuffle_command(app);
        case Command::bench_copy:
            return bench_copy_command(app);
        case Command::bench_net:
            return bench_net_command(app);
        case Command::config_check:
        case Command::config_show:
            return config(app);
        case Command::clean:
            return clean_command(app);
        case Command::none:
        case Command::config_list:
        case Command::sysinfo:
            break;  // run_simple_verb() did it
    }
    throw Error(Errc::internal, "no work for '" + app.line().verb + "'; please report this");
}

}  // namespace sluice
