#pragma once
/// What the other jobs of this host leave to this one: cores that none of them is pinned to, memory that none has
/// claimed.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "plan/job_context.hpp"
#include "runtime/live_jobs.hpp"
#include "runtime/placement.hpp"

namespace sluice {

/// The first rank of each host looks and claims for all its ranks there; what it finds goes to them with other words of
/// the job's. Local; used by the main thread.
class HostShare {
public:
    /// @param takes_part  false: looks at nothing and claims nothing, for verbs that do no work
    HostShare(const RankPlace& place, const ProcessTable& processes, std::string verb, bool takes_part);

    /// Where this is the first rank of its host: leaves out of the request what others are pinned to, and claims what
    /// plan_placement() will give to the ranks of this host. Returns the cores that others use, for leave_cores() on
    /// the other ranks of the host; "" on those.
    std::string claim_cores(const Topology& topology, PlacementRequest& request);
    /// Takes the cores of `list`, which other jobs use, out of request.usable_cores; where too few are left, this job
    /// is not pinned at all. @param names  of those jobs, for people
    void leave_cores(const std::string& list, PlacementRequest& request, const std::string& names = "");

    /// Left to the ranks of this host together, where this is the first of them; else 0. Until claim_memory() no other
    /// job looks, for 2 s at most.
    std::uint64_t memory_left_bytes();
    /// Why memory_left_bytes() is what it is, for messages of the first rank: "" or "; 3 GB ...".
    const std::string& memory_note() const noexcept { return memory_note_; }
    /// What the plan takes of it, with all ranks of this host.
    void claim_memory(std::uint64_t bytes);

    /// Lines for people: what this rank's host shares, and how.
    const std::vector<std::string>& notes() const noexcept { return notes_; }

private:
    void claim(const Topology& topology, const PlacementRequest& request);
    bool is_first() const { return place_.local_rank == 0; }
    std::string name_of(const JobClaim& job) const;

    RankPlace place_;
    bool takes_part_;
    LiveJobs jobs_;
    std::unique_ptr<LiveJobs::Turn> turn_;
    JobClaim mine_;
    std::string memory_note_;
    std::vector<std::string> notes_;
};

}  // namespace sluice
