#pragma once
/// Copies records in the order of sorted tags. Internal to the sort layer; use sort_partition.hpp.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <numeric>
#include <span>

#include "record/record_checker.hpp"
#include "sort/stream_copy.hpp"
#include "sort/tag_sort.hpp"

namespace sluice {

constexpr std::uint64_t kGatherAhead = 16;  // records whose lines are on their way while one is copied

/// Sorted tags from some place on, of which `count` are to be gathered: the rest are looked ahead at.
template <typename Tag>
struct TagRun {
    const Tag* tags = nullptr;
    std::uint64_t available = 0, count = 0;
    unsigned index_bits = 0;
    std::uint64_t index(std::uint64_t i) const { return TagSorter<Tag>::index_of(tags[i], index_bits); }
};
template <typename Tag>
TagRun(const Tag*, std::uint64_t, std::uint64_t, unsigned) -> TagRun<Tag>;

/// kBytes: the record's size where it is known when compiling, else 0. Records says where record i lies.
template <typename Tag, std::uint32_t kBytes, typename Records>
inline void gather_fixed(Records records, std::uint32_t record_bytes, const TagRun<Tag> run, std::byte* out) {
    const std::uint32_t bytes = kBytes != 0 ? kBytes : record_bytes;
    for (std::uint64_t i = 0; i < run.count; ++i, out += bytes) {
        if (i + kGatherAhead < run.available) {
            const std::byte* ahead = records.at(run.index(i + kGatherAhead), bytes);
            __builtin_prefetch(ahead);
            __builtin_prefetch(ahead + 64);
            __builtin_prefetch(ahead + std::min(bytes - 1, 127u));
        }
        std::memcpy(out, records.at(run.index(i), bytes), bytes);
    }
}

#if defined(__x86_64__)
template <typename Tag, typename Records>
__attribute__((target("arch=x86-64-v3"), flatten)) void gather_100_avx2(Records records, const TagRun<Tag> run,
                                                                        std::byte* out) {
    gather_fixed<Tag, 100>(records, 100, run, out);
}
#endif

template <typename Tag, typename Records>
void gather_tags(Records records, std::uint32_t record_bytes, const TagRun<Tag> run, std::byte* out) {
#if defined(__x86_64__)
    static const bool avx2 = [] {
        __builtin_cpu_init();
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2");
    }();
    if (record_bytes == 100 && avx2) {
        gather_100_avx2(records, run, out);
        return;
    }
#endif
    gather_fixed<Tag, 0>(records, record_bytes, run, out);
}

/// What `sorter.gather(first, out)` does, for memory that a device reads next: through a stage in the first-level
/// cache, where `checker`, if any, is fed, and from there past the caches.
template <typename Sorter>
void gather_past_caches(const Sorter& sorter, std::uint32_t record_bytes, std::uint64_t first, std::span<std::byte> out,
                        RecordChecker* checker) {
    // Steps of whole lines that leave room for the records on their way in the first-level cache.
    constexpr std::size_t kStageBytes = 16 * 1024;
    alignas(64) std::byte stage[kStageBytes];
    const std::size_t unit = std::lcm<std::size_t>(record_bytes, 64);
    const std::size_t step = unit <= kStageBytes ? kStageBytes / unit * unit : 0;
    while (!out.empty()) {
        const std::size_t bytes = step != 0 ? std::min(step, out.size()) : out.size();
        const auto gathered = step != 0 ? std::span(stage).first(bytes) : out;
        sorter.gather(first, gathered);
        if (checker != nullptr) checker->feed(gathered);
        if (step != 0) stream_copy(out.data(), stage, bytes);
        first += bytes / record_bytes;
        out = out.subspan(bytes);
    }
    stream_fence();
}

}  // namespace sluice
