// Phase zero on rank 0: the samples of eight ranks, each a sorted run, made one. By one thread that sorts all of them,
// as it was, and by ParallelSorter with one worker and more. In wall time.
#include "bench_support.hpp"
#include "runtime/on_threads.hpp"
#include "sort/parallel_sort.hpp"
#include "sort/sort_partition.hpp"

namespace {

using namespace sluice;
using bench::BenchMemory;

constexpr std::uint64_t kRanks = 8, kRecordBytes = 100;

struct Samples {
    SortedRuns runs;
    std::span<std::byte> fresh, spare, scratch;  ///< fresh: the runs as they came
};

Samples make_samples(BenchMemory& memory, std::uint64_t records, const ParallelSorter& sorter) {
    memory.begin();
    Samples samples;
    const std::uint64_t bytes = records * kRecordBytes;
    samples.runs.records = memory.take(bytes);
    samples.fresh = memory.take(bytes);
    samples.spare = memory.take(bytes);
    samples.scratch = memory.take(sorter.scratch_bytes(records));
    bench::fill_random(samples.runs.records, records);
    PartitionSorter one(kGensortFormat, samples.scratch);
    for (std::uint64_t rank = 0, begin = 0; rank < kRanks; ++rank) {
        const std::uint64_t end = records * (rank + 1) / kRanks, run_bytes = (end - begin) * kRecordBytes;
        one.sort(samples.runs.records.subspan(begin * kRecordBytes, run_bytes), {});
        one.gather(0, samples.fresh.subspan(begin * kRecordBytes, run_bytes));
        samples.runs.ends.push_back(end);
        begin = end;
    }
    return samples;
}

/// @param workers  0: all are sorted by one thread, and fetched one by one.
void merge_samples(benchmark::State& state, BenchMemory& memory, std::uint64_t records, unsigned workers) {
    const ParallelSorter sorter(kGensortFormat, workers, on_threads);
    const Samples samples = make_samples(memory, records, sorter);
    for (auto _ : state) {
        state.PauseTiming();
        std::memcpy(samples.runs.records.data(), samples.fresh.data(), samples.fresh.size());
        state.ResumeTiming();
        if (workers > 0) {
            benchmark::DoNotOptimize(sorter.merge(samples.runs, samples.spare, samples.scratch).data());
            continue;
        }
        PartitionSorter one(kGensortFormat, samples.scratch);
        one.sort(samples.runs.records, {});
        for (std::uint64_t i = 0; i < records; ++i)
            one.gather(i, samples.spare.subspan(i * kRecordBytes, kRecordBytes));
        benchmark::ClobberMemory();
    }
    state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations() * records));
}

}  // namespace

int main(int argc, char** argv) {
    return bench::run_benchmarks(argc, argv, 3500 * kMiB, [](BenchMemory& memory) {
        for (const std::uint64_t records : {std::uint64_t{1} << 20, std::uint64_t{10'000'000}}) {
            for (const unsigned workers : {0u, 1u, 2u, 4u}) {
                const std::string name = workers == 0 ? "one_thread" : "merge/" + std::to_string(workers) + "_workers";
                benchmark::RegisterBenchmark((name + "/" + std::to_string(records)).c_str(),
                                             [&memory, records, workers](benchmark::State& state) {
                                                 merge_samples(state, memory, records, workers);
                                             })
                    ->Unit(benchmark::kMillisecond)
                    ->UseRealTime()
                    ->Iterations(3);
            }
        }
    });
}
