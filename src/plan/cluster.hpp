#pragma once
/// What all jobs of a run agree on before they start: who is where, which data lies where, and the problems everybody
/// found.

#include <functional>
#include <string>
#include <vector>

#include "plan/job_context.hpp"
#include "record/record_format.hpp"
#include "record/record_sum.hpp"
#include "runtime/step.hpp"

namespace sluice {

/// Long work of this rank's main thread begins: see Step. Other ranks are looked after meanwhile.
/// @param name  "lists the input", a literal: the watchdog says that the main thread does it and gets nothing done
Step open_step(JobContext& job, const char* name);

/// Host names by rank -> where this rank stands. Collective.
RankPlace find_place(Communicator& communicator, const std::string& host_name);

/// Before the first byte: problems of all ranks, gathered; throws one RefusedError listing each once, when there are
/// any; the error's code is the lowest. Collective.
void refuse_if_any(JobContext& job, const Problems& problems);
/// The same once the run has written something: what it left stays, with word of how it ended.
void fail_if_any(JobContext& job, const Problems& problems);
/// Both, of problems that have been gathered already, by rank; the same on all ranks.
void refuse_if_any(const std::vector<Problems>& by_rank);
void fail_if_any(const std::vector<Problems>& by_rank);

/// Lines of all ranks, each once, said by rank 0; more than a screenful are counted. Collective.
void say_notes(JobContext& job, const std::vector<std::string>& lines);
/// The same, of lines that rank 0 has already, by rank.
void say_all_notes(const JobContext& job, const std::vector<std::vector<std::string>>& by_rank);

/// A directory of one role on this host, with {host} and {rank} expanded.
std::vector<std::string> disk_paths(const JobContext& job, DiskRole role);

/// A configured directory, to look beneath it; nullptr where there is none or this user may not open it, which the
/// check of that disk says.
std::shared_ptr<Directory> open_disk(JobContext& job, const std::string& path);

/// Which disks of `count` this rank uses: its own share when they divide evenly among the ranks of the host, else all.
std::vector<std::uint32_t> disks_of_rank(const RankPlace& place, std::size_t count);

/// The record shape of the config; the config reader saw to it that the key lies in the record.
RecordFormat configured_format(const Config& config);

/// What io.direct makes of what FileSystem::direct_io_in() or direct_io_of() proved.
struct DirectIoCheck {
    bool is_cached = false;  ///< what is read and written there goes through the page cache, as io.direct allows
    std::string problem;     ///< what io.direct = "on" has against it; empty: nothing
};
DirectIoCheck check_direct_io(const JobContext& job, const DirectIoProof& proof);

/// The configured disk that `path` lies below, the innermost of several; `path` itself below none. For people.
std::string disk_of_path(const JobContext& job, const std::string& path);

/// Disks of this host, and directories below none, that do not by-pass the page cache: those that preflight found, and
/// those of files that were opened since.
std::vector<std::string> cached_places(const JobContext& job, std::vector<std::string> found);

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
