#include "plan/balance.hpp"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <numeric>

#include "runtime/error.hpp"
#include "runtime/units.hpp"

namespace sluice {
namespace {

constexpr double kUnevenRanks = 0.05;       // of the target
constexpr double kLargestPartition = 1.25;  // of the mean
constexpr double kUnevenPartitions = 1.15;  // what ranks' exact shares may cost the largest partition
constexpr double kUnevenForDisks = 1.12;    // what disks' equal shares may
constexpr double kDamping = 0.5;            // of a step towards them, so that the last one within that is near it
constexpr int kMostSteps = 40;
constexpr double kEvenEnough = 1e-9;  // of a disk's share

nlohmann::json entries_json(const std::vector<Balance::Entry>& entries) {
    nlohmann::json list = nlohmann::json::array();
    for (const Balance::Entry& entry : entries)
        list.push_back({{"name", entry.name},
                        {"bytes", entry.bytes},
                        {"target_bytes", entry.target_bytes},
                        {"of_target", entry.of_target()}});
    return list;
}

}  // namespace

namespace {

/// Makes the sums over ranks and over output disks what they should be, in turn (iterative proportional fitting), until
/// the next step would make a partition too large.
/// @param shares  by partition; ranks have theirs already, and keep it.
void fit_to_disks(std::vector<double>& shares, const Ownership& ownership, const std::vector<RankResources>& ranks,
                  double total_weight) {
    const std::vector<std::uint32_t> first_disks = first_output_disks(ownership, ranks);
    std::map<std::pair<std::string, std::uint32_t>, std::size_t> number;
    std::vector<std::size_t> disk_of(shares.size());
    std::vector<double> wanted;
    for (std::uint32_t rank = 0; rank < ranks.size(); ++rank) {
        const std::uint32_t disks = std::max(1u, ranks[rank].output_disks);
        const std::string owner =
            ranks[rank].host + (ranks[rank].shares_output_disks ? "" : " " + std::to_string(rank));
        std::vector<std::size_t> number_of_disk(disks);
        for (std::uint32_t disk = 0; disk < disks; ++disk) {
            const auto found = number.emplace(std::pair(owner, disk), wanted.size());
            if (found.second) wanted.push_back(0);
            number_of_disk[disk] = found.first->second;
            wanted[number_of_disk[disk]] += ranks[rank].weight / total_weight / disks;
        }
        for (std::uint32_t p = ownership.first(rank); p < ownership.first(rank + 1); ++p)
            disk_of[p] = number_of_disk[(first_disks[rank] + p - ownership.first(rank)) % disks];
    }
    const double most =
        std::max(kUnevenForDisks / static_cast<double>(shares.size()), *std::max_element(shares.begin(), shares.end()));
    for (int step = 0; step < kMostSteps; ++step) {
        std::vector<double> next = shares, sums(wanted.size());
        for (std::size_t p = 0; p < next.size(); ++p) sums[disk_of[p]] += next[p];
        bool even = true;
        for (std::size_t disk = 0; disk < sums.size(); ++disk) {  // from here on factors
            even = even && (sums[disk] == 0 || std::abs(wanted[disk] / sums[disk] - 1) < kEvenEnough);
            sums[disk] = sums[disk] == 0 ? 1 : std::pow(wanted[disk] / sums[disk], kDamping);
        }
        if (even) return;
        for (std::size_t p = 0; p < next.size(); ++p) next[p] *= sums[disk_of[p]];
        for (std::uint32_t rank = 0; rank < ranks.size(); ++rank) {
            const auto begin = next.begin() + ownership.first(rank), end = next.begin() + ownership.first(rank + 1);
            const double off = ranks[rank].weight / total_weight / std::accumulate(begin, end, 0.0);
            std::for_each(begin, end, [&](double& share) { share *= off; });
        }
        if (*std::max_element(next.begin(), next.end()) > most) return;
        shares = std::move(next);
    }
}

}  // namespace

std::vector<std::uint32_t> first_output_disks(const Ownership& ownership, const std::vector<RankResources>& ranks) {
    std::map<std::string, std::uint32_t> parts_of_host;
    std::vector<std::uint32_t> firsts;
    for (std::uint32_t rank = 0; rank < ranks.size(); ++rank) {
        std::uint32_t& parts = parts_of_host[ranks[rank].host];
        firsts.push_back(ranks[rank].shares_output_disks ? parts % std::max(1u, ranks[rank].output_disks) : 0);
        parts += ownership.count(rank);
    }
    return firsts;
}

namespace {

double total_weight_of(const std::vector<RankResources>& ranks) {
    return std::accumulate(ranks.begin(), ranks.end(), 0.0,
                           [](double sum, const RankResources& r) { return sum + r.weight; });
}

/// No partition becomes too large by it.
bool ranks_get_their_weight(const Ownership& ownership, const std::vector<RankResources>& ranks) {
    const double total = total_weight_of(ranks);
    for (std::uint32_t rank = 0; rank < ranks.size(); ++rank) {
        const std::uint32_t count = ownership.count(rank);
        if (count == 0 || ranks[rank].weight / total / count * ownership.partitions() > kUnevenPartitions) return false;
    }
    return true;
}

}  // namespace

std::vector<double> rank_shares(const Ownership& ownership, const std::vector<RankResources>& ranks, bool sampled) {
    SLUICE_CHECK(ownership.ranks() == ranks.size());
    const bool by_weight = sampled && ranks_get_their_weight(ownership, ranks);
    const double total = total_weight_of(ranks);
    std::vector<double> shares;
    shares.reserve(ranks.size());
    for (std::uint32_t rank = 0; rank < ranks.size(); ++rank)
        shares.push_back(by_weight ? ranks[rank].weight / total
                                   : static_cast<double>(ownership.count(rank)) / ownership.partitions());
    return shares;
}

std::vector<double> partition_shares(const Ownership& ownership, const std::vector<RankResources>& ranks) {
    const std::uint32_t partitions = ownership.partitions();
    if (!ranks_get_their_weight(ownership, ranks)) return std::vector<double>(partitions, 1.0 / partitions);
    const double total = total_weight_of(ranks);
    std::vector<double> shares;
    shares.reserve(partitions);
    for (std::uint32_t rank = 0; rank < ranks.size(); ++rank) {
        const std::uint32_t count = ownership.count(rank);
        shares.insert(shares.end(), count, ranks[rank].weight / total / count);
    }
    SLUICE_CHECK(shares.size() == partitions);
    fit_to_disks(shares, ownership, ranks, total);
    return shares;
}

std::vector<double> output_disk_shares(const std::vector<RankShare>& ranks, std::uint32_t disks) {
    std::vector<double> shares(disks);
    double all = 0;
    std::uint32_t next = 0;  // disk that takes the next part
    for (const RankShare& rank : ranks) {
        all += rank.of_records;
        for (std::uint32_t i = 0; i < disks; ++i) {
            const std::uint32_t parts = rank.partitions / disks + (i < rank.partitions % disks ? 1 : 0);
            if (parts > 0) shares[(next + i) % disks] += rank.of_records * parts / rank.partitions;
        }
        next = (next + rank.partitions) % disks;
    }
    for (double& share : shares) share = std::max(share, all / disks);
    return shares;
}

double Balance::Entry::of_target() const {
    return target_bytes > 0 ? static_cast<double>(bytes) / target_bytes : bytes == 0 ? 1.0 : 0.0;
}

double Balance::largest_of(const std::vector<Entry>& entries) const {
    double largest = 0;
    for (const Entry& entry : entries) largest = std::max(largest, entry.of_target());
    return largest;
}
double Balance::smallest_of(const std::vector<Entry>& entries) const {
    double smallest = entries.empty() ? 1 : entries.front().of_target();
    for (const Entry& entry : entries) smallest = std::min(smallest, entry.of_target());
    return smallest;
}
double Balance::worst_partition_of_mean() const {
    const auto worst = std::max_element(partition_bytes.begin(), partition_bytes.end());
    return worst == partition_bytes.end() || mean_partition_bytes == 0
               ? 1.0
               : static_cast<double>(*worst) / mean_partition_bytes;
}

std::string Balance::text() const {
    const auto within = [&](const std::vector<Entry>& entries) {
        const bool even = largest_of(entries) <= 1 + kUnevenRanks && smallest_of(entries) >= 1 - kUnevenRanks;
        return fmt::format("{:.3f} .. {:.3f} of their targets ({} 5 %)", smallest_of(entries), largest_of(entries),
                           even ? "within" : "NOT within");
    };
    const auto worst = std::max_element(partition_bytes.begin(), partition_bytes.end());
    const double of_mean = worst_partition_of_mean();
    std::string text =
        fmt::format("balance: ranks {}, output disks {}\n", within(ranks), within(output_disks)) +
        fmt::format("  {} partitions, mean {}, largest {} = {:.3f} of the mean (number {}; {} 1.25)\n",
                    partition_bytes.size(), human_bytes(mean_partition_bytes),
                    human_bytes(worst == partition_bytes.end() ? 0.0 : static_cast<double>(*worst)), of_mean,
                    worst - partition_bytes.begin(), of_mean <= kLargestPartition ? "within" : "BEYOND");
    for (const auto* entries : {&ranks, &output_disks}) {
        for (const Entry& entry : *entries)
            text += fmt::format("  {}: {} of {} ({:.3f})\n", entry.name, human_bytes(static_cast<double>(entry.bytes)),
                                human_bytes(entry.target_bytes), entry.of_target());
    }
    return text;
}

std::string Balance::to_json() const {
    const nlohmann::json document = {{"ranks", entries_json(ranks)},
                                     {"output_disks", entries_json(output_disks)},
                                     {"partition_bytes", partition_bytes},
                                     {"mean_partition_bytes", mean_partition_bytes},
                                     {"worst_partition_of_mean", worst_partition_of_mean()}};
    return document.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

Balance measure_balance(const SortPlan& plan, const std::vector<RankResources>& ranks,
                        const std::vector<double>& shares, const std::vector<RankOutput>& output) {
    SLUICE_CHECK(shares.size() == plan.ownership.partitions() && output.size() == ranks.size());
    Balance balance;
    balance.partition_bytes.resize(plan.ownership.partitions());
    for (const RankOutput& rank : output) {
        for (const PartFact& part : rank.parts)
            balance.partition_bytes[part.partition] += part.records * plan.format.record_bytes;
    }
    const auto total = static_cast<double>(
        std::accumulate(balance.partition_bytes.begin(), balance.partition_bytes.end(), std::uint64_t{0}));
    balance.mean_partition_bytes = total / std::max(1u, plan.ownership.partitions());
    std::map<std::uint32_t, Balance::Entry> disks;
    for (std::uint32_t rank = 0; rank < ranks.size(); ++rank) {
        Balance::Entry entry;
        entry.name = "rank " + std::to_string(rank) + " on " + ranks[rank].host;
        for (std::uint32_t p = plan.ownership.first(rank); p < plan.ownership.first(rank + 1); ++p)
            entry.target_bytes += shares[p] * total;
        for (const OutputDisk& each : output[rank].disks) {
            Balance::Entry& disk = disks[each.number];
            disk.name = "disk " + ranks[rank].host + ":" + each.path;
            disk.target_bytes += entry.target_bytes / static_cast<double>(output[rank].disks.size());
        }
        for (const PartFact& part : output[rank].parts) {
            const std::uint64_t bytes = part.records * plan.format.record_bytes;
            entry.bytes += bytes;
            disks.at(part.disk).bytes += bytes;
        }
        balance.ranks.push_back(std::move(entry));
    }
    for (auto& [name, entry] : disks) balance.output_disks.push_back(std::move(entry));
    return balance;
}

}  // namespace sluice
