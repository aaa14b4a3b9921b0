#include "report/shuffle_report.hpp"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "net/collectives.hpp"
#include "record/uint128_text.hpp"
#include "report/named_fields.hpp"
#include "report/stage_table.hpp"
#include "report/straggler_report.hpp"
#include "runtime/bounded_text.hpp"
#include "runtime/units.hpp"

namespace sluice {

namespace {

double seconds(std::uint64_t ns) { return static_cast<double>(ns) * 1e-9; }
double megabytes(std::uint64_t bytes) { return static_cast<double>(bytes) / 1e6; }
std::string human(std::uint64_t bytes) { return human_bytes(static_cast<double>(bytes)); }

/// When the workers of a stage ended, in seconds since the start; a rank has none of some stages.
std::string done_at(const PhaseReport& phase, StageKind stage) {
    for (const StageReport& report : phase.stages) {
        if (report.stage == stage) {
            return fmt::format("{} {:.2f}..{:.2f} s", word_of(stage), seconds(report.first_done_ns),
                               seconds(report.last_done_ns));
        }
    }
    return word_of(stage) + " -";
}

std::string host_lines(const ShuffleReport& report) {
    std::string text;
    const double elapsed_s = std::max(1e-9, report.elapsed_s());
    for (const HostTraffic& host : report.hosts()) {
        text += fmt::format("host {}: sent {} ({:.1f} MB/s), received {} ({:.1f} MB/s)", host.host,
                            human(host.sent_bytes), megabytes(host.sent_bytes) / elapsed_s, human(host.received_bytes),
                            megabytes(host.received_bytes) / elapsed_s);
        if (host.interfaces.known) {
            text += fmt::format("; its interfaces sent {} and received {} by the kernel's count",
                                human(host.interfaces.sent), human(host.interfaces.received));
        }
        text += "\n";
    }
    return text;
}

/// Small clusters get their matrix on the screen; large ones have it in result.json.
std::string pair_lines(const ShuffleReport& report) {
    const auto& pairs = report.result->pairs;
    if (pairs.size() > 8) return "";
    std::string text = "MB from (row) to (column)\n";
    for (std::size_t from = 0; from < pairs.size(); ++from) {
        text += fmt::format("  rank {:<4}", from);
        for (const RecordSum& sum : pairs[from])
            text += fmt::format("{:>10.1f}", megabytes(sum.count * report.prepared->plan.format.record_bytes));
        text += "\n";
    }
    return text;
}

std::string limit_lines(const ShuffleReport& report) {
    if (!report.limit) return "";
    const ShuffleLimit& limit = *report.limit;
    return fmt::format(
        "speed of light: alone on the same ranks, all at once, for the records of this shuffle: distribute {:.0f}, {} "
        "{:.0f}, redistribute {:.0f}, check {:.0f} MB/s; 1 / sum(1/rate) = {:.0f} MB/s, the shuffle went at {:.0f}: {} "
        "of the limit\n",
        limit.rate_mb_per_s(&ShuffleStepTimes::distribute_s), report.transport,
        limit.rate_mb_per_s(&ShuffleStepTimes::transport_s), limit.rate_mb_per_s(&ShuffleStepTimes::redistribute_s),
        limit.rate_mb_per_s(&ShuffleStepTimes::check_s), limit.mb_per_s(), report.mb_per_s(), report.of_limit());
}

nlohmann::json pairs_json(const ShuffleReport& report) {
    nlohmann::json pairs = nlohmann::json::array();
    for (std::size_t from = 0; from < report.ranks.size(); ++from) {
        for (std::size_t to = 0; to < report.ranks.size(); ++to) {
            const RecordSum& sum = report.result->pairs[from][to];
            const auto& peers = report.ranks[from].peers;
            pairs.push_back({{"from", from},
                             {"to", to},
                             {"records", sum.count},
                             {"bytes", sum.count * report.prepared->plan.format.record_bytes},
                             {"checksum", to_hex(sum.sum)},
                             {"messages", peers.empty() ? 0 : peers[to].sent_messages}});
        }
    }
    return pairs;
}

}  // namespace

std::vector<ShuffleRankReport> gather_shuffle_reports(Communicator& communicator, const ShuffleRankReport& mine) {
    return gather(communicator, mine);
}

RecordSum ShuffleReport::records() const {
    RecordSum total;
    for (const auto& row : result->pairs) {
        for (const RecordSum& sum : row) total += sum;
    }
    return total;
}
std::uint64_t ShuffleReport::bytes() const { return records().count * prepared->plan.format.record_bytes; }
double ShuffleReport::elapsed_s() const {
    std::uint64_t longest_ns = 0;
    for (const ShuffleRankReport& rank : ranks) longest_ns = std::max(longest_ns, rank.phase.elapsed_ns);
    return seconds(longest_ns);
}
double ShuffleReport::mb_per_s() const { return megabytes(bytes()) / std::max(1e-9, elapsed_s()); }
const char* ShuffleReport::status() const { return result->verified ? "VALID" : "UNCHECKED"; }
std::string ShuffleReport::of_limit() const {
    if (!limit) return "unmeasured";
    const double fraction = mb_per_s() / std::max(1e-9, limit->mb_per_s());
    return fraction > 1.02 ? fmt::format("INVALID({:.2f})", fraction) : fmt::format("{:.2f}", fraction);
}

std::vector<HostTraffic> ShuffleReport::hosts() const {
    std::vector<HostTraffic> hosts;
    const auto index_of = [&](const std::string& name) {
        const auto found = std::find_if(hosts.begin(), hosts.end(), [&](const auto& h) { return h.host == name; });
        return static_cast<std::size_t>(found - hosts.begin());
    };
    for (const ShuffleRankReport& rank : ranks) {
        // The first rank of a host speaks for its interfaces.
        if (index_of(rank.host) == hosts.size()) hosts.push_back({rank.host, 0, 0, rank.interfaces});
    }
    for (const ShuffleRankReport& rank : ranks) {
        for (std::size_t to = 0; to < rank.peers.size(); ++to) {
            if (hosts.size() > 1 && ranks[to].host == rank.host) continue;
            const std::uint64_t sent = rank.peers[to].sent_bytes + kHeaderBytes * rank.peers[to].sent_messages;
            hosts[index_of(rank.host)].sent_bytes += sent;
            hosts[index_of(ranks[to].host)].received_bytes += sent;
        }
    }
    return hosts;
}

double ShuffleReport::wire_mb_per_s_per_host() const {
    std::uint64_t total = 0, senders = 0, receivers = 0;
    for (const HostTraffic& host : hosts()) {
        total += host.sent_bytes;
        senders += host.sent_bytes > 0 ? 1 : 0;
        receivers += host.received_bytes > 0 ? 1 : 0;
    }
    const std::uint64_t narrow = std::max<std::uint64_t>(1, std::min(senders, receivers));
    return megabytes(total) / static_cast<double>(narrow) / std::max(1e-9, elapsed_s());
}

std::string tables(const ShuffleReport& report) {
    std::vector<const PhaseReport*> phases;
    for (const ShuffleRankReport& rank : report.ranks) phases.push_back(&rank.phase);
    const std::string title = "shuffle " + report.prepared->options.pattern.name() + " by " + report.transport;
    std::string text = stage_table(title.c_str(), phases, report.bytes());
    for (std::size_t rank = 0; rank < report.ranks.size(); ++rank) {
        const ShuffleRankReport& r = report.ranks[rank];
        text +=
            fmt::format("rank {} on {}: done, first to last: {}, {}, {}; peak memory {} of {} budget; CPU {:.2f} s\n",
                        rank, r.host, done_at(r.phase, StageKind::source), done_at(r.phase, StageKind::receiver),
                        done_at(r.phase, StageKind::sink), human(r.peak_resident_bytes), human(r.budget_bytes),
                        r.cpu_user_s + r.cpu_system_s);
    }
    text += host_lines(report) + stragglers_text(find_stragglers(report.ranks)) + pair_lines(report);
    const RecordSum total = report.records();
    text += fmt::format("records: {} made and got, {}\n", total.count,
                        report.result->verified ? "checksum " + to_hex(total.sum) + ", equal for every pair of ranks"
                                                : "checksums not compared (run.verify = false)");
    return text + limit_lines(report);
}

std::string shuffle_line(const ShuffleReport& report) {
    return fmt::format(
        "SHUFFLE status={} records={} bytes={} elapsed_s={:.3f} shuffle_mb_per_s={:.1f} wire_mb_per_s_per_host={:.1f} "
        "of_limit={}",
        report.status(), report.records().count, report.bytes(), report.elapsed_s(), report.mb_per_s(),
        report.wire_mb_per_s_per_host(), report.of_limit());
}

std::string result_json(const ShuffleReport& report) {
    const PhaseOnePlan& plan = report.prepared->plan.ranks.front().one;
    nlohmann::json document = {{"schema_version", 1},
                               {"kind", "shuffle"},
                               {"status", report.status()},
                               {"run_id", report.result->run_id},
                               {"transport", report.transport},
                               {"pattern", report.prepared->options.pattern.name()},
                               {"records", report.records().count},
                               {"bytes", report.bytes()},
                               {"checksum", to_hex(report.records().sum)},
                               {"elapsed_s", report.elapsed_s()},
                               {"shuffle_mb_per_s", report.mb_per_s()},
                               {"wire_mb_per_s_per_host", report.wire_mb_per_s_per_host()},
                               {"message_bytes", plan.message_bytes},
                               {"send_buffers", plan.send_buffers},
                               {"send_groups", plan.send_groups},
                               {"receive_buffers", plan.receive_buffers},
                               {"partitions", report.prepared->plan.ownership.partitions()},
                               {"mpi_library", report.mpi_library},
                               {"hosts", report.hosts()},
                               {"stragglers", parse_bounded_json(stragglers_json(find_stragglers(report.ranks)))},
                               {"pairs", pairs_json(report)},
                               {"ranks", report.ranks}};
    if (report.limit) {
        document["limit"] = {{"kind", "1 / sum(1/rate)"},
                             {"distribute_mb_per_s", report.limit->rate_mb_per_s(&ShuffleStepTimes::distribute_s)},
                             {"transport_mb_per_s", report.limit->rate_mb_per_s(&ShuffleStepTimes::transport_s)},
                             {"redistribute_mb_per_s", report.limit->rate_mb_per_s(&ShuffleStepTimes::redistribute_s)},
                             {"check_mb_per_s", report.limit->rate_mb_per_s(&ShuffleStepTimes::check_s)},
                             {"mb_per_s", report.limit->mb_per_s()},
                             {"of_limit", report.mb_per_s() / std::max(1e-9, report.limit->mb_per_s())}};
    }
    return document.dump(1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

}  // namespace sluice
