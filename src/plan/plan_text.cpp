#include <spdlog/fmt/fmt.h>

#include <algorithm>

#include "plan/plan.hpp"
#include "runtime/units.hpp"

namespace sluice {
namespace {

std::string line(const char* name, const std::string& text) { return fmt::format("  {:<26} {}\n", name, text); }

std::string size_of(std::uint64_t bytes) { return human_bytes(static_cast<double>(bytes)); }

std::string pool(std::size_t count, std::uint64_t bytes) {
    return fmt::format("{} x {} = {}", count, format_bytes(bytes), human_bytes(static_cast<double>(count * bytes)));
}

std::string describe_rank(const RankPlan& plan, const RankResources& rank, const SortPlan& sort) {
    const PhaseOnePlan& one = plan.one;
    const PhaseTwoPlan& two = plan.two;
    const double share_bytes = static_cast<double>(sort.mean_partition_bytes) * plan.partitions;
    std::string text;
    text += line("reads", fmt::format("{} of input on {} disk(s)", human_bytes(static_cast<double>(rank.input_bytes)),
                                      rank.input_disks));
    const std::string logs =
        sort.passes == 1 ? "in memory" : human_bytes(share_bytes / rank.intermediate_disks) + " per intermediate disk";
    text += line("sorts", fmt::format("{} in {} partitions, {}, {} per output disk", human_bytes(share_bytes),
                                      plan.partitions, logs, human_bytes(share_bytes / rank.output_disks)));
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
        text += line("  send buffers",
                     pool(one.send_buffers, one.message_bytes) +
                         (one.send_groups == 0 ? ""
                                               : fmt::format(", {} for each peer open at once: the node distributors "
                                                             "share them in {} group(s)",
                                                             one.send_groups, one.send_groups)));
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
    const MemoryFloors floors = memory_floors(plan, sort.ranks.size());
    text += line("floors", fmt::format("phase one {} (readers, chunks, send, receive), phase two {} ({}, tags, write "
                                       "buffers)",
                                       size_of(floors.phase_one_bytes), size_of(floors.phase_two_bytes),
                                       sort.passes == 1 ? "chunks" : "three partitions"));
    return text;
}

/// "0-3,8" of sorted numbers.
std::string ranges_of(const std::vector<std::size_t>& ranks) {
    std::string text;
    for (std::size_t i = 0; i < ranks.size();) {
        std::size_t last = i;
        while (last + 1 < ranks.size() && ranks[last + 1] == ranks[last] + 1) ++last;
        text += (text.empty() ? "" : ",") + std::to_string(ranks[i]);
        if (last > i) text += "-" + std::to_string(ranks[last]);
        i = last + 1;
    }
    return text;
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
    // Racks have many equal ranks: those with the same plan share one paragraph.
    std::vector<std::pair<std::string, std::vector<std::size_t>>> plans;
    for (std::size_t rank = 0; rank < ranks.size(); ++rank) {
        const std::string mine = describe_rank(plan.ranks[rank], ranks[rank], plan);
        auto same = std::find_if(plans.begin(), plans.end(), [&](const auto& other) { return other.first == mine; });
        if (same == plans.end()) same = plans.insert(plans.end(), {mine, {}});
        same->second.push_back(rank);
    }
    for (const auto& [paragraph, members] : plans) {
        text += members.size() == 1 ? fmt::format("rank {} on {}\n", members.front(), ranks[members.front()].host)
                                    : fmt::format("ranks {} on {} .. {}, each\n", ranges_of(members),
                                                  ranks[members.front()].host, ranks[members.back()].host);
        text += paragraph;
    }
    if (plan.smallest_budget_bytes != 0) {
        text += fmt::format("smallest budget that works: {} for each rank\n", format_bytes(plan.smallest_budget_bytes));
    }
    return text;
}

}  // namespace sluice
