#pragma once
/// A data set that run.overwrite or `sluice clean` removes: what its own MANIFEST lists on this host, nothing else.

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "jobs/job_context.hpp"

namespace sluice {

/// What run.overwrite could not remove of data set `name`: directories without a manifest of ours, or with files that
/// it does not list. Problems as refuse_if_any() takes them. Local, reads only.
std::vector<std::string> overwrite_problems(JobContext& job, DiskRole role, const std::string& name);

/// Bytes that removing it frees, by device (FileInfo::device). Where overwrite_problems() found something, those of
/// what could be removed. Local, reads only.
std::map<std::uint64_t, std::uint64_t> removable_bytes(JobContext& job, DiskRole role, const std::string& name);

/// Removes it; nothing happens where there is none. Called on all ranks: one of each host does it, or, where hosts
/// share the disks, rank 0. Barriers are the caller's.
void remove_data_set(JobContext& job, DiskRole role, const std::string& name);

}  // namespace sluice
