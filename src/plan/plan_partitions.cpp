// Into how many partitions a sort divides its records, and which ranks get them.
#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <string_view>
#include <tuple>
#include <unordered_map>

#include "io/data_set.hpp"
#include "plan/plan_internal.hpp"
#include "plan/table_bytes.hpp"
#include "runtime/error.hpp"

namespace sluice::planning {
namespace {

// 200 samples, 40 to a block, are a thousandth of a partition of 20 MB. Small partitions gather faster than large ones.
constexpr std::uint64_t kFewSamplesPartition = 24 * kMiB, kLargestPartition = 64 * kMiB;
constexpr std::uint64_t kMostPartitions = kMostManifestBytes / kManifestLineBytes;  // a set lists them all
// Beyond so many partitions grow instead: each rank knows them all, and each is sampled.
constexpr std::uint64_t kAmplePartitions = std::uint64_t{1} << 20;

/// Ranks of one host next to each other, hosts in the order of their first ranks, whatever the placement.
std::vector<std::uint32_t> ranks_by_host(const std::vector<RankResources>& ranks) {
    std::unordered_map<std::string_view, std::uint32_t> number_of_host;
    std::vector<std::uint32_t> host(ranks.size()), order(ranks.size());
    for (std::size_t rank = 0; rank < ranks.size(); ++rank)
        host[rank] = number_of_host.emplace(ranks[rank].host, number_of_host.size()).first->second;
    std::iota(order.begin(), order.end(), 0u);
    std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) { return host[a] < host[b]; });
    return order;
}

/// @param multiple  of which each rank's partitions are one.
std::uint32_t partitions_of_size(std::uint64_t input_bytes, std::uint64_t partition_bytes, std::size_t ranks,
                                 std::uint64_t multiple) {
    const std::uint64_t wanted =
        std::max<std::uint64_t>(1, ceil_div(ceil_div(input_bytes, ranks), std::max<std::uint64_t>(partition_bytes, 1)));
    const std::uint64_t most = std::max<std::uint64_t>(1, round_down(kMostPartitions / ranks, multiple));
    return static_cast<std::uint32_t>(std::min(round_up(wanted, multiple), most) * ranks);
}

/// The wanted size first, then larger and smaller ones in turn. Equally many for each output disk, since parts go round
/// the disks and one more on some of them is 5 % too much below twenty; where memory has no room for that, any number,
/// and sampled splitters make those on the fuller disks smaller (partition_shares).
std::vector<std::uint32_t> candidates(std::uint64_t input_bytes, std::uint64_t wanted_bytes, std::size_t ranks,
                                      std::uint64_t for_disks) {
    std::vector<std::uint32_t> counts;
    for (const std::uint64_t multiple : {for_disks, std::uint64_t{1}}) {
        for (double factor = 1; factor < 2000; factor *= 1.25) {
            for (const double size :
                 {static_cast<double>(wanted_bytes) * factor, static_cast<double>(wanted_bytes) / factor}) {
                const auto count = partitions_of_size(input_bytes, static_cast<std::uint64_t>(size), ranks, multiple);
                if (std::find(counts.begin(), counts.end(), count) == counts.end()) counts.push_back(count);
            }
        }
    }
    return counts;
}

unsigned most_cores(const std::vector<RankResources>& ranks) {
    unsigned cores = 1;
    for (const RankResources& rank : ranks) cores = std::max(cores, rank.cores);
    return cores;
}

}  // namespace

