#pragma once
/// `sluice clean`: removes data sets of ours and what dead runs left, and nothing else.

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "plan/leftovers.hpp"

namespace sluice {

/// What `sluice clean` is to remove. The same on all ranks; only rank 0 is asked to confirm.
struct CleanOptions {
    bool with_input = false;  ///< else only the output
    bool dry_run = false;
    bool force = false;  ///< see LeftoversWanted
    /// Only of these runs, and no data set, unasked: `--run`. With dry_run they are only listed.
    std::optional<LeftoversWanted> only_runs;
    /// Asked on rank 0 once it is known what would go: may it?
    std::function<bool(const std::vector<std::string>& lines)> confirm;
};

/// What became of it, over all ranks but for the list of what was kept, which is this rank's.
struct CleanResult {
    bool found = false;      ///< there was something to remove
    bool confirmed = false;  ///< and it was removed
    Leftovers left;          ///< what went, data sets included
};

/// Lists the configured data sets and what dead runs left, asks, and removes them: of each set the MANIFEST of its
/// first disk before anything else on any host. Collective. Throws CollectiveError(busy) naming who uses a set.
CleanResult run_clean(JobContext& job, const CleanOptions& options);

}  // namespace sluice
