// What `sluice bench net` prints and writes; the columns are defined in docs/metrics.md.
#include <spdlog/fmt/fmt.h>

#include <nlohmann/json.hpp>

#include "jobs/bench_net.hpp"
#include "runtime/bounded_text.hpp"
#include "runtime/units.hpp"

namespace sluice {
namespace {

nlohmann::json json_of(const Spread& spread) {
    return {{"min", spread.min}, {"median", spread.median}, {"max", spread.max}};
}

}  // namespace

std::string bench_net_table(const BenchNetResult& result) {
    std::string text = fmt::format("{:<26}{:<16}{:>9}{:>10}{:>9}{:>9}{:>9}{:>10}{:>10}{:>10}{:>10}{:>7}\n", "transport",
                                   "pattern", "size", "messages", "rank min", "median", "max", "alg MB/s", "wire MB/s",
                                   "lat us", "lat max", "#wrong");
    for (const BenchNetRow& row : result.rows) {
        text += fmt::format("{:<26}{:<16}{:>9}{:>10}", row.transport, row.pattern, format_bytes(row.message_bytes),
                            row.messages);
        if (row.latency_us.max > 0) {
            text += fmt::format("{:>9}{:>9}{:>9}{:>10}{:>10}{:>10.1f}{:>10.1f}{:>7}\n", "-", "-", "-", "-", "-",
                                row.latency_us.median, row.latency_us.max, "-");
        } else {
            text += fmt::format("{:>9.0f}{:>9.0f}{:>9.0f}{:>10.0f}{:>10}{:>10}{:>10}{:>7}\n", row.rank_mb_per_s.min,
                                row.rank_mb_per_s.median, row.rank_mb_per_s.max, row.algorithm_mb_per_s.median,
                                row.wire_mb_per_s > 0 ? fmt::format("{:.1f}", row.wire_mb_per_s) : "-", "-", "-",
                                row.wrong);
        }
    }
    return text;
}

std::string bench_net_csv(const BenchNetResult& result) {
    std::string text =
        "transport,pattern,message_bytes,pairs,messages,elapsed_min_s,elapsed_median_s,elapsed_max_s,rank_min_mb_per_s,"
        "rank_median_mb_per_s,rank_max_mb_per_s,algorithm_min_mb_per_s,algorithm_median_mb_per_s,"
        "algorithm_max_mb_per_s,wire_mb_per_s,latency_min_us,latency_median_us,latency_max_us,verified,wrong\n";
    for (const BenchNetRow& r : result.rows) {
        text += fmt::format("{},{},{},{},{}", r.transport, r.pattern, r.message_bytes, r.pairs, r.messages);
        for (const Spread& s : {r.elapsed_s, r.rank_mb_per_s, r.algorithm_mb_per_s})
            text += fmt::format(",{:.6g},{:.6g},{:.6g}", s.min, s.median, s.max);
        text += fmt::format(",{:.6g},{:.6g},{:.6g},{:.6g},{},{}\n", r.wire_mb_per_s, r.latency_us.min,
                            r.latency_us.median, r.latency_us.max, r.verified, r.wrong);
    }
    return text;
}

std::string bench_net_json(const BenchNetResult& result, const std::string& extra_json) {
    nlohmann::json document = parse_bounded_json(extra_json);
    document["schema_version"] = 1;
    document["kind"] = "bench-net";
    document["run_id"] = result.run_id;
    document["ranks"] = result.hosts.size();
    document["hosts_by_rank"] = result.hosts;
    document["wrong"] = result.wrong();
    document["rows"] = nlohmann::json::array();
    for (const BenchNetRow& r : result.rows) {
        document["rows"].push_back({{"transport", r.transport},
                                    {"pattern", r.pattern},
                                    {"message_bytes", r.message_bytes},
                                    {"pairs", r.pairs},
                                    {"messages", r.messages},
                                    {"elapsed_s", json_of(r.elapsed_s)},
                                    {"rank_mb_per_s", json_of(r.rank_mb_per_s)},
                                    {"algorithm_mb_per_s", json_of(r.algorithm_mb_per_s)},
                                    {"wire_mb_per_s", r.wire_mb_per_s},
                                    {"latency_us", json_of(r.latency_us)},
                                    {"verified", r.verified},
                                    {"wrong", r.wrong}});
    }
    return document.dump(1) + "\n";
}

}  // namespace sluice
