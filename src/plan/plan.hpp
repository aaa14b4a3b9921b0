#pragma once
/// Decides, before the first byte, how many partitions, workers and buffers a sort uses, and proves that they fit.

#include <cstdint>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "plan/table_bytes.hpp"
#include "record/record_format.hpp"
#include "runtime/config.hpp"
#include "runtime/units.hpp"
#include "stages/node_distributor.hpp"

namespace sluice {

/// What one rank has to work with. Gathered from all ranks; every rank makes the same plan from the same list.
struct RankResources {
    std::string host;
    std::uint64_t budget_bytes = 0;  ///< this rank's part of its host's budget
    unsigned cores = 1;              ///< cores this rank may use
    unsigned input_disks = 1, intermediate_disks = 1, output_disks = 1;
    unsigned disk_workers = 1;            ///< readers and writers that each disk is worth
    std::uint64_t input_bytes = 0;        ///< what it reads in phase one
    double weight = 1.0;                  ///< share of the output relative to other ranks
    bool shares_output_disks = false;     ///< each rank of the host writes to all output disks of the host
    std::uint64_t host_memory_bytes = 0;  ///< left of its host, as the first rank there sees it; 0 on the others
    static constexpr auto fields =
        std::tuple{&RankResources::host,         &RankResources::budget_bytes,       &RankResources::host_memory_bytes,
                   &RankResources::cores,        &RankResources::input_disks,        &RankResources::intermediate_disks,
                   &RankResources::output_disks, &RankResources::disk_workers,       &RankResources::input_bytes,
                   &RankResources::weight,       &RankResources::shares_output_disks};
};

/// Phase one: buffers and workers of one rank. Sizes in bytes, all buffers a multiple of kDirectIoAlign.
struct PhaseOnePlan {
    unsigned readers = 1, distributors = 1, logical_disk_distributors = 0,
             writers = 1;          ///< writers: a multiple of the disks
    std::uint64_t read_bytes = 0;  ///< one read, whole records
    unsigned read_depth = 4;       ///< reads in flight per reader
    std::size_t read_buffers = 0;
    std::uint64_t chunk_bytes = 0;
    std::uint64_t chunk_records = 0;        ///< one pass: records a chunk holds, a power of two; 0 in two passes
    std::size_t chunks = 0;                 ///< >= (distributors + logical_disk_distributors) * partitions
    std::uint64_t message_bytes = 0;        ///< send and receive buffers, header included
    std::size_t send_buffers = 0;           ///< >= open_send_buffers() * (ranks - 1)
    unsigned send_groups = 0;               ///< of distributors that share open send buffers; 0: each has its own
    std::size_t receive_buffers = 0;        ///< >= least_receive_buffers
    std::size_t least_receive_buffers = 0;  ///< that the transport cannot do without
    std::size_t target_chunks = 1, max_chunks = 1, low_water_chunks = 0;
    unsigned write_depth = 4;                       ///< chained writes in flight per intermediate disk
    std::uint64_t write_flight_bytes = UINT64_MAX;  ///< and no further one beyond these bytes
    bool receive_in_window = false;  ///< rma: receive buffers are MPI's memory, beside the arena, during phase one
    // Sizes beyond 2^64-1 are that: no budget has room for them.
    std::uint64_t chunk_memory_bytes() const { return saturating_product(chunks, chunk_bytes); }
    unsigned open_send_buffers() const { return send_groups != 0 ? send_groups : distributors; }  ///< of each peer
    /// Of the distributor with this number: neighbours, as their cores are.
    unsigned send_group(unsigned distributor) const { return distributor * send_groups / distributors; }
    std::uint64_t memory_bytes() const;  ///< all of it, the window included
    std::uint64_t window_bytes() const;
    std::uint64_t arena_bytes() const { return memory_bytes() - window_bytes(); }
};

/// Phase two: made from the real sizes of the partitions once phase one has ended; planned beforehand for 1.25 of the
/// mean.
struct PhaseTwoPlan {
    unsigned sorters = 1;
    unsigned disk_workers = 1;          ///< readers, and writers of each output disk
    std::uint64_t partition_bytes = 0;  ///< a slot holds the largest partition
    std::size_t partition_slots = 1;
    std::uint64_t scratch_bytes = 0;  ///< tags, per sorter
    std::uint64_t write_bytes = 0;    ///< one write buffer, whole records
    std::size_t write_buffers = 2;
    std::uint64_t read_bytes = 0;  ///< largest single read of an extent
    unsigned read_depth = 4, write_depth = 4;
    std::uint64_t read_flight_bytes = UINT64_MAX;  ///< no further read beyond these bytes
    std::uint64_t memory_bytes() const;
};

/// What one rank uses in a sort: its partitions, and the buffers and workers of each phase.
struct RankPlan {
    std::uint32_t partitions = 0;
    PhaseOnePlan one;
    PhaseTwoPlan two;
    double share = 0;     ///< of all records, that is to come to this rank
    TableBytes tables{};  ///< beside the pools; see there for what of it the budget pays
    /// What the arena must hold: the larger phase; in one pass, where the chunks stay, they and the larger rest.
    std::uint64_t arena_bytes() const;
    std::uint64_t memory_bytes() const { return saturating_sum(arena_bytes(), one.window_bytes()); }  ///< of all pools
    /// The arena of a run: its pools, and 1 MiB for their alignment.
    std::uint64_t mapped_bytes() const { return arena_bytes() + kAlignmentBytes; }
    /// All that the rank's process will have resident: within its budget and kBesideBudgetBytes.
    std::uint64_t resident_bytes() const {
        return mapped_bytes() + one.window_bytes() + tables.total() + kProcessBytes;
    }
};

/// The plan of a whole sort. Every rank computes it from the same list of resources, so all ranks have the same one.
struct SortPlan {
    RecordFormat format;
    Ownership ownership;
    std::uint64_t input_bytes = 0, mean_partition_bytes = 0, planned_partition_bytes = 0;
    std::uint64_t smallest_budget_bytes = 0;  ///< of the rank that needs most, for this input on this cluster
    unsigned passes = 2;                      ///< 1: partitions stay in memory between the phases
    std::string passes_reason;                ///< one line: why so many
    std::vector<RankPlan> ranks;
};

/// A partition may be this much larger than the mean before it breaks the plan (ARCHITECTURE.md, Data flow); small
/// partitions get six standard deviations of a uniform draw on top.
std::uint64_t planned_partition_bytes(std::uint64_t mean_bytes, std::uint32_t record_bytes);

/// One pass or two, as config.passes says. Throws Error(config) saying which rank needs how much, and the smallest
/// budget that works, when nothing fits.
/// @param with_smallest_budget  also search the smallest budget that works (some milliseconds; for `config check`).
SortPlan plan_sort(const Config& config, RecordFormat format, const std::vector<RankResources>& ranks,
                   bool with_smallest_budget = false);

/// Messages that a rank with memory to spare has beyond one for each worker and peer. `bench net` has as many. Where a
/// transport has use for several of each peer they are no more than what keeps a link busy, however many the peers.
struct SpareMessages {
    std::size_t send = 0, receive = 0;
};
SpareMessages spare_messages(TransportKind transport, std::size_t peers, bool several_hosts,
                             std::uint64_t message_bytes);

/// Phase two for one rank, from the size of its largest partition; nullopt when not even one partition at a time fits.
std::optional<PhaseTwoPlan> plan_phase_two(const Config& config, RecordFormat format, const RankResources& rank,
                                           std::uint64_t largest_partition_bytes);

/// The rule that no schedule can deadlock (ARCHITECTURE.md, Data flow) with the numbers of this rank: one problem for
/// each pool that the config makes smaller than the rule, or that the plan did.
Problems pool_problems(const Config& config, const RankPlan& plan, std::size_t ranks);

/// Least memory of each phase for this many partitions of this size, with the workers of the plan: readers, chunks,
/// send and receive buffers (as few as the transport can do with) at their minimum; three partitions, tags and write
/// buffers. In one pass all of its chunks are needed in both phases, and phase two has no partitions beside them.
struct MemoryFloors {
    std::uint64_t phase_one_bytes = 0, phase_two_bytes = 0;
};
MemoryFloors memory_floors(const RankPlan& plan, std::size_t ranks);

/// Phase one for a rank alone that spreads its input over `partitions`, within `budget_bytes`; nullopt when not even
/// the least comfortable plan fits.
std::optional<PhaseOnePlan> plan_phase_one_alone(const Config& config, RecordFormat format, const RankResources& rank,
                                                 std::uint32_t partitions, std::uint64_t budget_bytes);

/// One pass: phase two for one rank, once the records of its largest partition are known, in the `memory_bytes` beside
/// the chunks; nullopt when not even one sorter's tags fit.
std::optional<PhaseTwoPlan> plan_phase_two_in_memory(const Config& config, RecordFormat format,
                                                     const RankResources& rank, std::uint64_t largest_records,
                                                     std::uint64_t memory_bytes);

/// The pools that were planned from the budget, for a message: they are what could be smaller.
std::string pools_text(const RankPlan& plan);

/// What `config check` prints: partitions, buffers per stage, threads, bytes per disk, floors and the smallest budget.
std::string describe(const SortPlan& plan, const std::vector<RankResources>& ranks);

}  // namespace sluice
