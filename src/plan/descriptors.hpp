#pragma once
/// How many files a sort has open at a time: a bound that its plan knows, whatever the number of files.

#include <cstdint>
#include <string>
#include <vector>

#include "plan/plan.hpp"

namespace sluice {

/// Memory of the last look at the parts (jobs/part_check.hpp): of one of them, and of as many as are looked at
/// together.
inline constexpr std::uint64_t kLeastCheckBytes = 3 * kDirectIoAlign, kAmpleCheckBytes = 32 * kLeastCheckBytes;

/// Reads of a sample reader in flight; as many files may be open.
unsigned sample_depth(const Config& config);

/// Most files of one rank at a time, by phase. All bounds: a read keeps its file open, so does a part that waits for
/// its sync.
struct OpenFiles {
    std::uint64_t phase_zero = 0, phase_one = 0, phase_two = 0, last_look = 0;
    std::uint64_t held = 0;  ///< through all of them: directories, records and their locks, links to ranks elsewhere
    std::uint64_t most() const;
};

/// @param remote_ranks  of other hosts
OpenFiles open_files_of(const Config& config, const RankPlan& plan, const RankResources& resources,
                        std::uint64_t remote_ranks);

/// A problem where this process may not open so many; empty: it may.
/// @param open_now  descriptors in use already
/// @param limit     RLIMIT_NOFILE
Problem open_files_problem(const OpenFiles& files, std::uint64_t open_now, std::uint64_t limit,
                           const std::string& host);

}  // namespace sluice
