#include "sort/sort_partition.hpp"

#include <algorithm>
#include <cstring>
#include <numeric>

#include "runtime/error.hpp"
#include "runtime/units.hpp"
#include "sort/stream_copy.hpp"
#include "sort/tag_sort.hpp"

namespace sluice {
namespace {

constexpr std::uint64_t kNarrowRecords = std::uint64_t{1} << 24;
constexpr std::uint64_t kAhead = 16;  // records whose lines are on their way while one is copied

template <typename Tag, std::uint32_t kBytes>
inline void gather_fixed(const std::byte* records, std::uint32_t record_bytes, const Tag* tags, std::uint64_t available,
                         std::uint64_t count, unsigned index_bits, std::byte* out) {
    const std::uint32_t bytes = kBytes != 0 ? kBytes : record_bytes;
    for (std::uint64_t i = 0; i < count; ++i, out += bytes) {
        if (i + kAhead < available) {
            const std::byte* ahead = records + TagSorter<Tag>::index_of(tags[i + kAhead], index_bits) * bytes;
            __builtin_prefetch(ahead);
            __builtin_prefetch(ahead + 64);
            __builtin_prefetch(ahead + std::min(bytes - 1, 127u));
        }
        std::memcpy(out, records + TagSorter<Tag>::index_of(tags[i], index_bits) * bytes, bytes);
    }
}

#if defined(__x86_64__)
template <typename Tag>
__attribute__((target("arch=x86-64-v3"), flatten)) void gather_100_avx2(const std::byte* records, const Tag* tags,
                                                                        std::uint64_t available, std::uint64_t count,
                                                                        unsigned index_bits, std::byte* out) {
    gather_fixed<Tag, 100>(records, 100, tags, available, count, index_bits, out);
}
#endif

template <typename Tag>
void gather_tags(const std::byte* records, std::uint32_t record_bytes, const Tag* tags, std::uint64_t available,
                 std::uint64_t count, unsigned index_bits, std::byte* out) {
#if defined(__x86_64__)
    static const bool avx2 = [] {
        __builtin_cpu_init();
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2");
    }();
    if (record_bytes == 100 && avx2) {
        gather_100_avx2(records, tags, available, count, index_bits, out);
        return;
    }
#endif
    gather_fixed<Tag, 0>(records, record_bytes, tags, available, count, index_bits, out);
}

}  // namespace

std::uint64_t sort_scratch_bytes(std::uint64_t max_records, RecordFormat) {
    const std::uint64_t tag_bytes = max_records < kNarrowRecords ? sizeof(NarrowTag) : sizeof(WideTag);
    return 2 * round_up(max_records * tag_bytes, 64) + 64;
}

PartitionSorter::PartitionSorter(RecordFormat format, std::span<std::byte> scratch)
    : format_(format), scratch_(scratch) {}

void PartitionSorter::sort(std::span<const std::byte> records, PrefixRange range) {
    SLUICE_CHECK(records.size() % format_.record_bytes == 0);
    records_ = records.data();
    count_ = records.size() / format_.record_bytes;
    if (count_ == 0) return;
    wide_ = force_wide_ || count_ >= kNarrowRecords;
    const std::uint64_t half = round_up(count_ * (wide_ ? sizeof(WideTag) : sizeof(NarrowTag)), 64);
    SLUICE_CHECK(2 * half <= scratch_.size());
    const auto run = [&](auto* tags, auto* spare) {
        TagSorter sorter(format_, records_, count_, tags, spare);
        sorted_ = reinterpret_cast<const std::byte*>(sorter.run(range.low, range.high));
        index_bits_ = sorter.index_bits();
    };
    if (wide_) {
        run(reinterpret_cast<WideTag*>(scratch_.data()), reinterpret_cast<WideTag*>(scratch_.data() + half));
    } else {
        run(reinterpret_cast<NarrowTag*>(scratch_.data()), reinterpret_cast<NarrowTag*>(scratch_.data() + half));
    }
}

void PartitionSorter::gather(std::uint64_t first, std::span<std::byte> out) const {
    const std::uint64_t count = out.size() / format_.record_bytes;
    SLUICE_CHECK(first + count <= count_);
    const auto gather_by = [&](const auto* tags) {
        gather_tags(records_, format_.record_bytes, tags + first, count_ - first, count, index_bits_, out.data());
    };
    if (wide_) {
        gather_by(reinterpret_cast<const WideTag*>(sorted_));
    } else {
        gather_by(reinterpret_cast<const NarrowTag*>(sorted_));
    }
}

void PartitionSorter::gather_out(std::uint64_t first, std::span<std::byte> out, RecordChecker* checker) const {
    // Steps of whole lines that leave room for the records on their way in the first-level cache.
    constexpr std::size_t kStageBytes = 16 * 1024;
    alignas(64) std::byte stage[kStageBytes];
    const std::size_t unit = std::lcm<std::size_t>(format_.record_bytes, 64);
    const std::size_t step = unit <= kStageBytes ? kStageBytes / unit * unit : 0;
    while (!out.empty()) {
        const std::size_t bytes = step != 0 ? std::min(step, out.size()) : out.size();
        const auto gathered = step != 0 ? std::span(stage).first(bytes) : out;
        gather(first, gathered);
        if (checker != nullptr) checker->feed(gathered);
        if (step != 0) stream_copy(out.data(), stage, bytes);
        first += bytes / format_.record_bytes;
        out = out.subspan(bytes);
    }
    stream_fence();
}

}  // namespace sluice
