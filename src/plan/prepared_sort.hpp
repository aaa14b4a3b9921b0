#pragma once
/// What a sort knows before its first byte moves.

#include <cstdint>
#include <string>
#include <vector>

#include "plan/input_set.hpp"
#include "plan/job_context.hpp"
#include "plan/plan.hpp"

namespace sluice {

/// What the machine lets this rank use.
struct RankMeans {
    unsigned cores = 1;
    std::uint64_t memory_available_bytes = 0;  ///< of the host, for the default budget
    std::string memory_note{};                 ///< behind that number in messages: how it came about
};

/// The same on all ranks but for `input.files`, `slices` and `cached_disks`.
struct PreparedSort {
    InputSet input;                        ///< with the files that this rank sees
    std::vector<InputSlice> slices;        ///< what this rank reads, in the order it reads
    std::vector<RankResources> resources;  ///< by rank
    SortPlan plan;
    std::string run_id;
    std::vector<std::string> cached_disks;  ///< of this host, that are not by-passing the page cache (io.direct)
};

/// Checks everything knowable, on all ranks, and plans. Writes nothing. Throws one Error listing every problem.
/// Collective.
PreparedSort prepare_sort(JobContext& job, const RankMeans& means);

}  // namespace sluice
