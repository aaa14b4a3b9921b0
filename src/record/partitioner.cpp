#include "record/partitioner.hpp"

#include <algorithm>
#include <bit>
#include <numeric>

#include "record/compare.hpp"
#include "record/uint128.hpp"
#include "runtime/error.hpp"

namespace sluice {
namespace {

/// Keys lie a record apart, which the processor's own prefetcher follows badly, and never across a page.
constexpr std::size_t kAheadBytes = 4096;

class UniformPartitioner final : public Partitioner {
public:
    UniformPartitioner(RecordFormat format, std::uint32_t partitions) : format_(format), partitions_(partitions) {
        SLUICE_CHECK(partitions > 0);
    }
    std::uint32_t partitions() const override { return partitions_; }
    void classify(const std::byte* records, std::span<std::uint32_t> out, TieCursor&) const override {
        const std::byte* record = records;
        for (std::uint32_t& partition : out) {
            __builtin_prefetch(record + kAheadBytes);
            partition =
                static_cast<std::uint32_t>(static_cast<Uint128>(key_prefix(format_, record)) * partitions_ >> 64);
            record += format_.record_bytes;
        }
    }
    std::pair<std::uint64_t, std::uint64_t> prefix_range(std::uint32_t partition) const override {
        const std::uint64_t high = partition + 1 == partitions_ ? ~std::uint64_t{0} : first_prefix(partition + 1) - 1;
        return {first_prefix(partition), high};
    }

private:
    /// Smallest prefix with floor(prefix * P / 2^64) = partition: ceil(partition * 2^64 / P).
    std::uint64_t first_prefix(std::uint32_t partition) const {
        return static_cast<std::uint64_t>(((static_cast<Uint128>(partition) << 64) + partitions_ - 1) / partitions_);
    }
    RecordFormat format_;
    std::uint32_t partitions_;
};

class SplitterPartitioner final : public Partitioner {
public:
    SplitterPartitioner(RecordFormat format, SplitterTexts splitters, std::vector<std::uint32_t> shares)
        : format_(format), splitters_(std::move(splitters)), shares_(std::move(shares)) {
        const std::size_t count = splitters_.size();
        shares_.resize(count);
        // The search descends a complete tree; the padding is larger than any key but is checked for.
        while (padded_ < count + 1) padded_ *= 2;
        prefixes_.assign(padded_, ~std::uint64_t{0});
        for (std::size_t i = 0; i < count; ++i) {
            prefixes_[i] = splitters_.prefix(i);
            SLUICE_CHECK(i == 0 || splitters_.compare_texts(i - 1, i) <= 0);
        }
        count_ = static_cast<std::uint32_t>(count);
        find_groups();
        tree_.resize(padded_);
        std::size_t next = 0;
        plant(1, next);
        cut_into_cells();
    }
    std::uint32_t partitions() const override { return count_ + 1; }
    void classify(const std::byte* records, std::span<std::uint32_t> out, TieCursor& ties) const override {
        before_cell_.empty() ? classify_by_tree(records, out, ties) : classify_by_cells(records, out, ties);
    }
    std::pair<std::uint64_t, std::uint64_t> prefix_range(std::uint32_t partition) const override {
        return {partition == 0 ? 0 : prefixes_[partition - 1],
                partition == count_ ? ~std::uint64_t{0} : prefixes_[partition]};
    }

private:
    /// Four to eight equal ranges of prefixes for each splitter, with the splitters below each: from there as many
    /// steps as the fullest range has splitters, one or two where they are spread, instead of one a level of the tree.
    /// Not where that saves less than half of the steps, as with skewed keys.
    void cut_into_cells() {
        const auto bits = static_cast<unsigned>(std::bit_width(padded_ - 1)) + 2;
        std::vector<std::uint32_t> before((std::size_t{1} << bits) + 1);
        for (std::uint32_t i = 0; i < count_; ++i) ++before[(prefixes_[i] >> (64 - bits)) + 1];
        most_in_cell_ = *std::max_element(before.begin(), before.end());
        if (most_in_cell_ > static_cast<unsigned>(std::bit_width(padded_ - 1)) / 2) return;
        std::partial_sum(before.begin(), before.end(), before.begin());
        before_cell_ = std::move(before);
        cell_shift_ = 64 - bits;
    }
    void classify_by_cells(const std::byte* records, std::span<std::uint32_t> out, TieCursor& ties) const {
        const std::byte* record = records;
        for (std::uint32_t& partition : out) {
            __builtin_prefetch(record + kAheadBytes);
            const std::uint64_t key = key_prefix(format_, record);
            std::size_t at = before_cell_[key >> cell_shift_];
            for (std::uint32_t step = 0; step < most_in_cell_; ++step) at += prefixes_[at] < key ? 1 : 0;
            partition = settle(at, key, record, ties);
            record += format_.record_bytes;
        }
    }
    void classify_by_tree(const std::byte* records, std::span<std::uint32_t> out, TieCursor& ties) const {
        constexpr std::size_t kLanes = 8;  // searches under way at once, to hide the latency of each step
        std::size_t i = 0;
        for (; i + kLanes <= out.size(); i += kLanes) {
            std::uint64_t keys[kLanes];
            std::size_t node[kLanes];
            for (std::size_t lane = 0; lane < kLanes; ++lane) {
                const std::byte* const record = records + (i + lane) * format_.record_bytes;
                __builtin_prefetch(record + kAheadBytes);
                keys[lane] = key_prefix(format_, record);
                node[lane] = 1;
            }
            for (std::size_t level = padded_; level > 1; level /= 2) {
                for (std::size_t lane = 0; lane < kLanes; ++lane) node[lane] = descend(node[lane], keys[lane]);
            }
            for (std::size_t lane = 0; lane < kLanes; ++lane)
                out[i + lane] =
                    settle(node[lane] - padded_, keys[lane], records + (i + lane) * format_.record_bytes, ties);
        }
        for (; i < out.size(); ++i) {
            const std::byte* record = records + i * format_.record_bytes;
            const std::uint64_t key = key_prefix(format_, record);
            std::size_t node = 1;
            while (node < padded_) node = descend(node, key);
            out[i] = settle(node - padded_, key, record, ties);
        }
    }
    /// Fills the subtree below `node` with the prefixes from `next` on, in order.
    void plant(std::size_t node, std::size_t& next) {
        if (node >= padded_) return;
        plant(2 * node, next);
        tree_[node] = prefixes_[next++];
        plant(2 * node + 1, next);
    }
    /// To the left child or the right one, without a branch.
    std::size_t descend(std::size_t node, std::uint64_t key) const { return 2 * node + (tree_[node] < key ? 1 : 0); }
    /// `at` splitters have a smaller prefix; among those with the same prefix their texts decide.
    std::uint32_t settle(std::size_t at, std::uint64_t key, const std::byte* record, TieCursor& ties) const {
        if (at < count_ && prefixes_[at] == key) [[unlikely]]
            return settle_equal_prefix(at, record, ties);
        return static_cast<std::uint32_t>(at);
    }
    std::uint32_t settle_equal_prefix(std::size_t at, const std::byte* record, TieCursor& ties) const {
        std::uint32_t first = group_of_[at], last = same_prefix_end_[first];
        while (first < last) {
            const std::uint32_t middle = first + (last - first) / 2;
            const int order = splitters_.compare(group_first_[middle], record);
            if (order == 0) return deal(group_first_[middle], group_first_[middle + 1], ties);
            if (order < 0) {
                first = middle + 1;
            } else {
                last = middle;
            }
        }
        return group_first_[first];
    }
    /// The record equals the splitters [first, last): any partition of first .. last is right for it. The shares
    /// decide, scaled to the partitions that the worker may name; the golden ratio's multiples fill any range evenly.
    std::uint32_t deal(std::uint32_t first, std::uint32_t last, TieCursor& ties) const {
        const std::uint32_t lowest = std::max(first, ties.first_partition);
        const std::uint32_t highest = std::min(last, ties.last_partition - 1);
        if (lowest > highest) return last;  // not the worker's: it will say so
        const std::uint64_t from = lowest > first ? shares_[lowest - 1] : 0;
        const std::uint64_t to = highest < last ? shares_[highest] : std::uint64_t{1} << 32;
        const std::uint64_t point = from + ((ties.position * (to - from)) >> 32);
        ties.position += 0x9e3779b9u;
        const auto shares = shares_.begin();
        const auto above = std::upper_bound(shares + lowest, shares + highest, point);
        return static_cast<std::uint32_t>(above - shares);
    }
    void find_groups() {
        group_of_.reserve(count_);
        group_first_.reserve(count_ + std::size_t{1});
        for (std::uint32_t i = 0; i < count_; ++i) {
            if (i == 0 || splitters_.compare_texts(i - 1, i) != 0) group_first_.push_back(i);
            group_of_.push_back(static_cast<std::uint32_t>(group_first_.size()) - 1);
        }
        const auto groups = static_cast<std::uint32_t>(group_first_.size());
        group_first_.push_back(count_);
        same_prefix_end_.resize(groups);
        for (std::uint32_t group = groups; group-- > 0;) {
            const bool ends =
                group + 1 == groups || prefixes_[group_first_[group]] != prefixes_[group_first_[group + 1]];
            same_prefix_end_[group] = ends ? group + 1 : same_prefix_end_[group + 1];
        }
    }

