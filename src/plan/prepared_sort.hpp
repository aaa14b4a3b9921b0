#pragma once
/// What a sort knows before its first byte moves.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "plan/input_set.hpp"
#include "plan/job_context.hpp"
#include "plan/old_data_set.hpp"
#include "plan/plan.hpp"

namespace sluice {

/// What the machine lets this rank use.
struct RankMeans {
    unsigned cores = 1;
    /// Left of the host, as its first rank sees it; 0 on the others, which take what that one says.
    std::uint64_t memory_available_bytes = 0;
    std::string memory_note{};            ///< behind that number in messages: how it came about
    std::vector<std::string> notes = {};  ///< lines for people on what this host shares with other jobs
};

/// The same on all ranks but for `input.files`, `slices`, `cached_disks` and `old`.
struct PreparedSort {
    InputSet input;                        ///< with the files that this rank sees
    std::vector<InputSlice> slices;        ///< what this rank reads, in the order it reads
    std::vector<RankResources> resources;  ///< by rank
    SortPlan plan;
    std::string run_id;
    std::vector<std::string> cached_disks;  ///< of this host, that are not by-passing the page cache (io.direct)
    std::shared_ptr<OldDataSet> old;        ///< what has the output's name
    bool others_were_here = false;          ///< other runs, dead or alive, have something on some disk of some host
};

/// Checks everything knowable, on all ranks, and plans. Writes nothing. Throws one Error listing every problem.
/// Collective: four calls.
PreparedSort prepare_sort(JobContext& job, const RankMeans& means);

}  // namespace sluice
