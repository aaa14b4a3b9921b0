#pragma once
/// What all jobs of a run agree on before they start: who is where, which data lies where, and the problems everybody
/// found.

#include <functional>
#include <string>
#include <vector>

#include "io/data_set.hpp"
#include "jobs/job_context.hpp"

namespace sluice {

/// Host names by rank -> where this rank stands. Collective.
RankPlace find_place(Communicator& communicator, const std::string& host_name);

/// Problems of all ranks, gathered: throws one Error listing each once, when there are any. A problem begins with its
/// exit code in brackets, "[3] ..."; the error's code is the lowest. Collective.
void refuse_if_any(JobContext& job, const std::vector<std::string>& problems);

/// A directory of one role on this host, with {host} and {rank} expanded.
std::vector<std::string> disk_paths(const JobContext& job, DiskRole role);

/// Which disks of `count` this rank uses: its own share when they divide evenly among the ranks of the host, else all.
std::vector<std::uint32_t> disks_of_rank(const RankPlace& place, std::size_t count);

/// The record shape of the config; the config reader saw to it that the key lies in the record.
RecordFormat configured_format(const Config& config);

/// The data set's files that this host reads (host name matches, or "*"), from input.paths or the manifest on its
/// disks. Throws Error(input) when there is no manifest. Local; `problems` gets what is wrong with the files.
DataSet find_input(JobContext& job, std::vector<std::string>& problems);

/// Reads the manifest of data set `name` from the first disk of `role` that has one; throws Error(input) naming where
/// it looked.
DataSet read_manifest(JobContext& job, DiskRole role, const std::string& name);

/// Whether direct I/O is to be had below `path`, a directory.
struct DirectIoCheck {
    bool is_cached = false;  ///< what is read and written there goes through the page cache, as io.direct allows
    std::string problem;     ///< what io.direct = "on" has against it; empty: nothing
};
DirectIoCheck check_direct_io(JobContext& job, const std::string& path);

/// Sum over all ranks. Collective.
RecordSum sum_over_ranks(Communicator& communicator, const RecordSum& mine);
std::uint64_t sum_over_ranks(Communicator& communicator, std::uint64_t mine);

/// Waits for the arena's touch in the background and goes on answering peers and watchdog meanwhile: it may take longer
/// than run.watchdog. Throws when a rank fails.
void wait_until_touched(JobContext& job, Arena& arena);

/// 128 random bits from rank 0, as 32 hex digits, the same on all ranks. Collective.
std::string make_run_id(JobContext& job);
std::string hex_of(const std::vector<std::byte>& bytes);
std::vector<std::byte> bytes_of_hex(const std::string& hex);

}  // namespace sluice