    RecordFormat format_;
    SplitterTexts splitters_;
    std::vector<std::uint32_t> shares_;
    std::vector<std::uint64_t> prefixes_;  // padded to a power of two
    std::vector<std::uint64_t> tree_;      // the same as a complete search tree: node k above nodes 2k and 2k+1
    // Groups of identical splitters: where each begins (and one past the end), which one a splitter is in, and the
    // first group after it with another prefix.
    std::vector<std::uint32_t> group_first_, group_of_, same_prefix_end_;
    std::vector<std::uint32_t> before_cell_;  // splitters with smaller prefixes; empty: the tree is searched
    unsigned cell_shift_ = 0;
    std::uint32_t most_in_cell_ = 0;
    std::size_t padded_ = 1;
    std::uint32_t count_ = 0;
};

}  // namespace

std::unique_ptr<Partitioner> make_uniform_partitioner(RecordFormat format, std::uint32_t partitions) {
    return std::make_unique<UniformPartitioner>(format, partitions);
}
std::unique_ptr<Partitioner> make_splitter_partitioner(RecordFormat format, SplitterTexts splitters,
                                                       std::vector<std::uint32_t> shares) {
    return std::make_unique<SplitterPartitioner>(format, std::move(splitters), std::move(shares));
}
std::unique_ptr<Partitioner> make_splitter_partitioner(RecordFormat format, std::span<const std::byte> records) {
    SLUICE_CHECK(records.size() % format.record_bytes == 0);
    SplitterTexts splitters(format);
    for (std::size_t at = 0; at < records.size(); at += format.record_bytes)
        splitters.add(records.data() + at, splitters.full_bytes());
    return make_splitter_partitioner(format, std::move(splitters), {});
}

}  // namespace sluice
