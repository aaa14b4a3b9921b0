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

/// The first rank of each host looks and claims for all its ranks there, and tells them. Used by the main thread.
class HostShare {
public:
    /// @param takes_part  false: looks at nothing and claims nothing, for verbs that do no work
    HostShare(Communicator& communicator, const RankPlace& place, const ProcessTable& processes, std::string verb,
              bool takes_part);

    /// Leaves out of request.usable_cores what others are pinned to; where too few are left, this job is not pinned at
    /// all. Claims what plan_placement() will give to the ranks of this host. Collective.
    void choose_cores(const Topology& topology, PlacementRequest& request);

    /// For the ranks of this host together. Until claim_memory() no other job looks, for 2 s at most.
    /// Collective.
    std::uint64_t memory_left_bytes();
    /// Why memory_left_bytes() is what it is, for messages: "" or "; 3 GB ...".
    const std::string& memory_note() const noexcept { return memory_note_; }
    /// What the plan takes of it, with all ranks of this host.
    void claim_memory(std::uint64_t bytes);

    /// Lines for people: what this rank's host shares, and how.
    const std::vector<std::string>& notes() const noexcept { return notes_; }

private:
    /// Takes the cores of `list`, which other jobs use, out of the request, or all pinning where too few stay.
    void leave_cores(const std::string& list, const std::string& names, PlacementRequest& request);
    void claim_cores(const Topology& topology, const PlacementRequest& request);
    bool is_first() const { return place_.local_rank == 0; }
    /// What the first rank of this host says, on all of them. Collective.
    std::string from_first(const std::string& text);
    std::string name_of(const JobClaim& job) const;

    Communicator& communicator_;
    RankPlace place_;
    bool takes_part_;
    LiveJobs jobs_;
    std::unique_ptr<LiveJobs::Turn> turn_;
    JobClaim mine_;
    std::string memory_note_;
    std::vector<std::string> notes_;
};

}  // namespace sluice
