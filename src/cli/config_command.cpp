#include "cli/config_command.hpp"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <ostream>

#include "net/transport_kind.hpp"
#include "runtime/machine.hpp"
#include "runtime/option_table.hpp"
#include "runtime/units.hpp"

namespace sluice {

void print_option_list(std::ostream& out, bool markdown) {
    if (markdown) {
        out << "# Options\n\nMade by `sluice config list --markdown`. Order of precedence: `--set KEY=VALUE`, "
               "environment (`SLUICE_IO_DEPTH` for `io.depth`),\n"
               "file (`[hosts.\"NAME\"]` before the general part), default. Sizes are texts with a unit: `\"4MiB\"` = "
               "2^22, `\"4MB\"` = 4000000.\n\n"
               "Beside these: `[[disks]]` tables with `path`, `role` (input, intermediate, output) and `scope` (host, "
               "shared), and `input.paths`, a list of\n"
               "globs that names existing data.\n\n| key | type | range | default | meaning |\n| --- | --- | --- | --- "
               "| --- |\n";
        for (const Option& o : option_table()) {
            std::string type = o.type();
            std::replace(type.begin(), type.end(), '|', ' ');
            out << fmt::format("| `{}` | {} | {} | {} | {} |\n", o.key, type, o.range, o.fallback, o.help);
        }
        return;
    }
    for (const Option& o : option_table())
        out << fmt::format("{:<40} {:<22} default {:<12} {}\n", o.key, o.type(),
                           o.fallback.empty() ? "\"\"" : o.fallback, o.help);
}

void print_config_origins(std::ostream& out, const LoadedConfig& loaded, const std::string& host) {
    const Config config = loaded.for_host(host);
    for (const Option& o : option_table())
        out << fmt::format("{:<40} {:<16} {}\n", o.key, o.print(config), loaded.origin_of(o.key, host));
    for (const DiskConfig& disk : config.disks) {
        out << fmt::format("{:<40} {:<16} {}\n", "disks", disk.path + " (" + word_of(disk.role) + ")",
                           loaded.origin_of("disks"));
    }
    for (const std::string& path : config.input.paths)
        out << fmt::format("{:<40} {:<16} {}\n", "input.paths", path, loaded.origin_of("input.paths"));
}

std::string threads_and_cores(const Placement& placement, const RankPlan& plan) {
    std::string text;
    const auto stage = [&](StageKind kind, unsigned threads) {
        std::string places, last;
        for (unsigned i = 0; i < threads; ++i) {
            const auto cores = placement.cores_of(kind, i);
            const std::string list = cores.empty() ? "any" : format_core_list(cores);
            if (list != last) places += (places.empty() ? "" : " | ") + list;
            last = list;
        }
        if (threads > 0) text += fmt::format("\n  {:<26} {} thread(s) on core(s) {}", word_of(kind), threads, places);
    };
    stage(StageKind::network, 1);
    stage(StageKind::reader, plan.one.readers);
    stage(StageKind::node_distributor, plan.one.distributors);
    stage(StageKind::logical_disk_distributor, plan.one.logical_disk_distributors);
    stage(StageKind::writer, plan.one.writers);
    stage(StageKind::sorter, plan.two.sorters);
    return text;
}

void print_described_plan(std::ostream& out, const CommandLine& line, const LoadedConfig& loaded) {
    const unsigned hosts = std::max(1u, line.hosts), ranks_per_host = std::max(1u, line.ranks_per_host);
    std::vector<RankResources> ranks;
    const auto names = loaded.host_names();
    for (unsigned host = 0; host < hosts; ++host) {
        const std::string name = host < names.size() ? names[host] : fmt::format("host{:02}", host + 1);
        const Config config = loaded.for_host(name);
        const std::uint64_t budget =
            config.memory.budget_bytes != 0 ? config.memory.budget_bytes : budget_of_memory(line.memory_bytes);
        const auto disks = [&](DiskRole role) {
            const auto count = static_cast<unsigned>(config.disks_of(role).size());
            return std::max(1u, count % ranks_per_host == 0 ? count / ranks_per_host : count);
        };
        for (unsigned rank = 0; rank < ranks_per_host; ++rank) {
            ranks.push_back({name, budget / ranks_per_host, std::max(1u, line.cores / ranks_per_host),
                             disks(DiskRole::input), disks(DiskRole::intermediate), disks(DiskRole::output),
                             std::max(1u, config.io.workers), line.input_bytes / (hosts * ranks_per_host),
                             config.weight, config.disks_of(DiskRole::output).size() % ranks_per_host != 0});
        }
    }
    Config config = loaded.for_host("");
    config.net.transport = chosen_transport(config.net.transport, ranks.size(), hosts > 1, true);
    const RecordFormat format{static_cast<std::uint32_t>(config.record.size_bytes),
                              static_cast<std::uint32_t>(config.record.key_offset_bytes),
                              static_cast<std::uint32_t>(config.record.key_size_bytes)};
    out << describe(plan_sort(config, format, ranks, true), ranks);
}

}  // namespace sluice
