#include "record/partitioner.hpp"

#include <algorithm>

#include "record/compare.hpp"
#include "record/uint128.hpp"
#include "runtime/error.hpp"

namespace sluice {
namespace {

class UniformPartitioner final : public Partitioner {
public:
    UniformPartitioner(RecordFormat format, std::uint32_t partitions) : format_(format), partitions_(partitions) {
        SLUICE_CHECK(partitions > 0);
    }
    std::uint32_t partitions() const override { return partitions_; }
    void classify(const std::byte* records, std::span<std::uint32_t> out) const override {
        const std::byte* record = records;
        for (std::uint32_t& partition : out) {
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
    SplitterPartitioner(RecordFormat format, std::vector<std::byte> splitters)
        : format_(format), splitters_(std::move(splitters)) {
        SLUICE_CHECK(splitters_.size() % format.record_bytes == 0);
        const std::size_t count = splitters_.size() / format.record_bytes;
        // The search halves a range whose size is a power of two; the padding is larger than any key but is checked
        // for.
        while (padded_ < count + 1) padded_ *= 2;
        prefixes_.assign(padded_, ~std::uint64_t{0});
        for (std::size_t i = 0; i < count; ++i) {
            prefixes_[i] = key_prefix(format, splitter(i));
            SLUICE_CHECK(i == 0 || compare_records(format_, splitter(i - 1), splitter(i)) <= 0);
        }
        count_ = static_cast<std::uint32_t>(count);
    }
    std::uint32_t partitions() const override { return count_ + 1; }
    void classify(const std::byte* records, std::span<std::uint32_t> out) const override {
        constexpr std::size_t kLanes = 8;  // searches under way at once, to hide the latency of each step
        std::size_t i = 0;
        for (; i + kLanes <= out.size(); i += kLanes) {
            std::uint64_t keys[kLanes];
            std::size_t at[kLanes] = {};
            for (std::size_t lane = 0; lane < kLanes; ++lane)
                keys[lane] = key_prefix(format_, records + (i + lane) * format_.record_bytes);
            for (std::size_t step = padded_ / 2; step > 0; step /= 2) {
                for (std::size_t lane = 0; lane < kLanes; ++lane)
                    at[lane] += prefixes_[at[lane] + step - 1] < keys[lane] ? step : 0;
            }
            for (std::size_t lane = 0; lane < kLanes; ++lane)
                out[i + lane] = settle(at[lane], keys[lane], records + (i + lane) * format_.record_bytes);
        }
        for (; i < out.size(); ++i) {
            const std::byte* record = records + i * format_.record_bytes;
            const std::uint64_t key = key_prefix(format_, record);
            std::size_t at = 0;
            for (std::size_t step = padded_ / 2; step > 0; step /= 2) at += prefixes_[at + step - 1] < key ? step : 0;
            out[i] = settle(at, key, record);
        }
    }
    std::pair<std::uint64_t, std::uint64_t> prefix_range(std::uint32_t partition) const override {
        return {partition == 0 ? 0 : prefixes_[partition - 1],
                partition == count_ ? ~std::uint64_t{0} : prefixes_[partition]};
    }

private:
    const std::byte* splitter(std::size_t i) const { return splitters_.data() + i * format_.record_bytes; }
    /// `at` splitters have a smaller prefix; among those with the same prefix the whole records decide.
    std::uint32_t settle(std::size_t at, std::uint64_t key, const std::byte* record) const {
        if (at < count_ && prefixes_[at] == key) [[unlikely]] {
            std::size_t first = at, last = at;
            while (last < count_ && prefixes_[last] == key) ++last;
            while (first < last) {
                const std::size_t middle = first + (last - first) / 2;
                if (compare_records(format_, splitter(middle), record) <= 0) {
                    first = middle + 1;
                } else {
                    last = middle;
                }
            }
            at = first;
        }
        return static_cast<std::uint32_t>(at);
    }

    RecordFormat format_;
    std::vector<std::byte> splitters_;
    std::vector<std::uint64_t> prefixes_;  // padded to a power of two
    std::size_t padded_ = 1;
    std::uint32_t count_ = 0;
};

}  // namespace

std::unique_ptr<Partitioner> make_uniform_partitioner(RecordFormat format, std::uint32_t partitions) {
    return std::make_unique<UniformPartitioner>(format, partitions);
}
std::unique_ptr<Partitioner> make_splitter_partitioner(RecordFormat format, std::vector<std::byte> splitters) {
    return std::make_unique<SplitterPartitioner>(format, std::move(splitters));
}

}  // namespace sluice
