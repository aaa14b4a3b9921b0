#include "jobs/one_pass_excess.hpp"

#include <nlohmann/json.hpp>

#include "jobs/cluster.hpp"
#include "runtime/bounded_text.hpp"
#include "runtime/units.hpp"

namespace sluice {
namespace {

/// Memory for records: the chunks but for those that stand open.
std::uint64_t planned_share_bytes(const RankPlan& plan, const RecordFormat& format) {
    const PhaseOnePlan& one = plan.one;
    const std::size_t open = std::size_t{one.distributors + one.logical_disk_distributors} * plan.partitions;
    return one.chunks > open ? (one.chunks - open) * one.chunk_records * format.record_bytes : 0;
}

}  // namespace

std::optional<std::string> one_pass_excess(JobContext& job, const PreparedSort& prepared, const KeptPartitions& kept,
                                           std::uint64_t sort_bytes) {
    const SortPlan& plan = prepared.plan;
    const auto human = [](std::uint64_t bytes) { return human_bytes(static_cast<double>(bytes)); };
    const std::string here = "rank " + std::to_string(job.rank()) + " of host " + job.place.host + " got ";
    nlohmann::json mine = {{"of_plan", 0.0}, {"text", ""}};
    if (kept.was_let_go()) {
        const std::uint64_t planned = planned_share_bytes(plan.ranks[job.rank()], plan.format);
        mine["of_plan"] = 1 + static_cast<double>(kept.total_bytes()) / static_cast<double>(planned + 1);
        mine["text"] =
            here + human(kept.total_bytes()) + " where memory for " + human(planned) + " of its share was planned";
    } else if (!plan_phase_two_in_memory(job.config, plan.format, prepared.resources[job.rank()],
                                         kept.largest_bytes() / plan.format.record_bytes, sort_bytes)) {
        mine["of_plan"] = 1;
        mine["text"] = here + "a partition of " + human(kept.largest_bytes()) + ", planned were up to " +
                       human(plan.planned_partition_bytes) + ", and memory to sort it is not left";
    }
    nlohmann::json worst;
    for (const std::string& text : job.communicator.all_gather(mine.dump())) {
        auto rank = parse_bounded_json(text);
        if (worst.is_null() || rank["of_plan"] > worst["of_plan"]) worst = std::move(rank);
    }
    if (worst["of_plan"] == 0.0) return std::nullopt;
    return worst["text"].get<std::string>();
}

void plan_again(JobContext& job, PreparedSort& prepared, bool sampled, const std::string& excess) {
    const std::string reason = prepared.plan.passes_reason + "; one pass was exceeded: " + excess;
    if (!sampled) {
        prepared.plan.passes_reason = reason + ", since the keys are not uniform as was promised: they were sampled";
        return;
    }
    std::vector<std::string> problems;
    if (disk_paths(job, DiskRole::intermediate).empty()) {
        problems.push_back("[9] one pass: " + excess + ", and host " + job.place.host +
                           " has no disk with role = \"intermediate\" to sort in two passes; add one, or raise "
                           "memory.budget");
    }
    try {
        Config config = job.config;
        config.passes = "two";
        prepared.plan = plan_sort(config, prepared.plan.format, prepared.resources);
    } catch (const Error& error) {
        problems.push_back("[9] one pass: " + excess + ", and two passes cannot be planned: " + error.what());
    }
    fail_if_any(job, problems);
    prepared.plan.passes_reason = reason + ": sorted again in two passes";
}

}  // namespace sluice
