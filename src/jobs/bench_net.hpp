#pragma once
/// The network's speed of light: what each transport carries between the ranks without any record work.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <tuple>
#include <vector>

#include "net/traffic.hpp"
#include "plan/job_context.hpp"
#include "runtime/fields.hpp"

namespace sluice {

/// Transports of any kind, whatever net.transport says.
struct NetFabric {
    std::function<std::unique_ptr<Transport>(TransportKind transport, BufferPool& receive_pool, std::uint64_t run_id,
                                             ReceiveWindow* window)>
        make_transport;
    std::function<std::unique_ptr<ReceiveWindow>(std::uint64_t bytes)> make_window;  ///< for rma
};

/// Which rows `sluice bench net` measures, and for how long. The same on all ranks, but for memory_bytes.
struct BenchNetOptions {
    std::vector<TransportKind> transports;
    std::vector<TrafficPattern> patterns;
    bool ping_pong = true;  ///< also one message to and fro between rank 0 and the last rank
    std::vector<std::uint64_t> message_bytes;
    double seconds = 1;            ///< to spend on the repetitions of one row
    std::uint64_t iterations = 0;  ///< messages per pair and repetition; 0: as many as fit into the time
    unsigned repetitions = 5;
    std::uint64_t memory_bytes = 0;  ///< that this rank may use for buffers
};

/// Lowest, middle and highest of some figures.
struct Spread {
    double min = 0, median = 0, max = 0;
    static constexpr auto fields =
        std::tuple{field("min", &Spread::min), field("median", &Spread::median), field("max", &Spread::max)};
};
Spread spread_of(std::vector<double> figures);

/// One transport, pattern and size. Definitions of the figures: docs/metrics.md.
struct BenchNetRow {
    std::string transport, pattern;
    std::uint64_t message_bytes = 0;        ///< header included
    std::uint64_t pairs = 0;                ///< of ranks that send to each other, each direction one
    std::uint64_t messages = 0;             ///< per pair and repetition
    Spread elapsed_s;                       ///< of the slowest rank, over repetitions
    Spread rank_mb_per_s;                   ///< over ranks that send or receive
    Spread algorithm_mb_per_s;              ///< over repetitions
    double wire_mb_per_s = 0;               ///< of the busiest host; 0 when all ranks share one
    Spread latency_us;                      ///< ping-pong only, over round trips
    std::uint64_t verified = 0, wrong = 0;  ///< messages whose every byte was compared
    static constexpr auto fields = std::tuple{field("transport", &BenchNetRow::transport).in_csv(),
                                              field("pattern", &BenchNetRow::pattern).in_csv(),
                                              field("message_bytes", &BenchNetRow::message_bytes).in_csv(),
                                              field("pairs", &BenchNetRow::pairs).in_csv(),
                                              field("messages", &BenchNetRow::messages).in_csv(),
                                              field("elapsed_s", &BenchNetRow::elapsed_s).in_csv(),
                                              field("rank_mb_per_s", &BenchNetRow::rank_mb_per_s).in_csv(),
                                              field("algorithm_mb_per_s", &BenchNetRow::algorithm_mb_per_s).in_csv(),
                                              field("wire_mb_per_s", &BenchNetRow::wire_mb_per_s).in_csv(),
                                              field("latency_us", &BenchNetRow::latency_us).in_csv(),
                                              field("verified", &BenchNetRow::verified).in_csv(),
                                              field("wrong", &BenchNetRow::wrong).in_csv()};
};

/// What it measured. The same on all ranks.
struct BenchNetResult {
    std::string run_id;
    std::vector<std::string> hosts;  ///< by rank
    std::vector<BenchNetRow> rows;   ///< on all ranks
    std::uint64_t wrong() const;
};

/// Collective. Every row sends once with all payloads compared, then `repetitions` times against the clock, then once
/// more compared. Throws Error(config) with one rank, or when buffers of the largest size do not fit in memory_bytes.
BenchNetResult run_bench_net(JobContext& job, const NetFabric& fabric, const BenchNetOptions& options);

std::string bench_net_table(const BenchNetResult& result);
std::string bench_net_csv(const BenchNetResult& result);
/// schema_version 1; `extra_json` is an object whose members are added.
std::string bench_net_json(const BenchNetResult& result, const std::string& extra_json);

}  // namespace sluice
