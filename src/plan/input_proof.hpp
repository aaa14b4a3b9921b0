#pragma once
/// That hosts are who they say, that no file of the input counts twice and no disk belongs to two.

#include <string>
#include <vector>

#include "plan/input_set.hpp"

namespace sluice {

/// Ranks of one host name see the same directories under the same names, and one boot of one kernel; otherwise two
/// machines bear one name. Collective: each path is told to one rank, which compares.
void prove_hosts(JobContext& job, Problems& problems);

/// Each file once: (device, inode) tells within one boot; between boots local ones are distinct, and server, inode,
/// size and time of modification tell files of network file systems apart. What hosts share is in the list of all of
/// them. Collective: one binary record a file goes to the rank that its identity hashes to.
void prove_files(JobContext& job, const std::vector<InputFile>& files, Problems& problems);

/// No two ranks take one directory for their own: those of a role that are not shared differ between hosts, and between
/// ranks where {rank} names them. Collective, as prove_files.
void prove_disks(JobContext& job, const std::vector<DiskRole>& roles, Problems& problems);

/// "was replaced by another file", "has 5 bytes where it had 7", ...
std::string change_text(const FileIdentity& before, const FileIdentity* now);

}  // namespace sluice
