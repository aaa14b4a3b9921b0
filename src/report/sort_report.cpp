#include "report/sort_report.hpp"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <numeric>

#include "net/transport_kind.hpp"
#include "record/uint128_text.hpp"
#include "report/named_fields.hpp"
#include "report/stage_table.hpp"
#include "report/straggler_report.hpp"
#include "runtime/bounded_text.hpp"
#include "runtime/units.hpp"

namespace sluice {

/// Two numbers, since there are as many as pairs of ranks.
void to_json(nlohmann::json& json, const LinkReport& link) { json = {link.sent_bytes, link.busy_ns}; }

namespace {

double seconds(std::uint64_t ns) { return static_cast<double>(ns) * 1e-9; }

template <typename Get>
double sum_of(const std::vector<RankReport>& ranks, Get get) {
    return std::accumulate(ranks.begin(), ranks.end(), 0.0,
                           [&](double sum, const RankReport& rank) { return sum + static_cast<double>(get(rank)); });
}

std::string phase_table(const RunReport& report, const char* title, PhaseReport RankReport::*phase) {
    std::vector<const PhaseReport*> ranks;
    for (const RankReport& rank : report.ranks) ranks.push_back(&(rank.*phase));
    return stage_table(title, ranks, report.input_bytes());
}

/// Only where it is not what its name says.
std::string transport_line(const RunReport& report) {
    const bool several_hosts = std::any_of(report.ranks.begin(), report.ranks.end(), [&](const RankReport& rank) {
        return rank.host != report.ranks.front().host;
    });
    if (!several_hosts || !report.prepared->plan.ranks.front().one.receive_in_window) return "";
    return "transport: " + transport_label(TransportKind::rma, several_hosts) + "\n";
}

}  // namespace

std::uint64_t RunReport::input_bytes() const { return result->input.count * prepared->plan.format.record_bytes; }
double RunReport::startup_s() const {
    double last = 0;
    for (const RankReport& rank : ranks) last = std::max(last, rank.startup_s);
    return last;
}
double RunReport::per_tuple(std::uint64_t (*bytes)(const PhaseReport&)) const {
    return sum_of(ranks,
                  [&](const RankReport& r) {
                      return bytes(r.zero) + bytes(r.one) + bytes(r.overflow) + bytes(r.two) + bytes(r.exceeded);
                  }) /
           std::max<double>(1, static_cast<double>(input_bytes()));
}
double RunReport::reads_per_tuple() const {
    return per_tuple([](const PhaseReport& p) { return p.io.read_bytes; });
}
double RunReport::writes_per_tuple() const {
    return per_tuple([](const PhaseReport& p) { return p.io.written_bytes; });
}
double RunReport::kernel_reads_per_tuple() const {
    return per_tuple([](const PhaseReport& p) { return p.kernel_read_bytes; });
}
double RunReport::kernel_writes_per_tuple() const {
    return per_tuple([](const PhaseReport& p) { return p.kernel_written_bytes; });
}
std::uint64_t RunReport::split_partitions() const {
    return static_cast<std::uint64_t>(sum_of(ranks, [](const RankReport& r) { return r.split_partitions; }));
}
double RunReport::sampled_share() const {
    return sum_of(ranks, [](const RankReport& r) { return r.zero.io.read_bytes; }) /
           std::max<double>(1, static_cast<double>(input_bytes()));
}
bool RunReport::is_cached() const {
    return std::any_of(ranks.begin(), ranks.end(), [](const RankReport& r) { return !r.cached_disks.empty(); });
}
const char* RunReport::status() const { return result->verified ? "VALID" : "UNCHECKED"; }
std::string RunReport::of_limit() const {
    if (is_cached()) return "cached";  // how far from the memory's limit says nothing of the disks
    return copy && elapsed_s > 0 ? fmt::format("{:.2f}", copy->elapsed_s() / elapsed_s) : "unmeasured";
}

/// One line: phase zero has one stage, and its figure is how little it read.
std::string phase_zero_line(const RunReport& report) {
    if (report.result->zero.phase.empty())
        return "phase zero (sample): skipped, keys.distribution = \"uniform\" is promised\n";
    std::uint64_t elapsed_ns = 0;
    for (const RankReport& rank : report.ranks) elapsed_ns = std::max(elapsed_ns, rank.zero.elapsed_ns);
    return fmt::format("phase zero (sample): {:.3f} s, {} samples, {} read in {:.0f} requests: {:.4f} % of the input\n",
                       seconds(elapsed_ns), report.result->samples,
                       human_bytes(sum_of(report.ranks, [](const RankReport& r) { return r.zero.io.read_bytes; })),
                       sum_of(report.ranks, [](const RankReport& r) { return r.zero.io.read_requests; }),
                       100 * report.sampled_share());
}

/// Said only when it happened: the run was no two-pass sort.
std::string overflow_line(const RunReport& report) {
    if (report.split_partitions() == 0) return "";
    std::uint64_t elapsed_ns = 0;
    for (const RankReport& rank : report.ranks) elapsed_ns = std::max(elapsed_ns, rank.overflow.elapsed_ns);
    const auto moved = [&](auto bytes) { return human_bytes(sum_of(report.ranks, bytes)); };
    return fmt::format(
        "NOTE two-pass was exceeded: {} partition(s) did not fit in memory and were split by one more pass, {:.2f} s, "
        "{} "
        "read and {} written beyond two-pass{}\n",
        report.split_partitions(), seconds(elapsed_ns),
        moved([](const RankReport& r) { return r.overflow.io.read_bytes; }),
        moved([](const RankReport& r) { return r.overflow.io.written_bytes; }),
        report.result->zero.phase.empty() ? "; the keys are not uniform: sample (keys.distribution = \"sample\")" : "");
}

/// Said only when it happened: more was read than one pass does.
std::string exceeded_line(const RunReport& report) {
    if (report.result->exceeded_attempts == 0) return "";
    std::uint64_t elapsed_ns = 0;
    for (const RankReport& rank : report.ranks) elapsed_ns = std::max(elapsed_ns, rank.exceeded.elapsed_ns);
    return fmt::format(
        "NOTE one pass was exceeded: {} attempt(s) met more on some rank than its memory was planned "
        "for, {:.2f} s and {} read beyond the pass(es) below\n",
        report.result->exceeded_attempts, seconds(elapsed_ns),
        human_bytes(sum_of(report.ranks, [](const RankReport& r) { return r.exceeded.io.read_bytes; })));
}

/// Each disk of each host once, not for each of its ranks.
std::string cached_lines(const RunReport& report) {
    std::string text;
    for (const RankReport& rank : report.ranks) {
        for (const std::string& disk : rank.cached_disks) {
            const std::string line = fmt::format(
                "NOTE cached: disk '{}' on host {} was read and written through the page cache, not by "
                "direct I/O; the figures are the memory's as much as the disk's\n",
                disk, rank.host);
            if (text.find(line) == std::string::npos) text += line;
        }
    }
    return text;
}

/// Where disks could stand still unseen: synchronous submission, and the change from one phase to the next.
std::string idle_disks_line(const RunReport& report) {
    const auto submit_s = [&](PhaseReport RankReport::*phase) {
        return sum_of(report.ranks, [&](const RankReport& r) { return (r.*phase).io.submit_ns; }) * 1e-9;
    };
    double boundary_s = 0;
    for (const RankReport& rank : report.ranks) boundary_s = std::max(boundary_s, rank.boundary_s);
    return fmt::format("inside io_submit: {:.3f} s in phase one, {:.3f} s in phase two, over all threads{}\n",
                       submit_s(&RankReport::one), submit_s(&RankReport::two),
                       boundary_s == 0 ? ""  // one pass writes no log
                                       : fmt::format("; {:.1f} ms from the last write of phase one to the first read "
                                                     "of phase two",
                                                     boundary_s * 1e3));
}

std::string tables(const RunReport& report) {
    std::string text = exceeded_line(report) + phase_zero_line(report) +
                       phase_table(report, "phase one (distribute)", &RankReport::one) + overflow_line(report) +
                       phase_table(report, "phase two (sort)", &RankReport::two);
    const double gigabytes = std::max(1e-9, static_cast<double>(report.input_bytes()) / 1e9);
    const double cpu_s = sum_of(report.ranks, [](const RankReport& r) { return r.cpu_user_s + r.cpu_system_s; });
    text += fmt::format(
        "reads and writes per tuple: {:.4f} and {:.4f} by our completed requests, {:.4f} and {:.4f} by the kernel\n",
        report.reads_per_tuple(), report.writes_per_tuple(), report.kernel_reads_per_tuple(),
        report.kernel_writes_per_tuple());
    text += idle_disks_line(report) + transport_line(report);
    text += report.prepared->plan.passes_reason +
            fmt::format("; {:.2f} s from program start to first read\n", report.startup_s());
    text += input_lines(report.result->input_by_host);
    text += fmt::format("records: {} in, {} out, checksum {}, {}\n", report.result->input.count,
                        report.result->output.count, to_hex(report.result->output.sum),
                        report.result->verified ? "equal" : "not compared (run.verify = false)");
    text += cached_lines(report) + report.result->balance.text();
    for (std::size_t rank = 0; rank < report.ranks.size(); ++rank) {
        const RankReport& r = report.ranks[rank];
        text += fmt::format(
            "rank {} on {}: {}; {}; peak memory {}, of {} budget and up to 64 MiB for program and MPI ({}); CPU {:.2f} "
            "s; {} extents, {} padding; "
            "network sent {}, received {}\n",
            rank, r.host, r.placement, done_text(r), human_bytes(static_cast<double>(r.peak_resident_bytes)),
            human_bytes(static_cast<double>(r.budget_bytes)), r.memory_pages, r.cpu_user_s + r.cpu_system_s, r.extents,
            human_bytes(static_cast<double>(r.padding_bytes)), human_bytes(static_cast<double>(r.sent_bytes)),
            human_bytes(static_cast<double>(r.received_bytes)));
    }
    const auto slowest_s = [&](PhaseReport RankReport::*phase) {
        std::uint64_t longest_ns = 0;
        for (const RankReport& rank : report.ranks) longest_ns = std::max(longest_ns, (rank.*phase).elapsed_ns);
        return static_cast<double>(longest_ns) * 1e-9;
    };
    const double phases_s = slowest_s(&RankReport::one) + slowest_s(&RankReport::two);
    text += fmt::format(
        "elapsed: {:.2f} s from launch to durable MANIFEST, {:.2f} s of it outside the phases (start, preflight, "
        "memory, "
        "preallocation, checks, publishing)\n",
        report.elapsed_s, std::max(0.0, report.elapsed_s - phases_s));
    text += fmt::format("CPU: {:.2f} core-seconds per GB, {:.0f} context switches per GB\n", cpu_s / gigabytes,
                        sum_of(report.ranks, [](const RankReport& r) { return r.switches; }) / gigabytes);
    text += stragglers_text(find_stragglers(report.ranks));
    if (report.copy) {
        text += fmt::format(
            "speed of light: the bare {}-pass copy of the same bytes takes {:.2f} + {:.2f} = {:.2f} s here; the sort "
            "took {:.2f} s: {}\n",
            report.copy->passes == 1 ? "one" : "two", report.copy->pass_one_s, report.copy->pass_two_s,
            report.copy->elapsed_s(), report.elapsed_s,
            report.is_cached() ? "both through the page cache, so this is no distance from the disks' limit"
                               : report.of_limit() + " of the limit");
    }
    return text;
}

std::string result_line(const RunReport& report) {
    return fmt::format(
        "RESULT status={} records={} bytes={} elapsed_s={:.3f} sort_mb_per_s={:.1f} of_limit={} reads_per_tuple={:.2f} "
        "writes_per_tuple={:.2f} input_files={} input_hosts={}{}{}{}",
        report.status(), report.result->output.count, report.input_bytes(), report.elapsed_s,
        static_cast<double>(report.input_bytes()) / 1e6 / std::max(1e-9, report.elapsed_s), report.of_limit(),
        report.reads_per_tuple(), report.writes_per_tuple(), count_files(report.result->input_by_host),
        report.result->input_by_host.size(), report.split_partitions() == 0 ? "" : " note=two-pass-exceeded",
        report.result->exceeded_attempts == 0 ? "" : " note=one-pass-exceeded",
        report.is_cached() ? " note=cached" : "");
}

std::string result_json(const RunReport& report) {
    nlohmann::json document = {
        {"schema_version", 1},
        {"status", report.status()},
        {"run_id", report.result->run_id},
        {"records", report.result->output.count},
        {"input_bytes", report.input_bytes()},
        {"input", parse_bounded_json(input_json(report.result->input_by_host))},
        {"checksum", to_hex(report.result->output.sum)},
        {"elapsed_s", report.elapsed_s},
        {"sort_bytes_per_second", static_cast<double>(report.input_bytes()) / std::max(1e-9, report.elapsed_s)},
        {"reads_per_tuple", report.reads_per_tuple()},
        {"writes_per_tuple", report.writes_per_tuple()},
        {"kernel_reads_per_tuple", report.kernel_reads_per_tuple()},
        {"kernel_writes_per_tuple", report.kernel_writes_per_tuple()},
        {"startup_s", report.startup_s()},
        {"passes", report.prepared->plan.passes},
        {"passes_reason", report.prepared->plan.passes_reason},
        {"partitions", report.prepared->plan.ownership.partitions()},
        {"mean_partition_bytes", report.prepared->plan.mean_partition_bytes},
        {"passes_exceeded", report.split_partitions() != 0 || report.result->exceeded_attempts != 0},
        {"one_pass_attempts_exceeded", report.result->exceeded_attempts},
        {"split_partitions", report.split_partitions()},
        {"cached", report.is_cached()},
        {"samples", report.result->samples},
        {"sampled_share", report.sampled_share()},
        {"balance", parse_bounded_json(report.result->balance.to_json())},
        {"mpi_library", report.mpi_library},
        {"stragglers", parse_bounded_json(stragglers_json(find_stragglers(report.ranks)))},
        {"ranks", report.ranks}};
    if (report.copy) {
        document["limit"] = {{"kind", report.copy->passes == 1 ? "one-pass-copy" : "two-pass-copy"},
                             {"pass_one_s", report.copy->pass_one_s},
                             {"pass_two_s", report.copy->pass_two_s},
                             {"cached", report.is_cached()}};
        if (!report.is_cached())
            document["limit"]["of_limit"] = report.copy->elapsed_s() / std::max(1e-9, report.elapsed_s);
    }
    return document.dump(1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

}  // namespace sluice
