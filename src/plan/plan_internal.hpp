#pragma once
/// What the planners of one and of two passes share. Internal to src/plan/plan*.cpp.

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "plan/plan.hpp"
#include "runtime/units.hpp"

namespace sluice::planning {

inline constexpr std::uint64_t kWantedReadBytes = 4 * kMiB;  // disks: from 1 MB up depth 4 is enough
inline constexpr std::uint64_t kWantedWriteBytes =
    4 * kMiB;  // beside 4 MB reads, 1 MB writes get too little of the disk
inline constexpr std::uint64_t kWantedMessageBytes = 1 * kMiB;  // shared memory is fastest from 64 KiB to 4 MiB
inline constexpr unsigned kWantedDepth = 4;
inline constexpr std::uint64_t kSmallestPartition = 4 * kMiB;
inline constexpr std::uint64_t kShortestExtentBytes = 1 * kMiB;  // disks read so much at random as fast as in sequence

/// The steps by which the planner gives up comfort before it refuses (ARCHITECTURE.md, Data flow).
struct Comfort {
    std::uint64_t read_bytes = kWantedReadBytes, message_bytes = kWantedMessageBytes, write_bytes = kWantedWriteBytes;
    unsigned depth = kWantedDepth, max_workers = 64;
    bool spare_buffers = true;
    bool roomy = false;          ///< as many messages as the transport has use for
    bool several_hosts = false;  ///< see between()
};
std::span<const Comfort> comforts();

inline std::uint64_t pick(std::uint64_t configured, std::uint64_t planned) {
    return configured != 0 ? configured : planned;
}
std::uint64_t whole_units(std::uint64_t wanted_bytes, std::uint64_t unit);
/// One write of sorted data.
std::uint64_t write_bytes_for(const Config& config, RecordFormat format, const Comfort& comfort);
/// The comfort of messages between these ranks, which are smaller where there are several hosts.
Comfort between(Comfort comfort, const std::vector<RankResources>& ranks);
/// Messages between two ranks or more: their size and number, for the workers that `plan` has, and whether these share
/// open send buffers so that not too much of the budget goes there.
void plan_messages(PhaseOnePlan& plan, const Config& config, RecordFormat format, std::size_t ranks,
                   const Comfort& comfort, std::uint64_t budget_bytes);
/// A host with little memory plans smaller messages, and a sender must not send what does not fit there.
void agree_on_messages(SortPlan& plan);
/// Everything of phase one but the chunks, whose number is what memory is left.
/// @param budget_bytes  of this rank, whatever `rank` says
PhaseOnePlan phase_one_base(const Config& config, RecordFormat format, const RankResources& rank, std::size_t ranks,
                            const Comfort& comfort, std::uint64_t budget_bytes);
/// What phase one needs beside its chunks.
std::uint64_t fixed_bytes(const PhaseOnePlan& plan);
/// How large a chunk may be: one aligned unit, or as many blocks as keep the padding small.
std::uint64_t chunk_limit(const Config& config, RecordFormat format, bool roomy);
/// Contiguous partition ranges in proportion to the ranks' weights; a rank's number of them and a host's are right
/// within one, wherever its ranks stand.
Ownership own_by_weight(std::uint32_t partitions, const std::vector<RankResources>& ranks);
/// The mean size at which two passes have use for their memory.
std::uint64_t wanted_partition_bytes(const Config& config, RecordFormat format, const std::vector<RankResources>& ranks,
                                     std::uint64_t budget_bytes);
/// Partition counts to try: as configured, or the wanted size first, then larger and smaller ones in turn; multiples of
/// ranks and disks first.
struct WantedPartition {
    std::uint64_t bytes = 0;
    std::uint64_t budget_bytes = 0;  ///< of the rank that has least
};
std::vector<std::uint32_t> partition_counts(const Config& config, const std::vector<RankResources>& ranks,
                                            const WantedPartition& wanted);
std::uint64_t total_input_bytes(const std::vector<RankResources>& ranks);
const RankResources& tightest_of(const std::vector<RankResources>& ranks);
/// The smallest multiple of 1 MiB with which `works` is true, which it is for all larger ones; 0 when none up to a
/// pebibyte does.
std::uint64_t smallest_working(const std::function<bool(std::uint64_t budget_bytes)>& works);

/// Large clusters have many ranks of equal means, which get equal plans: they are looked up among the last few.
class PlansOfEqualRanks {
public:
    /// @param ranks  must outlive it
    explicit PlansOfEqualRanks(const std::vector<RankResources>& ranks) : ranks_(ranks) {}
    /// @param plans  of the ranks before `rank`; nullptr where none of them is of use
    const RankPlan* find(const std::vector<RankPlan>& plans, std::size_t rank, std::uint32_t partitions);

private:
    const std::vector<RankResources>& ranks_;
    std::vector<std::size_t> different_;  // ranks, the latest first
};

/// The plan of a one-pass sort within each rank's budget, or within `budget_bytes` each when given.
std::optional<SortPlan> plan_one_pass(const Config& config, RecordFormat format,
                                      const std::vector<RankResources>& ranks,
                                      std::optional<std::uint64_t> budget_bytes = std::nullopt);
std::uint64_t smallest_one_pass_budget(const Config& config, RecordFormat format,
                                       const std::vector<RankResources>& ranks);

}  // namespace sluice::planning
