#pragma once
/// What runs that died have left on the disks: logs, unpublished parts, sets that were changing places. A run that ends
/// by a signal, a watchdog or a crash cleans nothing up, so that it can end at once.

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "plan/run_directory.hpp"
#include "plan/run_traces.hpp"

namespace sluice {

/// What remove_leftovers() found and did.
struct Leftovers {
    std::vector<std::string> runs;  ///< of which something was found, described for people
    std::uint64_t restored = 0;     ///< directories of older sets that got their names back
    Removal removal;                ///< over all hosts; `kept` is this rank's
};

/// Which leftovers to remove, and what to say of the rest.
struct LeftoversWanted {
    std::set<std::string> run_ids;  ///< empty: of all dead runs
    std::string target;  ///< of them only who was to give this name to a data set, and logs; "": whatever it was
    bool say_strangers =
        false;           ///< in Removal::kept: what has the name of a run's directory and is none of this user's
    bool force = false;  ///< also of runs that cannot be asked whether they live, if nobody holds their locks
    /// Of no other than these runs: those that a person was shown. Not the same as run_ids, which insists.
    std::optional<std::set<std::string>> shown;
};

/// Removes what dead runs left on the disks of all roles, and nothing else: a set that was to be replaced gets its name
/// back unless the new one had been published. What lives stays, and what undecided_runs() says, but for a run that is
/// named and `force`. Collective. Throws CollectiveError(busy), with the record, for a run named that lives or may
/// live, or is undecided.
Leftovers remove_leftovers(JobContext& job, const LeftoversWanted& wanted);

/// Removes what a look at a disk's new files leaves where it is killed and a file cannot be nameless: empty files of
/// this user, of use to nobody. Local. Returns what went.
Removal remove_probes(JobContext& job);

/// Runs of which nobody here can tell whether they have published: they had come as far, and their first disk is on a
/// host that has no rank here. By run id, for people. Collective; the same on all ranks.
std::map<std::string, std::string> undecided_runs(JobContext& job);

/// "--run TEXT" of `sluice clean`: throws CollectiveError(config) for what is neither a run id nor "all".
LeftoversWanted leftovers_of(const std::string& run_text, bool force);

}  // namespace sluice
