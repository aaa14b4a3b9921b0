#include "cli/host_share.hpp"

#include <algorithm>
#include <set>

#include "runtime/machine.hpp"
#include "runtime/run_status.hpp"
#include "runtime/units.hpp"

namespace sluice {
namespace {

constexpr std::uint64_t kPatienceMs = 500;

}  // namespace

HostShare::HostShare(const RankPlace& place, const ProcessTable& processes, std::string verb, bool takes_part)
    : place_(place), takes_part_(takes_part), jobs_(takes_part ? live_jobs_directory() : "", processes) {
    const ProcessIdentity self = processes.self();
    mine_.job = job_name();
    mine_.verb = std::move(verb);
    mine_.pid = self.pid;
    mine_.start_ticks = self.start_ticks;
    mine_.ranks = place.local_ranks;
}

std::string HostShare::name_of(const JobClaim& job) const {
    return "`sluice " + job.verb + "` (pid " + std::to_string(job.pid) + ")";
}

std::string HostShare::claim_cores(const Topology& topology, PlacementRequest& request) {
    if (!takes_part_ || !is_first()) return "";
    const bool may_choose = request.policy == PlacementPolicy::automatic;
    // Claimed within one turn, and no other rank is waited for in it: hosts that see one directory (namespaces,
    // containers) would wait for each other.
    const auto turn = jobs_.take_turn(kPatienceMs);
    std::set<unsigned> others;
    std::string names;
    for (const JobClaim& job : jobs_.others(mine_.job)) {
        if (job.cores.empty() || !may_choose) continue;
        others.insert(job.cores.begin(), job.cores.end());
        names += (names.empty() ? "" : ", ") + name_of(job);
    }
    const std::string list = format_core_list({others.begin(), others.end()});
    leave_cores(list, request, names);
    claim(topology, request);
    return list;
}

void HostShare::leave_cores(const std::string& list, PlacementRequest& request, const std::string& names) {
    if (list.empty()) return;
    const std::vector<unsigned> taken = parse_core_list(list);
    auto usable = request.usable_cores;
    std::set<unsigned> left;
    for (auto& cores : usable) {
        std::erase_if(cores, [&](unsigned core) { return std::count(taken.begin(), taken.end(), core) != 0; });
        left.insert(cores.begin(), cores.end());
    }
    const bool enough = left.size() >= place_.local_ranks &&
                        std::none_of(usable.begin(), usable.end(), [](const auto& cores) { return cores.empty(); });
    if (enough) {
        request.usable_cores = usable;
    } else {
        request.policy = PlacementPolicy::none;
    }
    if (!is_first()) return;
    notes_.push_back("note: other jobs of host " + place_.host + " are pinned to cores " + list + ": " + names +
                     "; this one " +
                     (enough ? "uses cores " + format_core_list({left.begin(), left.end()})
                             : "is not pinned to any, since too few are left"));
}

void HostShare::claim(const Topology& topology, const PlacementRequest& request) {
    std::set<unsigned> mine;
    PlacementRequest each = request;
    for (each.local_rank = 0; each.local_rank < place_.local_ranks; ++each.local_rank) {
        const auto cores = plan_placement(topology, each).rank_cores;
        mine.insert(cores.begin(), cores.end());
    }
    mine_.cores.assign(mine.begin(), mine.end());
    jobs_.claim(mine_);
}

std::uint64_t HostShare::memory_left_bytes() {
    if (!is_first()) return 0;
    const MachineLimits limits = read_machine_limits();
    std::uint64_t left = limits.memory_available_bytes, claimed = 0;
    std::string names;
    if (takes_part_) {
        // Held until claim_memory(), over words between ranks: not waited for where another host of this job may hold
        // it.
        const std::uint64_t patience_ms = jobs_.sees_own_job(mine_.job) ? 0 : kPatienceMs;
        turn_ = jobs_.take_turn(patience_ms);
        const auto others = jobs_.others(mine_.job);
        if (!turn_->is_held() && patience_ms != 0 && !others.empty()) {
            notes_.push_back("note: another job is just starting on host " + place_.host +
                             " and has not settled how much memory it takes; what it may take is left to it");
        }
        for (const JobClaim& job : others) {
            const std::uint64_t to_come = job.memory_bytes - job.resident_bytes;
            if (to_come == 0) continue;
            claimed += to_come;
            names += (names.empty() ? "" : ", ") + name_of(job);
        }
    }
    left -= std::min(left, claimed);
    if (takes_part_) {  // what it may take, until it knows: a job that cannot wait sees that much
        mine_.memory_bytes = budget_of_memory(left);
        jobs_.claim(mine_);
    }
    memory_note_ = limits.memory_note;
    if (claimed != 0)
        memory_note_ +=
            "; " + human_bytes(static_cast<double>(claimed)) + " of what is free will be taken by other jobs: " + names;
    if (!memory_note_.empty())
        notes_.push_back("note: host " + place_.host + " has " + human_bytes(static_cast<double>(left)) +
                         " of memory left" + memory_note_);
    return left;
}

void HostShare::claim_memory(std::uint64_t bytes) {
    if (!takes_part_ || !is_first()) return;
    mine_.memory_bytes = bytes;
    jobs_.claim(mine_);
    turn_.reset();
}

}  // namespace sluice
