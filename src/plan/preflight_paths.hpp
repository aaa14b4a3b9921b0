#pragma once
/// Preflight of paths: what overlaps, and where nothing can be written.

#include <optional>
#include <string>
#include <vector>

#include "plan/input_set.hpp"
#include "plan/job_context.hpp"

namespace sluice {

/// What lies there; nullopt also where this user may not search, which the check of that disk or file says.
std::optional<FileInfo> look(JobContext& job, const std::string& path);

/// Rank 0 makes the results directory and, for a moment, a file as large as a report there: it is written last, and
/// that it cannot be must not be found out then.
void check_results(JobContext& job, Problems& problems);

/// Adds one problem each: a directory that two tables name for one
/// role (by device and inode, so links and bind mounts are seen), output in the input or the other way round, logs in
/// the output, disks that others may write to, a results folder that cannot be made. Local.
/// @param notes  gets what is only worth a line
void check_paths(JobContext& job, const InputSet& input, Problems& problems, std::vector<std::string>& notes);

/// Disks of a role that any user may write to are problems, those of a group are `notes`. Local to the rank.
void check_permissions(JobContext& job, DiskRole role, Problems& problems, std::vector<std::string>& notes);

}  // namespace sluice
