// One pass: the chunks of phase one stay, so a rank's memory holds its whole share beside the larger of what reading
// and shuffling need and what sorting and writing need (ARCHITECTURE.md, One pass).
#include <algorithm>
#include <bit>
#include <cmath>
#include <numeric>

#include "plan/plan_internal.hpp"
#include "sort/sort_partition.hpp"

namespace sluice {
namespace planning {
namespace {

constexpr std::uint64_t kLargestKeptPartition = 32 * kMiB;  // gathers at 7 to 11 GB/s per core; files not too many
constexpr std::uint64_t kLargestChunk = 128 * kKiB;
constexpr std::uint64_t kSmallestChunk = 4 * kKiB;
constexpr std::uint64_t kOpenChunksOfShare = 16;  // open chunks may take a sixteenth of what the share does

/// Records to hold for a share of `mean` records: 1.05 of it (ARCHITECTURE.md, Data flow), six standard deviations of
/// a uniform draw where that is more, and never more than there are.
std::uint64_t planned_share_records(std::uint64_t mean, std::uint64_t all) {
    const double records = static_cast<double>(mean);
    const double spread = std::max(0.05 * records, 6 * std::sqrt(records) + 8);
    return std::min(all, static_cast<std::uint64_t>(std::ceil(records + spread)));
}

/// What a rank must hold, and what it holds where the budget allows.
struct Share {
    std::uint32_t partitions = 0;
    std::uint64_t records = 0, roomy_records = 0, partition_records = 0;
};

/// Few or correlated samples (large records, runs of neighbours) may miss the share by more than is planned at the
/// least: what memory is left takes a quarter more than the mean, as partitions do.
std::uint64_t roomy_share_records(std::uint64_t mean, std::uint64_t all) {
    return std::max(planned_share_records(mean, all), std::min(all, mean + mean / 4 + 1));
}

void use_spare_memory(RankPlan& plan, const Share& share, std::uint64_t budget_bytes) {
    const std::uint64_t more =
        ceil_div(share.roomy_records, plan.one.chunk_records) - ceil_div(share.records, plan.one.chunk_records);
    plan.one.chunks += std::min(more, (budget_bytes - plan.memory_bytes()) / plan.one.chunk_bytes);
}

/// Chunks of a power of two of records, so that a record is found by shifts. A chunk has no room for one more record:
/// its size is rounded up by less than a record. As many as the share fills, and one open for each worker and
/// partition: then nobody ever waits for one.
void plan_chunks(PhaseOnePlan& plan, RecordFormat format, const Share& share, std::uint64_t wanted_bytes) {
    plan.chunk_records = std::bit_floor(std::max<std::uint64_t>(1, wanted_bytes / format.record_bytes));
    plan.chunk_bytes = round_up(plan.chunk_records * format.record_bytes, 64);
    const std::size_t open = std::size_t{plan.distributors + plan.logical_disk_distributors} * share.partitions;
    plan.chunks = std::max<std::size_t>(1, ceil_div(share.records, plan.chunk_records) + open);
    plan.max_chunks = plan.target_chunks = 64;  // nobody waits for them to be handed on, so few and large steps
    plan.low_water_chunks = 0;
}

PhaseTwoPlan in_memory(const Config& config, RecordFormat format, const RankResources& rank, const Comfort& comfort,
                       std::uint64_t partition_records, unsigned sorters) {
    PhaseTwoPlan plan;
    plan.sorters = sorters;
    plan.partition_slots = 0;
    plan.partition_bytes = partition_records * format.record_bytes;
    plan.scratch_bytes = round_up(sort_scratch_bytes(partition_records + 1, format), kDirectIoAlign);
    plan.read_depth = 0;
    plan.disk_workers = std::min(rank.disk_workers, comfort.max_workers);
    plan.write_depth = config.io.depth != 0 ? config.io.depth : comfort.depth;
    plan.write_bytes = write_bytes_for(config, format, comfort);
    plan.write_buffers = std::size_t{plan.write_depth} * plan.disk_workers * std::max(1u, rank.output_disks) + sorters;
    return plan;
}

/// All sorters the cores can use, then half of them, and so on.
std::vector<unsigned> sorter_counts(const Config& config, const RankResources& rank) {
    std::vector<unsigned> counts;
    for (unsigned n = config.stages.sorter.workers != 0 ? config.stages.sorter.workers : std::max(1u, rank.cores);
         n > 0; n /= 2) {
        counts.push_back(n);
    }
    return counts;
}

std::optional<RankPlan> fit_rank(const Config& config, RecordFormat format, const std::vector<RankResources>& all,
                                 std::uint32_t number, const Share& share, std::uint64_t budget_bytes) {
    const RankResources& rank = all[number];
    for (const Comfort& comfort : comforts()) {
        RankPlan plan{share.partitions,
                      phase_one_base(config, format, rank, all.size(), between(comfort, all), budget_bytes),
                      {}};
        plan.one.writers = 0;
        const std::uint64_t open =
            std::uint64_t{plan.one.distributors + plan.one.logical_disk_distributors} * std::max(1u, share.partitions);
        std::uint64_t chunk_bytes =
            std::clamp(share.records * format.record_bytes / kOpenChunksOfShare / open, kSmallestChunk, kLargestChunk);
        chunk_bytes = pick(config.io.chunk_size_bytes, chunk_bytes);
        for (;; chunk_bytes /= 2) {
            plan_chunks(plan.one, format, share, chunk_bytes);
            for (const unsigned sorters : sorter_counts(config, rank)) {
                plan.two = in_memory(config, format, rank, comfort, share.partition_records, sorters);
                if (plan.memory_bytes() > budget_bytes) continue;
                use_spare_memory(plan, share, budget_bytes);
                return plan;
            }
            if (config.io.chunk_size_bytes != 0 || chunk_bytes <= kSmallestChunk) break;
        }
    }
    return std::nullopt;
}

std::optional<SortPlan> try_one_pass(const Config& config, RecordFormat format, const std::vector<RankResources>& ranks,
                                     std::uint32_t partitions, std::optional<std::uint64_t> budget_bytes) {
    SortPlan plan;
    plan.passes = 1;
    plan.format = format;
    plan.input_bytes = total_input_bytes(ranks);
    plan.ownership = own_by_weight(partitions, ranks);
    plan.mean_partition_bytes = plan.input_bytes / partitions;
    plan.planned_partition_bytes = planned_partition_bytes(plan.mean_partition_bytes, format.record_bytes);
    const std::uint64_t all = plan.input_bytes / format.record_bytes;
    const double total_weight = std::accumulate(ranks.begin(), ranks.end(), 0.0,
                                                [](double sum, const RankResources& r) { return sum + r.weight; });
    const TableFacts facts{format, config.net.transport, ranks.size(), partitions, plan.planned_partition_bytes};
    PlansOfEqualRanks equals(ranks);
    plan.ranks.reserve(ranks.size());
    for (std::uint32_t r = 0; r < ranks.size(); ++r) {
        const std::uint32_t own = plan.ownership.count(r);
        if (const RankPlan* const equal = equals.find(plan.ranks, r, own)) {
            plan.ranks.push_back(*equal);
            continue;
        }
        // By its partitions where they are equal, by its weight where splitters make them so: whichever is more.
        const double part = std::max(static_cast<double>(own) / partitions, ranks[r].weight / total_weight);
        const auto mean = static_cast<std::uint64_t>(static_cast<double>(all) * part) + 1;
        const std::uint64_t partition_mean =
            std::max(plan.mean_partition_bytes / format.record_bytes, mean / std::max(1u, own));
        const Share share{
            own, planned_share_records(mean, all), roomy_share_records(mean, all),
            std::min(all, planned_partition_bytes(partition_mean * format.record_bytes, format.record_bytes) /
                              format.record_bytes)};
        const auto fitted = plan_with_tables(
            budget_bytes.value_or(ranks[r].budget_bytes), facts,
            [&](std::uint64_t pools_bytes) { return fit_rank(config, format, ranks, r, share, pools_bytes); });
        if (!fitted) return std::nullopt;
        plan.ranks.push_back(*fitted);
    }
    agree_on_messages(plan);
    return plan;
}

}  // namespace

std::optional<SortPlan> plan_one_pass(const Config& config, RecordFormat format,
                                      const std::vector<RankResources>& ranks,
                                      std::optional<std::uint64_t> budget_bytes) {
    const std::uint64_t least_budget_bytes = budget_bytes.value_or(tightest_of(ranks).budget_bytes);
    const std::uint64_t wanted_bytes = std::clamp(least_budget_bytes / 64, kSmallestPartition, kLargestKeptPartition);
    for (const std::uint32_t count : partition_counts(config, ranks, {wanted_bytes, least_budget_bytes})) {
        if (auto plan = try_one_pass(config, format, ranks, count, budget_bytes)) return plan;
    }
    return std::nullopt;
}

std::uint64_t smallest_one_pass_budget(const Config& config, RecordFormat format,
                                       const std::vector<RankResources>& ranks) {
    return smallest_working(
        [&](std::uint64_t budget_bytes) { return plan_one_pass(config, format, ranks, budget_bytes).has_value(); });
}

}  // namespace planning

std::optional<PhaseTwoPlan> plan_phase_two_in_memory(const Config& config, RecordFormat format,
                                                     const RankResources& rank, std::uint64_t largest_records,
                                                     std::uint64_t memory_bytes) {
    for (const planning::Comfort& comfort : planning::comforts()) {
        for (const unsigned sorters : planning::sorter_counts(config, rank)) {
            const PhaseTwoPlan plan = planning::in_memory(config, format, rank, comfort, largest_records, sorters);
            if (plan.memory_bytes() <= memory_bytes) return plan;
        }
    }
    return std::nullopt;
}

}  // namespace sluice
