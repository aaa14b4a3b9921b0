#pragma once
/// What runs that died have left on the disks: logs and unpublished parts. A run that ends by a signal, a watchdog or a
/// crash cleans nothing up, so that it can end at once.

#include <cstdint>
#include <string>

#include "jobs/job_context.hpp"

namespace sluice {

struct Leftovers {
    std::uint64_t files = 0, bytes = 0;  ///< over all hosts
};

/// The run a name belongs to: 32 hex digits of "sluice-RUNID-..." or ".partial-RUNID"; "" for any other name.
std::string run_of_leftover(const std::string& name);

/// Removes files named sluice-RUNID-* and directories .partial-RUNID with the parts in them from the intermediate and
/// output disks, nothing else, and follows no link. What a live run holds stays. Collective.
/// @param run_id  of one run, or "all". Error(busy) for one that is still at work, Error(config) for what is no run id.
Leftovers remove_leftovers(JobContext& job, const std::string& run_id);

}  // namespace sluice
