#pragma once
/// Preflight of disks: that they are there, and by-pass the page cache.

#include <string>
#include <vector>

#include "plan/input_set.hpp"
#include "plan/job_context.hpp"

namespace sluice {

/// Each disk must be a directory that we may write to (inputs: read), on a file system with direct I/O: a rank proves
/// that of the disks that it uses, one of each host of all. Local.
/// @param cached_disks  gets those of them that will go through the page cache, as io.direct allows
void check_disks(JobContext& job, Problems& problems, std::vector<std::string>& cached_disks);

/// Direct I/O of the input: each rank asks one file of each directory. All are asked where the file system tells by the
/// file: btrfs by an attribute, an overlay by the layer; one rank of a host asks those that all its ranks see. Local.
/// @param cached_disks  gets disks, and directories on none, that go through the page cache
void check_input_directories(JobContext& job, const InputSet& input, Problems& problems,
                             std::vector<std::string>& cached_disks);

/// One keeps a disk's queue full. Through the page cache, which tmpfs is, a request is a copy by whoever submits it,
/// and one core's copies are less than the memory can.
/// @param cached_disks  of the two above
unsigned workers_of_a_disk(const JobContext& job, const std::vector<std::string>& cached_disks, unsigned cores);

}  // namespace sluice