Ownership own_by_weight(std::uint32_t partitions, const std::vector<RankResources>& ranks) {
    const double total = std::accumulate(ranks.begin(), ranks.end(), 0.0,
                                         [](double sum, const RankResources& r) { return sum + r.weight; });
    // Rounded host by host: so a host's partitions are right within one as well as a rank's. Rounded in the order of
    // the ranks, a host whose ranks are not neighbours would get its rounding once a rank.
    std::vector<std::uint32_t> count(ranks.size());
    double weight = 0;
    std::uint32_t before = 0;
    for (const std::uint32_t rank : ranks_by_host(ranks)) {
        weight += ranks[rank].weight;
        const auto after = static_cast<std::uint32_t>(std::llround(std::min(1.0, weight / total) * partitions));
        count[rank] = after - before;
        before = after;
    }
    SLUICE_CHECK(before == partitions);
    Ownership ownership;
    ownership.first_partition.reserve(ranks.size() + 1);
    ownership.first_partition.push_back(0);
    for (const std::uint32_t own : count) ownership.first_partition.push_back(ownership.first_partition.back() + own);
    return ownership;
}

const RankPlan* PlansOfEqualRanks::find(const std::vector<RankPlan>& plans, std::size_t rank,
                                        std::uint32_t partitions) {
    constexpr std::size_t kMostRemembered = 32;
    const auto means = [](const RankResources& r) {
        return std::tie(r.budget_bytes, r.cores, r.input_disks, r.intermediate_disks, r.output_disks, r.disk_workers,
                        r.input_bytes, r.weight, r.shares_output_disks);
    };
    for (const std::size_t other : different_) {
        if (plans[other].partitions == partitions && means(ranks_[other]) == means(ranks_[rank])) return &plans[other];
    }
    if (different_.size() == kMostRemembered) different_.pop_back();
    different_.insert(different_.begin(), rank);
    return nullptr;
}

/// Phase one needs the less memory the fewer partitions there are, phase two the less the smaller they are: the size at
/// which both need the same, since memory has to be touched before it is used. A part of the budget at most.
std::uint64_t wanted_partition_bytes(const Config& config, RecordFormat format, const std::vector<RankResources>& ranks,
                                     std::uint64_t budget_bytes) {
    const unsigned cores = most_cores(ranks);
    const double share_bytes = static_cast<double>(total_input_bytes(ranks)) / static_cast<double>(ranks.size());
    const double per_partition = static_cast<double>(cores * chunk_limit(config, format, true)) +
                                 5.0 / 8 * static_cast<double>(kShortestExtentBytes);
    const double per_byte = 1.25 * (cores + 2) + 0.2 * cores;  // slots, tags
    const auto balanced = static_cast<std::uint64_t>(std::sqrt(share_bytes * per_partition / per_byte));
    return std::clamp(std::clamp(balanced, kFewSamplesPartition, kLargestPartition), kSmallestPartition,
                      std::max(kSmallestPartition, budget_bytes / 16));
}

std::vector<std::uint32_t> partition_counts(const Config& config, const std::vector<RankResources>& ranks,
                                            const WantedPartition& wanted) {
    if (config.partitions.count != 0) return {config.partitions.count};
    const std::uint64_t input_bytes = total_input_bytes(ranks);
    // Of a rank, so that each disk gets as many: parts of the ranks that share their host's disks go on where those of
    // the rank before ended.
    std::map<std::string_view, std::uint64_t> ranks_of_host;
    for (const RankResources& rank : ranks) {
        if (rank.shares_output_disks) ++ranks_of_host[rank.host];
    }
    std::uint64_t multiple = 1;
    for (const RankResources& rank : ranks) {
        const std::uint64_t disks = std::max(1u, rank.output_disks);
        multiple =
            std::max(multiple, rank.shares_output_disks ? disks / std::gcd(disks, ranks_of_host.at(rank.host)) : disks);
    }
    if (config.partitions.size_bytes != 0)
        return {partitions_of_size(input_bytes, config.partitions.size_bytes, ranks.size(), multiple)};
    // Every rank knows all partitions, and each is sampled at a few places of the input: beyond an ample number they
    // are larger, as far as each core can sort one while two more are read and written.
    const std::uint64_t least_bytes =
        std::min(ceil_div(input_bytes, kAmplePartitions), wanted.budget_bytes / (3 * (most_cores(ranks) + 2) / 2));
    return candidates(input_bytes, std::max(wanted.bytes, least_bytes), ranks.size(), multiple);
}

}  // namespace sluice::planning
