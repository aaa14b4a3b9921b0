#include "cli/sort_command.hpp"

#include <spdlog/fmt/fmt.h>

#include <optional>
#include <string>

#include "cli/progress.hpp"
#include "cli/results_folder.hpp"
#include "cli/standard_output.hpp"
#include "jobs/data_jobs.hpp"
#include "plan/cluster.hpp"
#include "report/sort_report.hpp"
#include "report/straggler_report.hpp"
#include "runtime/machine.hpp"
#include "runtime/packing.hpp"
#include "runtime/units.hpp"

namespace sluice {
namespace {

/// The copy moves the rank's own slices in the order and with the request size and depth of the sort's plan.
CopyResult copy_as_planned(Application& app, const PreparedSort& prepared, unsigned passes) {
    const PhaseOnePlan& plan = prepared.plan.ranks[app.rank()].one;
    return run_bare_copy(app.job(), prepared.slices, passes, plan.read_bytes, plan.read_depth);
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

RankReport report_of(Application& app, const PreparedSort& prepared, const SortResult& result) {
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
    mine.peak_resident_bytes = cpu.peak_resident_bytes;
    mine.budget_bytes = prepared.resources[app.rank()].budget_bytes;
    mine.switches = cpu.voluntary_switches + cpu.involuntary_switches;
    mine.padding_bytes = result.padding_bytes;
    mine.extents = result.extents;
    mine.cached_disks = cached_places(app.job(), prepared.cached_disks);
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

/// Measured after publishing, by all ranks together; what goes wrong there costs the figure, not the result.
void measure_limit(Application& app, const PreparedSort& prepared, RunReport& report) {
    const LimitKind limit = app.job().config.run.limit;
    if (limit == LimitKind::copy || (limit == LimitKind::two_pass_copy && prepared.plan.passes == 2))
        report.copy = copy_as_planned(app, prepared, prepared.plan.passes);
}

/// What rank 0 says at the end, whatever becomes of each part of it.
void say_all(Application& app, RunReport& report) {
    std::string text;
    try {
        report.config_toml = app.config().effective_toml(app.host());
        report.system_json = describe_system_json();
        report.mpi_library = app.mpi_library();
        text = tables(report);
        text += "results: " + write_results(app, report) + "\n";
    } catch (const std::exception& error) {
        app.warn_after_publishing("the results folder is missing: " + std::string(error.what()));
    }
    app.say_result(text, result_line(report));
}

/// Buffers of all ranks of this host, and what tables, program and MPI take beside them.
void claim_memory(Application& app, const SortPlan& plan) {
    std::uint64_t bytes = 0;
    for (const std::uint32_t rank : app.job().place.ranks_here) {
        const RankPlan& each = plan.ranks[rank];
        bytes += each.memory_bytes() + each.tables.of_budget() + kBesideBudgetBytes;
    }
    app.host_share().claim_memory(bytes);
}

}  // namespace

int bench_copy_command(Application& app) {
    JobContext& job = app.job();
    const PreparedSort prepared = prepare_sort(job, app.means());
    claim_memory(app, prepared.plan);
    const CopyResult result = copy_as_planned(app, prepared, app.line().one_pass_copy ? 1 : 2);
    const bool cached = sum_over_ranks(job.communicator, cached_places(job, prepared.cached_disks).size()) != 0;
    if (app.rank() == 0) {
        print(fmt::format(
            "COPY passes={} bytes={} pass_one_s={:.3f} pass_two_s={:.3f} elapsed_s={:.3f} mb_per_s={:.1f}{}\n",
            result.passes, result.bytes, result.pass_one_s, result.pass_two_s, result.elapsed_s(),
            static_cast<double>(result.bytes) / 1e6 / result.elapsed_s(), cached ? " note=cached" : ""));
    }
    return 0;
}

int sort_command(Application& app) {
    JobContext& job = app.job();
    PreparedSort prepared = prepare_sort(job, app.means());
    claim_memory(app, prepared.plan);
    if (job.config.passes == Passes::automatic) job.say(prepared.plan.passes_reason);
    if (app.placement().shared_with_other_ranks) job.say("note: " + app.placement().explanation);
    LiveCounters live;
    std::optional<Progress> progress;
    if (app.rank() == 0) progress.emplace(live, job.config.run.progress);
    job.live = &live;
    SortResult result;
    RunReport report;
    report.prepared = &prepared;
    report.result = &result;
    SortOptions options;
    options.since_launch_s = [&] { return app.since_launch_s(job.executor.now_ns()); };
    options.report = [&](const SortResult& mine) { return pack(report_of(app, prepared, mine)); };
    // Whatever RESULT needs of other ranks is here before the commit record: none of them is needed after it.
    options.before_publish = [&](const SortResult& almost, const std::vector<std::string>& reports) {
        result = almost;
        for (const std::string& text : reports) report.ranks.push_back(unpack<RankReport>(text));
    };
    app.when_published([&] {
        report.elapsed_s = options.since_launch_s() + result.launch_lag_s;
        for (RankReport& rank : report.ranks) rank.elapsed_s = report.elapsed_s;
        return result_line(report);
    });
    try {
        run_sort(job, prepared, options);
        progress.reset();
        measure_limit(app, prepared, report);
    } catch (const std::exception& error) {
        if (!app.watchdog().settled()) throw;
        app.failed_after_publishing(error);
    }
    progress.reset();
    if (app.rank() == 0) say_all(app, report);
    return 0;
}

}  // namespace sluice
