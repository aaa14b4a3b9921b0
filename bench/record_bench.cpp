// Generator, checksums and order check. "cache" is a block that stays in the second-level cache, "memory" one that
// stays in none.
#include "bench_support.hpp"
#include "record/crc32c.hpp"
#include "record/generator.hpp"
#include "record/record_checker.hpp"
#include "record/record_sum.hpp"

namespace {

using namespace sluice;
using bench::BenchMemory;

constexpr std::uint64_t kCacheBytes = 512'000, kMemoryBytes = 256'000'000;

template <typename Body>
void add(BenchMemory& memory, const std::string& name, std::uint64_t bytes, Body body) {
    benchmark::RegisterBenchmark(name.c_str(), [&memory, bytes, body](benchmark::State& state) {
        const double reference = bench::memcpy_rate(memory);
        memory.begin();
        const auto records = memory.take(bytes);
        bench::fill_random(records, 1);
        for (std::uint64_t at = 0; at + 100 <= bytes; at += 100) {  // in order, as validation meets them
            const std::uint64_t prefix = __builtin_bswap64(at << 24);
            std::memcpy(records.data() + at, &prefix, 8);
        }
        for (auto _ : state) {
            body(records);
            benchmark::ClobberMemory();
        }
        bench::report_bytes(state, bytes, reference);
    })->Unit(benchmark::kMicrosecond);
}

void generate(std::span<std::byte> out, GeneratorOptions options, bool checksum) {
    RecordGenerator generator(options, 1'000'000'007);
    if (checksum) {
        benchmark::DoNotOptimize(generator.fill_summed(out).sum);
    } else {
        generator.fill(out);
    }
}

/// items_per_second are records.
void add_expected_sum(BenchMemory& memory, const std::string& name, GeneratorOptions options, std::uint64_t count) {
    benchmark::RegisterBenchmark(name.c_str(), [&memory, options, count](benchmark::State& state) {
        const double reference = bench::memcpy_rate(memory);
        for (auto _ : state) benchmark::DoNotOptimize(expected_sum(options, 1'000'000'007, count, 1));
        state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(count));
        bench::report_bytes(state, count * kGensortRecordBytes, reference);
    })->Unit(benchmark::kMillisecond);
}

void add_all(BenchMemory& memory) {
    using Bytes = std::span<std::byte>;
    for (const auto& [place, bytes] : {std::pair{"/cache", kCacheBytes}, {"/memory", kMemoryBytes}}) {
        add(memory, std::string("generate/binary") + place, bytes, [](Bytes out) { generate(out, {}, false); });
        add(memory, std::string("generate+checksum/binary") + place, bytes, [](Bytes out) { generate(out, {}, true); });
        add(memory, std::string("checksum") + place, bytes,
            [](Bytes in) { benchmark::DoNotOptimize(sum_records(in, kGensortRecordBytes)); });
        add(memory, std::string("validate") + place, bytes, [](Bytes in) {
            RecordChecker checker(kGensortFormat);
            checker.feed(in);
            benchmark::DoNotOptimize(checker.summary().sum.sum);
        });
    }
    add(memory, "generate/skewed/cache", kCacheBytes, [](Bytes out) { generate(out, {false, true}, false); });
    add(memory, "generate/ascii/cache", kCacheBytes, [](Bytes out) { generate(out, {true, false}, false); });
    add_expected_sum(memory, "expected_sum/binary", {}, 4'000'000);
    add_expected_sum(memory, "expected_sum/skewed", {false, true}, 4'000'000);
    add_expected_sum(memory, "expected_sum/ascii", {true, false}, 400'000);
    add(memory, "crc32c/1MiB_blocks", 256 * kMiB, [](Bytes in) {
        for (std::size_t at = 0; at < in.size(); at += kMiB) benchmark::DoNotOptimize(crc32c(in.subspan(at, kMiB)));
    });
    add(memory, "crc32c/100kB_chunk/cache", 102'400, [](Bytes in) { benchmark::DoNotOptimize(crc32c(in)); });
}

}  // namespace

int main(int argc, char** argv) { return bench::run_benchmarks(argc, argv, 576 * kMiB, add_all); }
