#include "cli/verbs.hpp"

#include <spdlog/fmt/fmt.h>

#include <cstdio>
#include <iostream>
#include <nlohmann/json.hpp>
#include <numeric>

#include "cli/bench_net_command.hpp"
#include "cli/clean_command.hpp"
#include "cli/config_command.hpp"
#include "cli/progress.hpp"
#include "cli/results_folder.hpp"
#include "cli/shuffle_command.hpp"
#include "jobs/data_jobs.hpp"
#include "jobs/report.hpp"
#include "jobs/straggler_report.hpp"
#include "record/uint128_text.hpp"
#include "runtime/bounded_text.hpp"
#include "runtime/launch_marks.hpp"
#include "runtime/machine.hpp"
#include "runtime/units.hpp"

namespace sluice {
namespace {

void print(const std::string& text) {
    std::fputs(text.c_str(), stdout);
    std::fflush(stdout);
}

int generate(Application& app) {
    const GenerateOptions options{app.line().ascii, app.line().keys, app.line().start, app.line().records, app.cores()};
    LiveCounters live;
    std::optional<Progress> progress;
    if (app.rank() == 0) progress.emplace(live, app.job().config.run.progress);
    const GenerateResult result = run_generate(app.job(), options, live);
    progress.reset();
    if (app.rank() == 0) {
        print(fmt::format("generated {} in {} file(s): {}, {:.2f} s\n",
                          human_bytes(static_cast<double>(options.records) * result.set.format.record_bytes),
                          result.set.files.size(), result.set.total.text(), result.elapsed_s));
    }
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

/// The copy moves the rank's own slices in the order and with the request size and depth of the sort's plan.
CopyResult copy_as_planned(Application& app, const PreparedSort& prepared, unsigned passes) {
    const PhaseOnePlan& plan = prepared.plan.ranks[app.rank()].one;
    return run_bare_copy(app.job(), prepared.slices, passes, plan.read_bytes, plan.read_depth);
}

int bench_copy(Application& app) {
    JobContext& job = app.job();
    const PreparedSort prepared = prepare_sort(job, app.sort_options());
    const CopyResult result = copy_as_planned(app, prepared, app.line().one_pass_copy ? 1 : 2);
    if (app.rank() == 0) {
        print(fmt::format(
            "COPY passes={} bytes={} pass_one_s={:.3f} pass_two_s={:.3f} elapsed_s={:.3f} mb_per_s={:.1f}\n",
            result.passes, result.bytes, result.pass_one_s, result.pass_two_s, result.elapsed_s(),
            static_cast<double>(result.bytes) / 1e6 / result.elapsed_s()));
    }
    return 0;
}

std::string write_results(Application& app, const RunReport& report) {
    return write_results_folder(app, "sort", report.result->run_id,
                                {{"result.json", result_json(report)},
                                 {"summary.txt", tables(report) + result_line(report) + "\n"},
                                 {"ranks.csv", ranks_csv(report.ranks)},
                                 {"config.effective.toml", report.config_toml},
                                 {"system.json", report.system_json + "\n"},
                                 {"status.json", app.watchdog().status().done_text()}});
}

RankReport report_of(Application& app, const PreparedSort& prepared, const SortResult& result, double elapsed_s) {
    RankReport mine;
    const ProcessCpu cpu = read_process_cpu();
    mine.host = app.host();
    mine.placement = app.placement().explanation;
    mine.memory_pages = result.memory_pages;
    mine.zero = result.zero;
    mine.one = result.one;
    mine.overflow = result.overflow;
    mine.exceeded = result.exceeded;
    mine.split_partitions = result.split_partitions;
    mine.two = result.two;
    mine.cpu_user_s = cpu.user_s;
    mine.cpu_system_s = cpu.system_s;
    mine.elapsed_s = elapsed_s;
    mine.peak_resident_bytes = cpu.peak_resident_bytes;
    mine.budget_bytes = prepared.resources[app.rank()].budget_bytes;
    mine.switches = cpu.voluntary_switches + cpu.involuntary_switches;
    mine.padding_bytes = result.padding_bytes;
    mine.extents = result.extents;
    mine.cached_disks = prepared.cached_disks;
    mine.first_arrival_input_fraction = result.first_arrival_input_fraction;
    mine.boundary_s = static_cast<double>(result.boundary_ns) * 1e-9;
    if (result.first_read_ns != 0) mine.startup_s = app.since_main_s(result.first_read_ns);
    for (const PeerCounters& peer : result.peers) {
        mine.sent_bytes += peer.sent_bytes;
        mine.received_bytes += peer.received_bytes;
        mine.links.push_back({peer.sent_bytes, peer.send_busy_ns});
    }
    return mine;
}

int sort(Application& app) {
    JobContext& job = app.job();
    const SortOptions options = app.sort_options();
    PreparedSort prepared = prepare_sort(job, options);
    if (job.config.passes == "auto") job.say(prepared.plan.passes_reason);
    if (app.placement().shared_with_other_ranks) job.say("note: " + app.placement().explanation);
    LiveCounters live;
    std::optional<Progress> progress;
    if (app.rank() == 0) progress.emplace(live, job.config.run.progress);
    const SortResult result = run_sort(job, prepared, options, live);
    progress.reset();
    RunReport report;
    report.elapsed_s = app.elapsed_since_launch_s(result.durable_ns);
    report.ranks = gather_reports(job.communicator, report_of(app, prepared, result, report.elapsed_s));
    report.prepared = &prepared;
    report.result = &result;
    if (job.config.run.limit == "copy" || (job.config.run.limit == "two-pass-copy" && prepared.plan.passes == 2))
        report.copy = copy_as_planned(app, prepared, prepared.plan.passes);
    if (app.rank() != 0) return 0;
    report.config_toml = app.config().effective_toml(app.host());
    report.system_json = describe_system_json();
    report.mpi_library = app.mpi_library();
    const std::string folder = write_results(app, report);
    announce_published(result_line(report));
    print(tables(report) + "results: " + folder + "\n" + result_line(report) + "\n");
    return 0;
}

int config(Application& app) {
    const CommandLine& line = app.line();
    if (line.subverb == "show") {
        if (app.rank() == 0) print_config_origins(std::cout, app.config(), app.host());
        return 0;
    }
    const bool described = line.input_bytes != 0 || line.hosts != 0;
    if (described) {
        if (app.rank() == 0) print_described_plan(std::cout, line, app.config());
        return 0;
    }
    const PreparedSort prepared = prepare_sort(app.job(), app.sort_options());
    const auto placements = app.job().communicator.all_gather(
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
    if (line.verb == "sysinfo") {
        print(parse_bounded_json(describe_system_json()).dump(1) + "\n");
        return 0;
    }
    if (line.verb == "config" && line.subverb == "list") {
        print_option_list(std::cout, line.markdown);
        return 0;
    }
    return -1;
}

int run_verb(Application& app) {
    const std::string& verb = app.line().verb;
    if (verb == "gen") return generate(app);
    if (verb == "sort") return sort(app);
    if (verb == "validate") return validate(app);
    if (verb == "shuffle") return shuffle_command(app);
    if (verb == "bench" && app.line().subverb == "net") return bench_net_command(app);
    if (verb == "bench") return bench_copy(app);
    if (verb == "config") return config(app);
    return clean_command(app);
}

}  // namespace sluice
