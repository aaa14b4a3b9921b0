#pragma once
/// Preflight of paths: what overlaps, and where nothing can be written.

#include <optional>
#include <string>
#include <vector>

#include "io/data_set.hpp"
#include "jobs/job_context.hpp"

namespace sluice {

/// What lies there; nullopt also where this user may not search, which the check of that disk or file says.
std::optional<FileInfo> look(JobContext& job, const std::string& path);

/// Adds one line per problem, each beginning with its exit code in brackets: a directory that two tables name for one
/// role (by device and inode, so links and bind mounts are seen), output that is there already, output in the input or
/// the other way round, logs in the output, a results folder that cannot be made,
/// an old output that run.overwrite could not remove. Local to the rank.
void check_paths(JobContext& job, const DataSet& input, std::vector<std::string>& problems);

}  // namespace sluice
