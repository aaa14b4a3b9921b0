#include "report/stage_table.hpp"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <optional>

namespace sluice {
namespace {

double seconds(std::uint64_t ns) { return static_cast<double>(ns) * 1e-9; }

/// The stage that waits least for anything but its own work or its disk: the one to speed up.
std::optional<StageKind> bottleneck(const std::vector<StageReport>& stages) {
    std::optional<StageKind> found;
    double most = -1;
    for (const StageReport& stage : stages) {
        if (stage.total_ns == 0 || stage.stage == StageKind::sender || stage.stage == StageKind::receiver) continue;
        const double share =
            static_cast<double>(stage.busy_ns + stage.wait_io_ns) / static_cast<double>(stage.total_ns);
        if (share > most) {
            most = share;
            found = stage.stage;
        }
    }
    return found;
}

/// Each stage of a phase over the ranks, in the order of the first rank that has it.
std::vector<StageReport> over_ranks(const std::vector<const PhaseReport*>& ranks) {
    std::vector<StageReport> stages;
    for (const PhaseReport* rank : ranks) {
        for (const StageReport& part : rank->stages) add_stage(stages, part);
    }
    return stages;
}

}  // namespace

std::string stage_table(const char* title, const std::vector<const PhaseReport*>& ranks, std::uint64_t bytes) {
    std::uint64_t elapsed_ns = 0;
    for (const PhaseReport* rank : ranks) elapsed_ns = std::max(elapsed_ns, rank->elapsed_ns);
    const auto stages = over_ranks(ranks);
    const auto slowest = bottleneck(stages);
    std::string text = fmt::format("{}: {:.2f} s, {:.0f} MB/s\n", title, seconds(elapsed_ns),
                                   static_cast<double>(bytes) / 1e6 / std::max(1e-9, seconds(elapsed_ns)));
    text += fmt::format("  {:<26}{:>8}{:>10}{:>10}{:>8}{:>9}{:>9}{:>9}{:>9}{:>9}\n", "stage", "workers", "MB in",
                        "MB/s", "busy%", "w.input%", "w.mem%", "w.out%", "w.io%", "done s");
    for (const StageReport& stage : stages) {
        const double total = std::max<double>(1, static_cast<double>(stage.total_ns));
        const auto percent = [&](std::uint64_t ns) { return 100 * static_cast<double>(ns) / total; };
        text += fmt::format("{} {:<26}{:>8}{:>10.1f}{:>10.0f}{:>8.1f}{:>9.1f}{:>9.1f}{:>9.1f}{:>9.1f}{:>9.2f}\n",
                            stage.stage == slowest ? ">" : " ", word_of(stage.stage), stage.workers,
                            static_cast<double>(stage.input_bytes) / 1e6,
                            static_cast<double>(stage.input_bytes) / 1e6 / std::max(1e-9, seconds(elapsed_ns)),
                            percent(stage.busy_ns), percent(stage.wait_input_ns), percent(stage.wait_memory_ns),
                            percent(stage.wait_output_ns), percent(stage.wait_io_ns), seconds(stage.last_done_ns));
    }
    return text;
}

}  // namespace sluice
