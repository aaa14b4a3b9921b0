#pragma once
/// What the kernel benchmarks share: arena memory (the same pages as in a run), test data, and memcpy as the measure of
/// the machine. Every benchmark reports bytes_per_second and `of_memcpy`, the ratio to memcpy in the same process.

#include <benchmark/benchmark.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <ctime>
#include <span>

#include "record/record_format.hpp"
#include "runtime/arena.hpp"
#include "runtime/rng.hpp"
#include "runtime/units.hpp"

namespace sluice::bench {

/// Memory of one benchmark: begin() voids what the one before took.
class BenchMemory {
public:
    explicit BenchMemory(std::uint64_t bytes) : arena_(bytes, ArenaOptions{}) {}
    void begin() { arena_.reset(); }
    std::span<std::byte> take(std::uint64_t bytes) { return arena_.take(bytes, kDirectIoAlign, "benchmark"); }
    const std::string& page_kind() { return arena_.page_kind(); }

private:
    Arena arena_;
};

inline void fill_random(std::span<std::byte> out, std::uint64_t seed) {
    Rng rng(seed);
    for (std::size_t at = 0; at + 8 <= out.size(); at += 8) {
        const std::uint64_t value = rng.next();
        std::memcpy(out.data() + at, &value, 8);
    }
}

/// Bytes a second that memcpy moves between two areas larger than any cache; median of nine, measured once a process.
/// In processor time, as all rates here, so that a busy machine does not bend the ratios.
inline double memcpy_rate(BenchMemory& memory) {
    static const double rate = [&] {
        memory.begin();
        const auto from = memory.take(256 * kMiB), to = memory.take(256 * kMiB);
        fill_random(from, 1);
        std::array<double, 9> rates{};
        for (double& measured : rates) {
            const std::clock_t start = std::clock();
            std::memcpy(to.data(), from.data(), from.size());
            benchmark::ClobberMemory();
            const double elapsed_s = static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
            measured = static_cast<double>(from.size()) / elapsed_s;
        }
        std::sort(rates.begin(), rates.end());
        return rates[rates.size() / 2];
    }();
    return rate;
}

/// Books `bytes` an iteration, and their rate as a part of memcpy's.
inline void report_bytes(benchmark::State& state, std::uint64_t bytes, double memcpy_bytes_per_s) {
    const auto total = static_cast<double>(state.iterations()) * static_cast<double>(bytes);
    state.SetBytesProcessed(static_cast<std::int64_t>(total));
    state.counters["of_memcpy"] = benchmark::Counter(total / memcpy_bytes_per_s, benchmark::Counter::kIsRate);
}

/// The reference itself, as a benchmark of each program.
inline void register_memcpy(BenchMemory& memory) {
    benchmark::RegisterBenchmark("memcpy", [&memory](benchmark::State& state) {
        const double reference = memcpy_rate(memory);
        memory.begin();
        const auto from = memory.take(256 * kMiB), to = memory.take(256 * kMiB);
        for (auto _ : state) {
            std::memcpy(to.data(), from.data(), from.size());
            benchmark::ClobberMemory();
        }
        report_bytes(state, from.size(), reference);
    })->Unit(benchmark::kMillisecond);
}

/// main() of each program: the benchmarks that `add` registers, after the reference.
template <typename Add>
int run_benchmarks(int argc, char** argv, std::uint64_t memory_bytes, Add add) {
    BenchMemory memory(memory_bytes);
    benchmark::AddCustomContext("arena", memory.page_kind());
    register_memcpy(memory);
    add(memory);
    benchmark::Initialize(&argc, argv);
    if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
    benchmark::RunSpecifiedBenchmarks();
    benchmark::Shutdown();
    return 0;
}

}  // namespace sluice::bench
