#include "jobs/replan.hpp"

#include "plan/cluster.hpp"

namespace sluice {

void plan_again(JobContext& job, PreparedSort& prepared, bool sampled, const std::string& excess) {
    const std::string reason = prepared.plan.passes_reason + "; one pass was exceeded: " + excess;
    if (!sampled) {
        prepared.plan.passes_reason = reason + ", since the keys are not uniform as was promised: they were sampled";
        return;
    }
    Problems problems;
    if (disk_paths(job, DiskRole::intermediate).empty()) {
        problems.push_back(
            {Errc::space, "one pass: " + excess + ", and host " + job.place.host +
                              " has no disk with role = \"intermediate\" to sort in two passes; add one, or raise "
                              "memory.budget"});
    }
    try {
        Config config = job.config;
        config.passes = Passes::two;
        prepared.plan = plan_sort(config, prepared.plan.format, prepared.resources);
    } catch (const Error& error) {
        problems.push_back(
            {Errc::space, "one pass: " + excess + ", and two passes cannot be planned: " + error.what()});
    }
    fail_if_any(job, problems);
    prepared.plan.passes_reason = reason + ": sorted again in two passes";
}

}  // namespace sluice
