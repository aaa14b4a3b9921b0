// Candidates for sorting the 8-byte tags of one partition: the choice of src/sort/tag_sort.hpp. bytes_per_second is of
// tags; each iteration also copies the unsorted tags to where they are sorted, which all candidates pay.
#include <boost/sort/pdqsort/pdqsort.hpp>
#include <boost/sort/spreadsort/spreadsort.hpp>

#include "bench_support.hpp"
#ifdef SLUICE_BENCH_HIGHWAY
#include <hwy/contrib/sort/vqsort.h>
#endif

namespace {

using namespace sluice;
using bench::BenchMemory;
using Tags = std::span<std::uint64_t>;

/// By kDigits digits of kBits bits below the `above` highest ones, least significant first, then neighbours put right.
/// The sorted tags are in `spare` where kDigits is odd.
template <unsigned kBits, unsigned kDigits>
void sort_digits(Tags tags, Tags spare, unsigned above) {
    static std::array<std::array<std::uint32_t, 1u << kBits>, kDigits> histograms;
    const auto digit = [above](std::uint64_t tag, unsigned d) {
        return (tag >> (64 - above - (kDigits - d) * kBits)) & ((1u << kBits) - 1);
    };
    for (auto& histogram : histograms) histogram.fill(0);
    for (const std::uint64_t tag : tags) {
        for (unsigned d = 0; d < kDigits; ++d) ++histograms[d][digit(tag, d)];
    }
    for (unsigned d = 0; d < kDigits; ++d) {
        std::uint32_t sum = 0;
        for (std::uint32_t& slot : histograms[d]) sum += std::exchange(slot, sum);
        for (const std::uint64_t tag : tags) spare[histograms[d][digit(tag, d)]++] = tag;
        std::swap(tags, spare);
    }
    for (std::size_t i = 1; i < tags.size(); ++i) {
        const std::uint64_t moving = tags[i];
        std::size_t at = i;
        for (; at > 0 && moving < tags[at - 1]; --at) tags[at] = tags[at - 1];
        tags[at] = moving;
    }
    benchmark::DoNotOptimize(tags.data());
}

template <unsigned kBits, unsigned kDigits>
void radix_sort(Tags tags, Tags spare) {
    sort_digits<kBits, kDigits>(tags, spare, 0);
}

/// Most significant digit first, once; then within each bucket, which the first-level cache holds. The tag sort fetches
/// the lines that buckets go on in as well, which gains where they are not in a cache, as within a sort.
template <unsigned kTop, unsigned kBits, unsigned kDigits>
void bucket_sort(Tags tags, Tags spare) {
    std::array<std::uint32_t, 1u << kTop> ends{};
    const auto top = [](std::uint64_t tag) { return tag >> (64 - kTop); };
    for (const std::uint64_t tag : tags) ++ends[top(tag)];
    std::uint32_t sum = 0;
    for (std::uint32_t& end : ends) sum += std::exchange(end, sum);
    for (const std::uint64_t tag : tags) spare[ends[top(tag)]++] = tag;
    std::uint32_t first = 0;
    for (const std::uint32_t end : ends) {
        sort_digits<kBits, kDigits>(spare.subspan(first, end - first), tags.subspan(first, end - first), kTop);
        first = end;
    }
}

template <typename Sort>
void add(BenchMemory& memory, const std::string& name, std::uint64_t count, Sort sort) {
    benchmark::RegisterBenchmark((name + "/" + std::to_string(count)).c_str(), [&memory, count,
                                                                                sort](benchmark::State& state) {
        const double reference = bench::memcpy_rate(memory);
        memory.begin();
        const auto take = [&] { return Tags(reinterpret_cast<std::uint64_t*>(memory.take(count * 8).data()), count); };
        const Tags unsorted = take(), tags = take(), spare = take();
        bench::fill_random(std::as_writable_bytes(unsorted), 3);
        for (std::uint64_t i = 0; i < count; ++i) unsorted[i] = (unsorted[i] << 20) | i;  // 44 key bits, index
        for (auto _ : state) {
            std::copy(unsorted.begin(), unsorted.end(), tags.begin());
            sort(tags, spare);
            benchmark::ClobberMemory();
        }
        bench::report_bytes(state, count * 8, reference);
    })->Unit(benchmark::kMillisecond);
}

}  // namespace

int main(int argc, char** argv) {
    return bench::run_benchmarks(argc, argv, 576 * kMiB, [](BenchMemory& memory) {
        for (const std::uint64_t count : {640'000u, 160'000u}) {
            add(memory, "radix_2x11+insertion", count, radix_sort<11, 2>);
            add(memory, "radix_3x8+insertion", count, radix_sort<8, 3>);
            add(memory, "radix_4x8+insertion", count, radix_sort<8, 4>);
            add(memory, "radix_3x11+insertion", count, radix_sort<11, 3>);
            add(memory, "buckets_8_2x8+insertion", count, bucket_sort<8, 8, 2>);
            add(memory, "std_sort", count, [](Tags tags, Tags) { std::sort(tags.begin(), tags.end()); });
            add(memory, "boost_pdqsort_branchless", count,
                [](Tags tags, Tags) { boost::sort::pdqsort_branchless(tags.begin(), tags.end()); });
            add(memory, "boost_spreadsort", count,
                [](Tags tags, Tags) { boost::sort::spreadsort::integer_sort(tags.begin(), tags.end()); });
#ifdef SLUICE_BENCH_HIGHWAY
            add(memory, "highway_vqsort", count, [](Tags tags, Tags) {
                static hwy::Sorter sorter;
                sorter(tags.data(), tags.size(), hwy::SortAscending());
            });
#endif
        }
    });
}
