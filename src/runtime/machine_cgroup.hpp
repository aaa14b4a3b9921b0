#pragma once
/// Memory, threads and processor time that the control groups above this process still allow.

#include <cstdint>
#include <string>

namespace sluice {

inline constexpr std::uint64_t kNoMemoryLimit = ~std::uint64_t{0};

/// Least over our group and every group above it, version 1 or 2, of limit - usage + cached file pages; kNoMemoryLimit
/// where nothing limits. Cached pages count as free because the kernel drops them before it refuses memory: without
/// them a container that has just built or copied something would seem full.
/// @param root  prefix of /proc and /sys, for tests.
std::uint64_t memory_left_in_cgroups(const std::string& root = "");

/// How many cores' time our group and those above it may take; 0: as much as there is. Version 1 or 2.
double cores_allowed_by_cgroups(const std::string& root = "");

/// How many threads and processes a control group allows.
struct PidsLimit {
    std::uint64_t limit = 0, used = 0;  ///< threads and processes; limit 0: nothing limits them
    std::string group;                  ///< directory of the group
};
/// Of our group and those above it, the one with the least left.
PidsLimit tightest_pids_limit(const std::string& root = "");

}  // namespace sluice
