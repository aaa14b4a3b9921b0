#include "plan/plan.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <string_view>

#include "net/transport_kind.hpp"
#include "plan/balance.hpp"
#include "plan/plan_internal.hpp"
#include "plan/table_bytes.hpp"
#include "record/chunk_layout.hpp"
#include "runtime/error.hpp"
#include "runtime/units.hpp"
#include "sort/sort_partition.hpp"

namespace sluice {
namespace planning {
namespace {

constexpr std::uint64_t kLongestExtentBytes = 4 * kMiB;
constexpr unsigned kShortRequests = 4;  // for shorter extents, so many times the requests in flight: the same bytes
constexpr std::uint64_t kPaddedChunkBytes = 1 * kMiB;        // chunks of records that do not fill blocks: up to
constexpr std::uint64_t kTightPaddedChunkBytes = 64 * kKiB;  // and where memory is short
constexpr std::uint64_t kLeastPaddedReadBytes = 1 * kMiB;    // of the same: two reads share a block, 0.4 % of this
constexpr std::uint64_t kLeastWriteBytes = 64 * kKiB;        // of records that do not fill blocks

const Comfort kComforts[] = {
    {kWantedReadBytes, kWantedMessageBytes, kWantedWriteBytes, kWantedDepth, 64, true, true},
    {},
    {kWantedReadBytes / 2, kWantedMessageBytes / 2, kWantedWriteBytes / 2, kWantedDepth, 8, true},
    {kWantedReadBytes / 4, kWantedMessageBytes / 4, kWantedWriteBytes / 4, kWantedDepth, 4, true},
    {kWantedReadBytes / 8, kWantedMessageBytes / 4, kMiB / 2, 2, 2, true},
    {kWantedReadBytes / 16, kWantedMessageBytes / 8, kMiB / 4, 2, 1, true},
    {1, 64 * kKiB, 1, 1, 1, false},
};

unsigned pick_workers(unsigned configured, unsigned planned, unsigned cap) {
    return configured != 0 ? configured : std::max(1u, std::min(planned, cap));
}

}  // namespace

std::span<const Comfort> comforts() { return kComforts; }

std::uint64_t chunk_limit(const Config& config, RecordFormat format, bool roomy) {
    if (config.io.chunk_size_bytes != 0) return config.io.chunk_size_bytes;
    return format.fills_blocks() ? format.aligned_unit_bytes() : roomy ? kPaddedChunkBytes : kTightPaddedChunkBytes;
}

std::uint64_t whole_units(std::uint64_t wanted_bytes, std::uint64_t unit) {
    return std::max(unit, round_down(wanted_bytes, unit));
}

std::uint64_t write_bytes_for(const Config& config, RecordFormat format, const Comfort& comfort) {
    const std::uint64_t least = format.fills_blocks() ? 0 : kLeastWriteBytes;
    return whole_units(pick(config.io.write_size_bytes, std::max(comfort.write_bytes, least)),
                       format.buffer_unit_bytes());
}

PhaseOnePlan phase_one_base(const Config& config, RecordFormat format, const RankResources& rank, std::size_t ranks,
                            const Comfort& comfort, std::uint64_t budget_bytes) {
    PhaseOnePlan plan;
    const std::uint64_t unit = format.buffer_unit_bytes();
    const bool alone = ranks == 1;
    const unsigned disk_workers = std::min(rank.disk_workers, comfort.max_workers);
    plan.readers = pick_workers(config.stages.reader.workers, rank.input_disks * disk_workers, comfort.max_workers);
    plan.distributors =
        pick_workers(config.stages.distributor.workers, alone ? rank.cores : (rank.cores + 1) / 2, comfort.max_workers);
    plan.logical_disk_distributors =
        alone ? 0 : pick_workers(config.stages.logical_disk_distributor.workers, rank.cores / 2, comfort.max_workers);
    plan.writers = rank.intermediate_disks * disk_workers;
    plan.read_depth = config.io.depth != 0 ? config.io.depth : comfort.depth;
    plan.write_depth = plan.read_depth;
    if (config.io.depth == 0) {
        plan.write_flight_bytes = plan.write_depth * kLongestExtentBytes;
        plan.write_depth *= kShortRequests;
    }
    plan.read_bytes = whole_units(pick(config.io.read_size_bytes, comfort.read_bytes), unit);
    if (!format.fills_blocks()) {  // a record, and the block that the one before it ends in, which is read twice
        if (config.io.read_size_bytes == 0) plan.read_bytes = std::max(plan.read_bytes, kLeastPaddedReadBytes);
        plan.read_bytes = std::max(plan.read_bytes, round_up(format.record_bytes, kDirectIoAlign)) + kDirectIoAlign;
    }
    plan.read_buffers = comfort.spare_buffers ? plan.readers * plan.read_depth + plan.distributors + 1 : plan.readers;
    plan.chunk_bytes = chunk_bytes_for(format, chunk_limit(config, format, comfort.spare_buffers));
    if (!alone) plan_messages(plan, config, format, ranks, comfort, budget_bytes);
    return plan;
}

std::uint64_t fixed_bytes(const PhaseOnePlan& plan) {
    return saturating_sum(saturating_product(plan.read_buffers, plan.read_bytes),
                          saturating_product(plan.send_buffers + plan.receive_buffers, plan.message_bytes));
}

namespace {

/// What one rank is to do in phase one, and with what.
struct PhaseOneTask {
    const RankResources& rank;
    std::size_t ranks = 1;
    std::uint32_t partitions = 0;
    std::uint64_t budget_bytes = 0;
    std::uint64_t free_bytes = 0;  ///< memory that costs nothing, since phase two needs it anyway: extents grow into it
};

std::optional<PhaseOnePlan> plan_phase_one(const Config& config, RecordFormat format, const PhaseOneTask& task,
                                           const Comfort& comfort) {
    const auto& [rank, ranks, partitions, budget_bytes, free_bytes] = task;
    PhaseOnePlan plan = phase_one_base(config, format, rank, ranks, comfort, budget_bytes);
    const std::size_t floor_chunks =
        std::size_t{plan.distributors + plan.logical_disk_distributors} * std::max(1u, partitions);
    const std::uint64_t without_chains =
        saturating_sum(fixed_bytes(plan), saturating_product(floor_chunks, plan.chunk_bytes));
    if (without_chains > budget_bytes) return std::nullopt;
    const std::size_t affordable = (budget_bytes - fixed_bytes(plan)) / plan.chunk_bytes;
    // No more than the data can fill, nor than chains of the wanted length need: written longest first, chains are half
    // as long on average, and a quarter on top keeps the distributors off the low water mark. Memory beyond that makes
    // no write longer, but would have to be touched at start and flushed at the end.
    const std::uint64_t for_chains = std::max(free_bytes, without_chains) - without_chains;
    const std::uint64_t wanted_bytes =
        pick(config.io.extent_size_bytes,
             std::clamp(for_chains * 8 / 5 / std::max(1u, partitions), kShortestExtentBytes, kLongestExtentBytes));
    const std::uint64_t wanted_chunks = std::max<std::uint64_t>(1, wanted_bytes / plan.chunk_bytes);
    const std::uint64_t share_bytes = rank.input_bytes + rank.input_bytes / 4;
    const std::size_t fillable = 2 * std::size_t{partitions} + share_bytes / plan.chunk_bytes + 1;
    const std::size_t chained =
        partitions * wanted_chunks * 5 / 8 + std::size_t{plan.writers} * plan.read_depth * wanted_chunks + 1;
    const std::size_t useful = std::max(2 * floor_chunks, floor_chunks + std::min(fillable, chained));
    plan.chunks = std::max(floor_chunks, std::min(affordable, useful));
    // Comfortable plans want at least half of the chunks free to be chained, so that writes are long.
    if (comfort.max_workers > 1 && plan.chunks < 2 * floor_chunks) return std::nullopt;
    const std::uint64_t chained_bytes = (plan.chunks - floor_chunks) * plan.chunk_bytes;
    const std::uint64_t extent_bytes =
        pick(config.io.extent_size_bytes, std::min(wanted_bytes, chained_bytes * 8 / 5 / std::max(1u, partitions)));
    plan.target_chunks = std::max<std::size_t>(1, extent_bytes / plan.chunk_bytes);
    plan.max_chunks = std::max<std::size_t>(plan.target_chunks, 16 * kMiB / plan.chunk_bytes);
    plan.max_chunks = std::clamp<std::size_t>(plan.max_chunks, 1, 64);
    plan.target_chunks = std::min(plan.target_chunks, plan.max_chunks);
    plan.low_water_chunks = (plan.chunks - floor_chunks) / 16;
    return plan;
}

std::optional<PhaseTwoPlan> fit_phase_two(const Config& config, RecordFormat format, const RankResources& rank,
                                          std::uint64_t partition_bytes, std::uint64_t budget_bytes) {
    PhaseTwoPlan plan;
    plan.partition_bytes = round_up(std::max<std::uint64_t>(partition_bytes, 1), kDirectIoAlign);
    plan.scratch_bytes =
        round_up(sort_scratch_bytes(partition_bytes / format.record_bytes + 1, format), kDirectIoAlign);
    plan.read_bytes = round_up(pick(config.io.read_size_bytes, kWantedReadBytes), kDirectIoAlign);
    const unsigned most_sorters =
        config.stages.sorter.workers != 0 ? config.stages.sorter.workers : std::max(1u, rank.cores);
    for (unsigned sorters = most_sorters; sorters > 0; sorters = sorters > 1 ? sorters / 2 : 0) {
        for (const Comfort& comfort : kComforts) {
            plan.sorters = sorters;
            plan.disk_workers = std::min(rank.disk_workers, comfort.max_workers);
            const unsigned depth = config.io.depth != 0 ? config.io.depth : comfort.depth;
            plan.read_depth = depth * std::max(1u, rank.intermediate_disks);
            if (config.io.depth == 0) {
                plan.read_flight_bytes = plan.read_depth * kWantedReadBytes;
                plan.read_depth *= kShortRequests;
            }
            plan.write_depth = depth;
            plan.write_bytes = write_bytes_for(config, format, comfort);
            plan.write_buffers = std::size_t{depth} * plan.disk_workers * std::max(1u, rank.output_disks) + sorters;
            // Best: every sorter busy, one partition ready and one being read; at worst one partition at a time.
            const std::size_t spare_slots = comfort.max_workers >= 8 ? 2 : comfort.max_workers >= 2 ? 1 : 0;
            plan.partition_slots = sorters + spare_slots;
            if (plan.memory_bytes() <= budget_bytes) return plan;
        }
    }
    return std::nullopt;
}

/// @param task           with no free bytes yet
/// @param planned_bytes  that a partition may have
std::optional<RankPlan> plan_rank(const Config& config, RecordFormat format, const std::vector<RankResources>& all,
                                  PhaseOneTask task, std::uint64_t planned_bytes) {
    const RankResources& rank = task.rank;
    const std::uint64_t budget_bytes = task.budget_bytes;
    // Loaded as it was written, padding included, of which tight chunks have most.
    const std::uint64_t loaded_bytes =
        padded_bytes(format, chunk_bytes_for(format, chunk_limit(config, format, false)), planned_bytes);
    const auto two = fit_phase_two(config, format, rank, loaded_bytes, budget_bytes);
    if (!two) return std::nullopt;
    task.free_bytes = two->memory_bytes();
    for (const Comfort& comfort : kComforts) {
        const auto one = plan_phase_one(config, format, task, between(comfort, all));
        if (!one) continue;
        if (one->window_bytes() == 0) return RankPlan{task.partitions, *one, *two};
        // The arena is mapped for both phases before the window is, so phase two has to leave room for it.
        if (one->window_bytes() >= budget_bytes) continue;
        // "auto" counts on no more than half, unless sizes are given.
        const bool given = config.net.receive_buffers != 0 || config.net.buffer_size_bytes != 0;
        if (!given && one->window_bytes() > budget_bytes / 2) continue;
        const auto beside = fit_phase_two(config, format, rank, planned_bytes, budget_bytes - one->window_bytes());
        if (beside) return RankPlan{task.partitions, *one, *beside};
    }
    return std::nullopt;
}

}  // namespace

namespace {

/// The plan with `partitions` partitions, if it fits within each rank's budget (or, when given, within `budget_bytes`).
std::optional<SortPlan> try_partitions(const Config& config, RecordFormat format,
                                       const std::vector<RankResources>& ranks, std::uint32_t partitions,
                                       std::uint64_t input_bytes,
                                       std::optional<std::uint64_t> budget_bytes = std::nullopt) {
    SortPlan plan;
    plan.format = format;
    plan.input_bytes = input_bytes;
    plan.ownership = own_by_weight(partitions, ranks);
    plan.mean_partition_bytes = input_bytes / partitions;
    plan.planned_partition_bytes = planned_partition_bytes(plan.mean_partition_bytes, format.record_bytes);
    const TableFacts facts{format, config.net.transport, ranks.size(), partitions, plan.planned_partition_bytes};
    PlansOfEqualRanks equals(ranks);
    plan.ranks.reserve(ranks.size());
    for (std::uint32_t r = 0; r < ranks.size(); ++r) {
        if (const RankPlan* const equal = equals.find(plan.ranks, r, plan.ownership.count(r))) {
            plan.ranks.push_back(*equal);
            continue;
        }
        const auto plan_with = [&](std::uint64_t pools_bytes) {
            const PhaseOneTask task{ranks[r], ranks.size(), plan.ownership.count(r), pools_bytes};
            return plan_rank(config, format, ranks, task, plan.planned_partition_bytes);
        };
        const auto fitted = plan_with_tables(budget_bytes.value_or(ranks[r].budget_bytes), facts, plan_with);
        if (!fitted) return std::nullopt;
        plan.ranks.push_back(*fitted);
    }
    agree_on_messages(plan);
    return plan;
}

std::uint64_t smallest_budget(const Config& config, RecordFormat format, const std::vector<RankResources>& ranks,
                              std::uint64_t input_bytes) {
    // As with that budget in the config: it also decides which partition counts are tried.
    return smallest_working([&](std::uint64_t budget_bytes) {
        const auto counts = partition_counts(
            config, ranks, {wanted_partition_bytes(config, format, ranks, budget_bytes), budget_bytes});
        return std::any_of(counts.begin(), counts.end(), [&](std::uint32_t count) {
            return try_partitions(config, format, ranks, count, input_bytes, budget_bytes).has_value();
        });
    });
}

}  // namespace

std::uint64_t total_input_bytes(const std::vector<RankResources>& ranks) {
    return std::accumulate(ranks.begin(), ranks.end(), std::uint64_t{0},
                           [](std::uint64_t sum, const RankResources& r) { return sum + r.input_bytes; });
}

const RankResources& tightest_of(const std::vector<RankResources>& ranks) {
    return *std::min_element(ranks.begin(), ranks.end(),
                             [](const auto& a, const auto& b) { return a.budget_bytes < b.budget_bytes; });
}

std::uint64_t smallest_working(const std::function<bool(std::uint64_t)>& works) {
    std::uint64_t low = 0, high = 1;
    while (!works(high * kMiB)) {
        low = high;
        high *= 2;
        if (high > (1ull << 30)) return 0;  // a pebibyte: the configured sizes themselves are absurd
    }
    while (low + 1 < high) {
        const std::uint64_t middle = low + (high - low) / 2;
        (works(middle * kMiB) ? high : low) = middle;
    }
    return high * kMiB;
}

namespace {

/// Two passes, or an error with the numbers.
SortPlan plan_two_pass(const Config& config, RecordFormat format, const std::vector<RankResources>& ranks,
                       bool with_smallest_budget) {
    const std::uint64_t input_bytes = total_input_bytes(ranks);
    const RankResources& tightest = tightest_of(ranks);
    const std::uint64_t wanted_bytes = wanted_partition_bytes(config, format, ranks, tightest.budget_bytes);
    const auto counts = partition_counts(config, ranks, {wanted_bytes, tightest.budget_bytes});
    for (const std::uint32_t count : counts) {
        if (auto plan = try_partitions(config, format, ranks, count, input_bytes)) {
            if (with_smallest_budget) plan->smallest_budget_bytes = smallest_budget(config, format, ranks, input_bytes);
            return *plan;
        }
    }
    const std::uint64_t smallest = smallest_budget(config, format, ranks, input_bytes);
    throw Error(Errc::config, "memory.budget: " + format_bytes(tightest.budget_bytes) + " for a rank of host " +
                                  tightest.host + " is too small to sort " +
                                  human_bytes(static_cast<double>(input_bytes)) + " on " +
                                  std::to_string(ranks.size()) + " ranks; the smallest that works is " +
                                  format_bytes(smallest) + " for each rank, so set memory.budget of each host >= \"" +
                                  format_bytes(smallest) + "\" times its ranks");
}

}  // namespace
}  // namespace planning

using namespace planning;

std::uint64_t PhaseOnePlan::memory_bytes() const { return saturating_sum(fixed_bytes(*this), chunk_memory_bytes()); }

std::uint64_t PhaseOnePlan::window_bytes() const { return receive_in_window ? receive_buffers * message_bytes : 0; }

std::uint64_t PhaseTwoPlan::memory_bytes() const {
    return saturating_sum(
        saturating_product(partition_slots, partition_bytes),
        saturating_sum(saturating_product(sorters, scratch_bytes), saturating_product(write_buffers, write_bytes)));
}

std::uint64_t RankPlan::arena_bytes() const {
    if (one.chunk_records == 0) return std::max(one.arena_bytes(), two.memory_bytes());
    return saturating_sum(one.chunk_memory_bytes(),
                          std::max(fixed_bytes(one) - one.window_bytes(), two.memory_bytes()));
}

std::uint64_t planned_partition_bytes(std::uint64_t mean_bytes, std::uint32_t record_bytes) {
    const double records = static_cast<double>(mean_bytes) / record_bytes;
    const double spread = std::max(0.25 * records, 6 * std::sqrt(records) + 8);
    return static_cast<std::uint64_t>(std::ceil(records + spread)) * record_bytes;
}

std::optional<PhaseTwoPlan> plan_phase_two(const Config& config, RecordFormat format, const RankResources& rank,
                                           std::uint64_t largest_partition_bytes) {
    return fit_phase_two(config, format, rank, largest_partition_bytes, rank.budget_bytes);
}

Problems pool_problems(const Config& config, const RankPlan& plan, std::size_t ranks) {
    Problems problems;
    const PhaseOnePlan& one = plan.one;
    const std::size_t peers = ranks - 1;
    const auto need = [&](const char* option, std::size_t configured, std::size_t planned, std::size_t least,
                          const std::string& why) {
        const bool too_small = configured != 0 && configured < least;
        if (!too_small && planned >= least) return;
        problems.push_back(
            {Errc::config, std::string(option) + " = " + std::to_string(too_small ? configured : planned) +
                               ": too small, " + why + " = " + std::to_string(least) +
                               " must be there, or a schedule can deadlock; set it >= " + std::to_string(least) +
                               ", or 0 for a planned one"});
    };
    const unsigned workers = one.distributors + one.logical_disk_distributors;
    need("net.send_buffers", config.net.send_buffers, one.send_buffers, one.open_send_buffers() * peers,
         std::to_string(one.open_send_buffers()) + (one.send_groups != 0 ? " group(s) of" : "") +
             " node distributor(s) x " + std::to_string(peers) + " peers");
    if (ranks > 1) {
        need("net.receive_buffers", config.net.receive_buffers, one.receive_buffers,
             least_receive_buffers(config.net.transport, ranks), receive_rule(config.net.transport, ranks));
    }
    need("chunks", 0, one.chunks, std::size_t{workers} * plan.partitions,
         std::to_string(workers) + " distributor(s) x " + std::to_string(plan.partitions) + " partitions");
    return problems;
}

MemoryFloors memory_floors(const RankPlan& plan, std::size_t ranks) {
    const PhaseOnePlan& one = plan.one;
    const PhaseTwoPlan& two = plan.two;
    const bool keeps_chunks = one.chunk_records != 0;
    const std::size_t chunks =
        keeps_chunks ? one.chunks : std::size_t{one.distributors + one.logical_disk_distributors} * plan.partitions;
    const std::uint64_t chunk_bytes = chunks * one.chunk_bytes,
                        messages = one.open_send_buffers() * (ranks - 1) + one.least_receive_buffers;
    return {one.readers * one.read_bytes + chunk_bytes + messages * one.message_bytes,
            (keeps_chunks ? chunk_bytes : 3 * two.partition_bytes) + two.scratch_bytes + 2 * two.write_bytes};
}

std::optional<PhaseOnePlan> plan_phase_one_alone(const Config& config, RecordFormat format, const RankResources& rank,
                                                 std::uint32_t partitions, std::uint64_t budget_bytes) {
    for (const Comfort& comfort : comforts()) {
        if (auto one = plan_phase_one(config, format, {rank, 1, partitions, budget_bytes}, comfort)) return one;
    }
    return std::nullopt;
}

namespace {

/// "one" or "auto": one pass where it fits.
SortPlan plan_by_memory(const Config& config, RecordFormat format, const std::vector<RankResources>& ranks,
                        bool with_smallest_budget) {
    const std::string input = human_bytes(static_cast<double>(total_input_bytes(ranks)));
    const std::string place = input + " of input on " + std::to_string(ranks.size()) + " rank(s)";
    if (auto plan = plan_one_pass(config, format, ranks)) {
        if (with_smallest_budget) plan->smallest_budget_bytes = smallest_one_pass_budget(config, format, ranks);
        std::size_t fullest = 0;
        for (std::size_t r = 1; r < ranks.size(); ++r) {
            if (plan->ranks[r].memory_bytes() > plan->ranks[fullest].memory_bytes()) fullest = r;
        }
        plan->passes_reason =
            "passes = \"" + word_of(config.passes) + "\": one pass, since " + place + " fits in memory, " +
            human_bytes(static_cast<double>(plan->ranks[fullest].memory_bytes())) + " of " +
            human_bytes(static_cast<double>(ranks[fullest].budget_bytes)) + " on rank " + std::to_string(fullest);
        return *plan;
    }
    const std::uint64_t smallest = smallest_one_pass_budget(config, format, ranks);
    const std::string numbers = place + " needs a budget of " + format_bytes(smallest) + " for each rank, host " +
                                tightest_of(ranks).host + " has " + format_bytes(tightest_of(ranks).budget_bytes);
    if (config.passes == Passes::one) {
        throw Error(Errc::config, "passes = \"one\": does not fit in memory: " + numbers +
                                      "; set memory.budget of each host >= \"" + format_bytes(smallest) +
                                      "\" times its ranks, add hosts, or set passes = \"two\"");
    }
    SortPlan plan = plan_two_pass(config, format, ranks, with_smallest_budget);
    plan.passes_reason = "passes = \"auto\": two passes, since one pass over " + numbers;
    return plan;
}

}  // namespace

SortPlan plan_sort(const Config& config, RecordFormat format, const std::vector<RankResources>& ranks,
                   bool with_smallest_budget) {
    SortPlan plan;
    if (config.passes == Passes::two) {
        plan = plan_two_pass(config, format, ranks, with_smallest_budget);
        plan.passes_reason = "passes = \"two\"";
    } else {
        plan = plan_by_memory(config, format, ranks, with_smallest_budget);
    }
    const auto shares = rank_shares(plan.ownership, ranks, config.keys.distribution != SplitterSource::uniform);
    SLUICE_CHECK(plan.ranks.size() == ranks.size() && shares.size() == ranks.size());
    for (std::size_t rank = 0; rank < ranks.size(); ++rank) plan.ranks[rank].share = shares[rank];
    return plan;
}

}  // namespace sluice
