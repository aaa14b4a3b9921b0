#pragma once
/// Which program this is.

#include <cstdint>
#include <string>

namespace sluice {

extern const char kBuildText[];
extern const bool kIsOneCommit;  ///< built of a commit, and nothing else

/// "sluice 0.1.0, commit 0123456789ab, record format 1". Two hosts that build one commit have one.
std::string build_id();

/// What ranks compare before anything else: the build id and, where that does not tell all (sources without a commit,
/// or changed since), what the program is made of.
std::string program_fact();

}  // namespace sluice
