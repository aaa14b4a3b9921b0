#pragma once
/// `sluice sort` after its preflight (plan/prepared_sort.hpp): sample, distribute, split what is too large, sort,
/// account, publish.

#include <functional>
#include <string>
#include <vector>

#include "jobs/phase_one.hpp"
#include "jobs/phase_two.hpp"
#include "jobs/phase_zero.hpp"
#include "plan/balance.hpp"
#include "plan/cluster.hpp"
#include "plan/input_set.hpp"
#include "plan/job_context.hpp"
#include "plan/prepared_sort.hpp"

namespace sluice {

struct SortResult;

/// What a caller may want of a sort beyond its config. The defaults are those of `sluice sort`.
struct SortOptions {
    std::uint32_t most_split_pieces = 1024;  ///< of one more pass over a partition that is too large
    PhaseOneMutant mutant;
    /// Seconds since launch by what this rank alone knows; empty: the time does not matter.
    std::function<double()> since_launch_s = {};
    /// Called on each rank when its parts are written: what rank 0 is to hear of it, for before_publish().
    std::function<std::string(const SortResult&)> report = {};
    /// Called on rank 0 when only the manifest is missing, with all of the result but its time. What it throws ends the
    /// run unpublished. @param reports  what report() said, by rank
    std::function<void(const SortResult&, const std::vector<std::string>& reports)> before_publish = {};
};

/// What one rank knows of a sort that is done; report/sort_report.hpp makes one report of all ranks' results.
struct SortResult {
    bool verified = false;  ///< sums were compared; false: UNCHECKED
    std::string run_id;
    RecordSum input, output;                     ///< over all ranks, on rank 0
    std::uint64_t duplicate_keys = 0;            ///< within this rank's parts
    std::uint64_t begin_ns = 0, durable_ns = 0;  ///< this rank's clock: job begun, MANIFEST durable
    double launch_lag_s = 0;                     ///< how much longer than this rank the first to be launched has run
    std::uint64_t boundary_ns = 0;               ///< from phase one's last write to phase two's first read
    std::uint64_t first_read_ns = 0;             ///< this rank's clock: first read of input submitted; 0: none was
    PhaseReport zero, one, two;                  ///< this rank's; zero is empty when nothing was sampled
    PhaseReport overflow;                        ///< this rank's; empty when every partition fitted
    std::uint64_t overflow_first_read_ns = 0;    ///< this rank's clock; 0: every partition fitted
    PhaseReport exceeded;                        ///< this rank's attempts at one pass whose share did not fit; or empty
    std::uint64_t exceeded_attempts = 0;         ///< the same on all ranks
    std::uint64_t split_partitions = 0;          ///< this rank's that were split by one more pass
    std::uint64_t split_passes = 0;              ///< over one of them or over a piece of it
    std::uint64_t samples = 0;                   ///< records sampled, over all ranks
    std::uint64_t padding_bytes = 0;             ///< this rank's, in the logs
    std::uint64_t extents = 0;
    std::string memory_pages;  ///< what kind of pages the buffers got
    std::uint64_t largest_partition_bytes = 0;
    std::vector<PeerCounters> peers;
    double first_arrival_input_fraction =
        -1;  ///< how much of the input was read when the first record from a peer arrived; -1: none did
    std::vector<HostInput> input_by_host;  ///< on rank 0
    Balance balance;                       ///< over all ranks, on rank 0
};

/// Sorts and publishes. Collective. Throws; parts that were written then stay in OUT/.partial-RUNID, never published,
/// while the logs go.
/// @param prepared  gets another plan, and the reason, where one pass met more than the planned share.
SortResult run_sort(JobContext& job, PreparedSort& prepared, const SortOptions& options);

}  // namespace sluice
