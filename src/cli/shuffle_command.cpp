#include "cli/shuffle_command.hpp"

#include <algorithm>

#include "cli/results_folder.hpp"
#include "cli/standard_output.hpp"
#include "net/transport_kind.hpp"
#include "report/shuffle_report.hpp"
#include "runtime/machine.hpp"

namespace sluice {
namespace {

// A step alone is measured for half as long as the shuffle took, within bounds: long enough for TCP to find its rate.
constexpr std::uint64_t kShortestStepNs = 300'000'000, kLongestStepNs = 3'000'000'000;

ShuffleOptions options_of(const Application& app, std::uint64_t seed) {
    const CommandLine& line = app.line();
    ShuffleOptions options;
    if (!line.pattern.empty()) options.pattern.kind = *parse_pattern(line.pattern);
    options.pattern.stride = line.stride;
    options.pattern.seed = seed;
    options.records = line.records;
    options.duration_ns = static_cast<std::uint64_t>(line.seconds * 1e9);
    options.limit = line.limit;
    return options;
}

ShuffleRankReport report_of(const Application& app, const PreparedShuffle& prepared, const ShuffleResult& result) {
    ShuffleRankReport mine;
    const ProcessCpu cpu = read_process_cpu();
    mine.host = app.host();
    mine.placement = app.placement().explanation;
    mine.memory_pages = result.memory_pages;
    mine.phase = result.report;
    mine.peers = result.peers;
    mine.interfaces = result.interfaces;
    mine.cpu_user_s = cpu.user_s;
    mine.cpu_system_s = cpu.system_s;
    mine.peak_resident_bytes = cpu.peak_resident_bytes;
    mine.budget_bytes = prepared.resources[app.rank()].budget_bytes;
    return mine;
}

}  // namespace

int shuffle_command(Application& app) {
    JobContext& job = app.job();
    const PreparedShuffle prepared = prepare_shuffle(job, app.means(), options_of(app, job.config.run.seed));
    std::uint64_t budget_bytes = 0;
    for (const std::uint32_t rank : job.place.ranks_here) budget_bytes += prepared.resources[rank].budget_bytes;
    app.host_share().claim_memory(budget_bytes);
    say_notes(job, app.host_share().notes());
    if (app.placement().shared_with_other_ranks) job.say("note: " + app.placement().explanation);
    const ShuffleResult result = run_shuffle(job, prepared);
    ShuffleReport report;
    report.ranks = gather_shuffle_reports(job.communicator, report_of(app, prepared, result));
    report.prepared = &prepared;
    report.result = &result;
    const bool several_hosts = std::any_of(report.ranks.begin(), report.ranks.end(),
                                           [&](const auto& rank) { return rank.host != app.host(); });
    report.transport = transport_label(job.config.net.transport, several_hosts);
    if (prepared.options.limit) {
        const double elapsed_ns = job.communicator.maximum(static_cast<double>(result.elapsed_ns));
        const auto half_ns = static_cast<std::uint64_t>(elapsed_ns / 2);
        report.limit =
            measure_shuffle_limit(job, prepared, result, std::clamp(half_ns, kShortestStepNs, kLongestStepNs));
    }
    if (app.rank() != 0) return 0;
    report.config_toml = app.config().effective_toml(app.host());
    report.system_json = describe_system_json();
    report.mpi_library = app.mpi_library();
    const std::string text = tables(report), line = shuffle_line(report) + "\n";
    const std::string folder = write_results_folder(app, "shuffle", result.run_id,
                                                    {{"result.json", result_json(report)},
                                                     {"summary.txt", text + line},
                                                     {"config.effective.toml", report.config_toml},
                                                     {"system.json", report.system_json + "\n"}});
    print(text + "results: " + folder + "\n" + line);
    return 0;
}

}  // namespace sluice
