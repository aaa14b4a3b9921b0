#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <map>
#include <unordered_map>

#include "plan/plan.hpp"
#include "runtime/units.hpp"

namespace sluice {
namespace {

std::string line(const char* name, const std::string& text) { return fmt::format("  {:<26} {}\n", name, text); }

std::string size_of(std::uint64_t bytes) { return human_bytes(static_cast<double>(bytes)); }

std::string pool(std::size_t count, std::uint64_t bytes) {
    return fmt::format("{} x {} = {}", count, format_bytes(bytes), size_of(saturating_product(count, bytes)));
}

/// Ranks whose plans are alike: they differ in their number of partitions by one at most, and in the chunks for it.
struct Alike {
    std::vector<std::size_t> ranks;  ///< ascending
    std::uint32_t fewest_partitions = 0, most_partitions = 0;
    std::size_t fullest = 0;  ///< of them, whose pools take most
    std::string partitions_text() const {
        return fewest_partitions == most_partitions ? std::to_string(most_partitions)
                                                    : fmt::format("{} to {}", fewest_partitions, most_partitions);
    }
};

std::string shared_text(const PhaseOnePlan& one) {
    if (one.send_groups == 0) return "";
    return fmt::format(", {} for each peer open at once: the node distributors share them in {} group(s)",
                       one.send_groups, one.send_groups);
}

std::string describe_ranks(const Alike& alike, const RankResources& rank, const SortPlan& sort) {
    const RankPlan& plan = sort.ranks[alike.fullest];
    const PhaseOnePlan& one = plan.one;
    const PhaseTwoPlan& two = plan.two;
    const double share_bytes = static_cast<double>(sort.mean_partition_bytes) * plan.partitions;
    std::string text;
    text += line("reads", fmt::format("{} of input on {} disk(s)", human_bytes(static_cast<double>(rank.input_bytes)),
                                      rank.input_disks));
    const std::string logs =
        sort.passes == 1 ? "in memory" : human_bytes(share_bytes / rank.intermediate_disks) + " per intermediate disk";
    text += line("sorts", fmt::format("{} in {} partitions, {}, {} per output disk", human_bytes(share_bytes),
                                      alike.partitions_text(), logs, human_bytes(share_bytes / rank.output_disks)));
    text += line("cores", fmt::format("{}", rank.cores));
    text += line("phase one workers",
                 fmt::format("{} reader, {} node distributor, {} logical-disk distributor, {}, 1 network", one.readers,
                             one.distributors, one.logical_disk_distributors,
                             sort.passes == 1 ? "1 keeper" : std::to_string(one.writers) + " writer"));
    text += line("  read buffers",
                 pool(one.read_buffers, one.read_bytes) + fmt::format(", {} in flight per reader", one.read_depth));
    const std::size_t open = std::size_t{one.distributors + one.logical_disk_distributors} * plan.partitions;
    text += line("  chunks",
                 pool(one.chunks, one.chunk_bytes) +
                     (sort.passes == 1 ? fmt::format(", of {} records; {} may be open at once", one.chunk_records, open)
                                       : fmt::format(", at least {} needed; written in chains of {} to {}", open,
                                                     one.target_chunks, one.max_chunks)));
    if (one.send_buffers > 0) {
        text += line("  send buffers", pool(one.send_buffers, one.message_bytes) + shared_text(one));
        text +=
            line("  receive buffers",
                 pool(one.receive_buffers, one.message_bytes) +
                     (one.receive_in_window ? ", slots in an MPI window (rma) beside the arena: shared memory while "
                                              "all ranks are on one host; phase two leaves room for them"
                                            : ""));
    }
    text += line("phase two workers",
                 fmt::format("{} reader, {} sorter, {} writer", sort.passes == 1 ? 0 : two.disk_workers, two.sorters,
                             rank.output_disks * two.disk_workers));
    if (sort.passes == 2) text += line("  partition slots", pool(two.partition_slots, two.partition_bytes));
    text += line("  tags", pool(two.sorters, two.scratch_bytes));
    text += line("  write buffers",
                 pool(two.write_buffers, two.write_bytes) + fmt::format(", {} in flight per disk", two.write_depth));
    if (sort.passes == 1) {
        text +=
            line("memory",
                 fmt::format("chunks {} + the larger of phase one's rest {} and phase two's {} = {}, "
                             "budget {}",
                             size_of(one.chunk_memory_bytes()), size_of(one.memory_bytes() - one.chunk_memory_bytes()),
                             size_of(two.memory_bytes()), size_of(plan.memory_bytes()), size_of(rank.budget_bytes)));
    } else {
        text += line("memory", fmt::format("phase one {}, phase two {}, budget {}", size_of(one.memory_bytes()),
                                           size_of(two.memory_bytes()), size_of(rank.budget_bytes)));
    }
    text +=
        line("mapped at start",
             format_bytes(plan.mapped_bytes()) + ", the larger phase and 1 MiB for alignment" +
                 (one.window_bytes() == 0 ? "" : "; beside it the MPI window, " + format_bytes(one.window_bytes())));
    text +=
        line("tables", fmt::format("beside the pools {}, {} of it from the budget: {}, ...",
                                   size_of(plan.tables.total()), size_of(plan.tables.of_budget()), plan.tables.text()));
    const MemoryFloors floors = memory_floors(plan, sort.ranks.size());
    text += line("floors", fmt::format("phase one {} (readers, chunks, send, receive), phase two {} ({}, tags, write "
                                       "buffers)",
                                       size_of(floors.phase_one_bytes), size_of(floors.phase_two_bytes),
                                       sort.passes == 1 ? "chunks" : "three partitions"));
    return text;
}

/// "0-3,8" of sorted numbers; of very many ranges the first ones, the last number and how many numbers there are.
std::string ranges_of(const std::vector<std::size_t>& ranks) {
    constexpr std::size_t kMostRanges = 8, kFirstRanges = 4;
    std::vector<std::string> ranges;
    for (std::size_t i = 0; i < ranks.size();) {
        std::size_t last = i;
        while (last + 1 < ranks.size() && ranks[last + 1] == ranks[last] + 1) ++last;
        if (ranges.size() <= kMostRanges)
            ranges.push_back(last > i ? fmt::format("{}-{}", ranks[i], ranks[last]) : std::to_string(ranks[i]));
        i = last + 1;
    }
    if (ranges.size() <= kMostRanges) return fmt::format("{}", fmt::join(ranges, ","));
    ranges.resize(kFirstRanges);
    return fmt::format("{},..,{} ({} ranks)", fmt::join(ranges, ","), ranks.back(), ranks.size());
}

/// All of a rank's plan that does not follow from its number of partitions, as it would be printed.
std::string kind_of(const RankPlan& plan, const RankResources& rank) {
    const PhaseOnePlan& one = plan.one;
    const PhaseTwoPlan& two = plan.two;
    return fmt::format("{} {} {} {} {} {} | {} {} {} {} {} {} {} | {} {} {} {} {} | {} {} {} {} {} {} {} {}",
                       size_of(rank.input_bytes), size_of(rank.budget_bytes), rank.cores, rank.input_disks,
                       rank.intermediate_disks, rank.output_disks, one.readers, one.distributors,
                       one.logical_disk_distributors, one.writers, one.read_buffers, one.read_bytes, one.read_depth,
                       one.chunk_bytes, one.chunk_records, one.message_bytes, one.send_buffers, one.receive_buffers,
                       two.sorters, two.disk_workers, two.partition_slots, two.partition_bytes, two.scratch_bytes,
                       two.write_buffers, two.write_bytes, two.write_depth);
}

/// In the order of their first ranks.
std::vector<Alike> ranks_alike(const SortPlan& plan, const std::vector<RankResources>& ranks) {
    std::unordered_map<std::string, std::map<std::uint32_t, std::vector<std::size_t>>> kinds;  // each by partitions
    for (std::size_t rank = 0; rank < ranks.size(); ++rank)
        kinds[kind_of(plan.ranks[rank], ranks[rank])][plan.ranks[rank].partitions].push_back(rank);
    std::vector<Alike> all;
    for (const auto& [kind, by_partitions] : kinds) {
        const Alike* before = nullptr;
        for (const auto& [partitions, members] : by_partitions) {
            if (before == nullptr || before->fewest_partitions + 1 != partitions)
                all.push_back({{}, partitions, partitions, members.front()});
            Alike& alike = all.back();
            alike.most_partitions = partitions;
            alike.ranks.insert(alike.ranks.end(), members.begin(), members.end());
            before = &alike;
        }
    }
    for (Alike& alike : all) {
        std::sort(alike.ranks.begin(), alike.ranks.end());
        alike.fullest = *std::max_element(alike.ranks.begin(), alike.ranks.end(), [&](std::size_t a, std::size_t b) {
            return plan.ranks[a].memory_bytes() < plan.ranks[b].memory_bytes();
        });
    }
    std::sort(all.begin(), all.end(), [](const Alike& a, const Alike& b) { return a.ranks.front() < b.ranks.front(); });
    return all;
}

std::string title_of(const Alike& alike, const std::vector<RankResources>& ranks) {
    const std::string& first = ranks[alike.ranks.front()].host;
    if (alike.ranks.size() == 1) return fmt::format("rank {} on {}\n", alike.ranks.front(), first);
    return fmt::format("ranks {} on {} .. {}, {}\n", ranges_of(alike.ranks), first, ranks[alike.ranks.back()].host,
                       alike.fewest_partitions == alike.most_partitions ? "each" : "each at most");
}

/// One line for those that there is no room to describe in full.
std::string in_short(const Alike& alike, const RankResources& rank, const SortPlan& sort) {
    const RankPlan& plan = sort.ranks[alike.fullest];
    return fmt::format(
        "  reads {}, sorts {} in {} partitions, {} cores, {} input, {} output disk(s), memory {} of {}\n",
        size_of(rank.input_bytes), human_bytes(static_cast<double>(sort.mean_partition_bytes) * plan.partitions),
        alike.partitions_text(), rank.cores, rank.input_disks, rank.output_disks, size_of(plan.memory_bytes()),
        size_of(rank.budget_bytes));
}

}  // namespace

std::string pools_text(const RankPlan& plan) {
    const PhaseOnePlan& one = plan.one;
    const PhaseTwoPlan& two = plan.two;
    const std::string chunks = "chunks " + size_of(one.chunk_memory_bytes());
    const bool keeps_chunks = one.chunk_records != 0;  // one pass
    std::string text = "; each rank plans, ";
    if (keeps_chunks) text += "in both phases, " + chunks + ", ";
    text += "in phase one, read " + size_of(one.read_buffers * one.read_bytes);
    if (!keeps_chunks) text += " + " + chunks;
    if (one.send_buffers != 0) {
        text += " + send " + size_of(one.send_buffers * one.message_bytes) + " + receive " +
                size_of(one.receive_buffers * one.message_bytes);
        if (one.receive_in_window) text += " (an MPI window, which phase two leaves room for)";
    }
    text += ", in phase two, ";
    if (!keeps_chunks) text += "partitions " + size_of(two.partition_slots * two.partition_bytes) + " + ";
    return text + "tags " + size_of(two.sorters * two.scratch_bytes) + " + write " +
           size_of(two.write_buffers * two.write_bytes);
}

std::string describe(const SortPlan& plan, const std::vector<RankResources>& ranks) {
    std::string text =
        fmt::format("plan: {} on {} rank(s), {} partitions of {} (planned for up to {})\n",
                    human_bytes(static_cast<double>(plan.input_bytes)), ranks.size(), plan.ownership.partitions(),
                    human_bytes(static_cast<double>(plan.mean_partition_bytes)),
                    human_bytes(static_cast<double>(plan.planned_partition_bytes)));
    text += plan.passes_reason + "\n";
    // All of it fits on a screen: ranks that are alike share a paragraph, and where there are many kinds of them only
    // the first has a long one.
    constexpr std::size_t kMostInFull = 2, kMostKinds = 9;
    const std::vector<Alike> all = ranks_alike(plan, ranks);
    for (std::size_t i = 0; i < std::min(all.size(), kMostKinds); ++i) {
        const RankResources& fullest = ranks[all[i].fullest];
        const bool in_full = i == 0 || all.size() <= kMostInFull;
        text += title_of(all[i], ranks) +
                (in_full ? describe_ranks(all[i], fullest, plan) : in_short(all[i], fullest, plan));
    }
    if (all.size() > kMostKinds) text += fmt::format("and {} more kinds of ranks\n", all.size() - kMostKinds);
    if (plan.smallest_budget_bytes != 0) {
        text += fmt::format("smallest budget that works: {} for each rank\n", format_bytes(plan.smallest_budget_bytes));
    }
    return text;
}

}  // namespace sluice
