// What `sluice bench net` prints and writes; the columns are defined in docs/metrics.md.
#include <spdlog/fmt/fmt.h>

#include <nlohmann/json.hpp>

#include "jobs/bench_net.hpp"
#include "report/named_fields.hpp"
#include "runtime/bounded_text.hpp"
#include "runtime/units.hpp"

namespace sluice {

/// Three columns, with the figure's unit last: elapsed_min_s, elapsed_median_s, elapsed_max_s.
void add_cells(CsvRow& row, const std::string& name, const Spread& spread) {
    std::size_t unit = name.size();
    for (const std::string_view known : {"_s", "_us", "_mb_per_s"}) {
        if (name.ends_with(known)) unit = name.size() - known.size();
    }
    for_each_field<Spread>([&](const auto& entry) {
        add_cells(row, name.substr(0, unit) + "_" + entry.name + name.substr(unit), spread.*entry.member);
    });
}

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
    const auto row_of = [](const BenchNetRow& figures) {
        CsvRow row;
        add_cells(row, "", figures);
        return row;
    };
    std::string text = csv_header(row_of({}));
    for (const BenchNetRow& figures : result.rows) text += csv_line(row_of(figures));
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
    document["rows"] = result.rows;
    return document.dump(1) + "\n";
}

}  // namespace sluice
