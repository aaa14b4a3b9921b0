#include "cli/bench_net_command.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <sstream>

#include "cli/results_folder.hpp"
#include "cli/standard_output.hpp"
#include "jobs/bench_net.hpp"
#include "plan/cluster.hpp"
#include "plan/preflight_paths.hpp"
#include "runtime/bounded_text.hpp"
#include "runtime/machine.hpp"
#include "runtime/option_table.hpp"
#include "runtime/units.hpp"

namespace sluice {
namespace {

constexpr const char* kPatterns = "all-to-all,permutation,one-to-all,all-to-one,stride,ping-pong";
constexpr const char* kTransports = "p2p,alltoallv,rma";
constexpr const char* kSizes = "4KiB,64KiB,256KiB,1MiB,4MiB";
constexpr std::uint64_t kMostBytes = 64 * kMiB;

std::vector<std::string> listed(const std::string& text) {
    std::vector<std::string> words;
    std::istringstream in(text);
    for (std::string word; std::getline(in, word, ',');) words.push_back(word);
    return words;
}

[[noreturn]] void refuse(const std::string& option, const std::string& word, const std::string& known) {
    const auto near = nearest(word, listed(known));
    throw Error(Errc::config,
                "--" + option + " " + word + ": is none of " + known + (near ? "; did you mean " + *near + "?" : ""));
}

BenchNetOptions options_of(const Application& app, std::uint64_t memory_bytes, std::uint64_t seed) {
    const CommandLine& line = app.line();
    BenchNetOptions options;
    options.memory_bytes = memory_bytes;
    options.iterations = line.iterations;
    if (line.seconds != 0) options.seconds = line.seconds;
    if (!(options.seconds >= 0.01 && options.seconds <= 3600))
        throw Error(Errc::config, "--seconds: is outside 0.01 .. 3600");
    for (const std::string& name : listed(line.transport.empty() ? kTransports : line.transport)) {
        const auto kind = parse_word<TransportKind>(name);
        if (!kind || *kind == TransportKind::automatic) refuse("transport", name, kTransports);
        options.transports.push_back(*kind);
    }
    options.ping_pong = false;
    for (const std::string& name : listed(line.pattern.empty() ? kPatterns : line.pattern)) {
        const auto kind = parse_pattern(name);
        if (!kind && name != "ping-pong") refuse("pattern", name, kPatterns);
        if (kind) options.patterns.push_back({*kind, line.stride, seed});
        options.ping_pong = options.ping_pong || !kind;
    }
    for (const std::string& text : listed(line.sizes.empty() ? kSizes : line.sizes)) {
        const auto bytes = parse_bytes(text);
        if (!bytes || *bytes <= kHeaderBytes || *bytes > kMostBytes) {
            throw Error(Errc::config, "--sizes " + text + ": is no message size between " +
                                          format_bytes(kHeaderBytes + 1) + ", the header and a byte, and " +
                                          format_bytes(kMostBytes) + "; write 64KiB,1MiB");
        }
        options.message_bytes.push_back(*bytes);
    }
    return options;
}

}  // namespace

int bench_net_command(Application& app) {
    JobContext& job = app.job();
    std::uint64_t budget = job.config.memory.budget_bytes;
    if (budget == 0) budget = budget_of_memory(read_machine_limits().memory_available_bytes);
    Problems problems;
    check_results(job, problems);
    refuse_if_any(job, problems);
    const NetFabric fabric{
        [&app](TransportKind transport, BufferPool& pool, std::uint64_t run_id, ReceiveWindow* window) {
            return app.make_transport(transport, pool, run_id, window);
        },
        [&app](std::uint64_t bytes) { return app.make_window(bytes); }};
    const BenchNetResult result =
        run_bench_net(job, fabric, options_of(app, budget / job.place.local_ranks, job.config.run.seed));
    if (app.rank() != 0) return result.wrong() == 0 ? 0 : static_cast<int>(Errc::integrity);
    const nlohmann::json extra = {{"mpi_library", app.mpi_library()},
                                  {"net_poll", word_of(job.config.net.poll)},
                                  {"placement", app.placement().explanation},
                                  {"system", parse_bounded_json(describe_system_json())}};
    const std::string table = bench_net_table(result);
    const std::string folder =
        write_results_folder(app, "bench-net", result.run_id,
                             {{"result.json", bench_net_json(result, extra.dump())},
                              {"result.csv", bench_net_csv(result)},
                              {"summary.txt", table},
                              {"config.effective.toml", app.config().effective_toml(app.host())}});
    print(table + "results: " + folder + "\n");
    if (result.wrong() == 0) return 0;
    throw Error(Errc::integrity,
                std::to_string(result.wrong()) +
                    " payloads arrived changed; the network or MPI is faulty: test the hosts in pairs");
}

}  // namespace sluice
