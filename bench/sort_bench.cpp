// Phase two's inner loop: tags, sort, ties and gather of one partition of 100-byte records into write buffers, with and
// without the check of order and checksum that a run takes on the way.
#include "bench_support.hpp"
#include "record/generator.hpp"
#include "record/record_checker.hpp"
#include "sort/sort_partition.hpp"

namespace {

using namespace sluice;
using bench::BenchMemory;

enum class Keys { uniform, all_equal, few_distinct, identical, sorted };
enum class Work { sort, sort_and_gather, sort_gather_and_check, gather };

constexpr PrefixRange kRange{0x2a00'0000'0000'0000, 0x2b99'9999'9999'9999};  // one of 160 equal partitions
constexpr std::uint64_t kWriteBuffer = 4'096'000, kWriteBuffers = 4;

/// Keys in kRange as `keys` says, gensort values.
void fill_partition(std::span<std::byte> records, Keys keys, BenchMemory& memory) {
    RecordGenerator({}, 12345).fill(records);
    Rng rng(5);
    std::array<std::array<std::byte, 10>, 16> few;
    for (auto& key : few) bench::fill_random(key, rng.next());
    for (std::size_t at = 0; at < records.size(); at += 100) {
        std::byte* const record = records.data() + at;
        const std::uint64_t prefix = __builtin_bswap64(kRange.low + rng.below(kRange.high - kRange.low));
        if (keys == Keys::identical) std::memset(record, 7, 100);
        if (keys == Keys::all_equal) std::memset(record, 7, 10);
        if (keys == Keys::few_distinct) std::memcpy(record, few[rng.below(16)].data(), 10);
        if (keys == Keys::uniform || keys == Keys::sorted) {
            std::memcpy(record, &prefix, 8);
        } else {
            record[0] = std::byte{0x2a};
        }
    }
    if (keys != Keys::sorted) return;
    const auto scratch = memory.take(sort_scratch_bytes(records.size() / 100, kGensortFormat));
    const auto copy = memory.take(records.size());
    PartitionSorter sorter(kGensortFormat, scratch);
    std::copy(records.begin(), records.end(), copy.begin());
    sorter.sort(copy, kRange);
    sorter.gather(0, records);
}

void sort_partition(benchmark::State& state, BenchMemory& memory, std::uint64_t bytes, Keys keys, Work work) {
    const double reference = bench::memcpy_rate(memory);
    memory.begin();
    const auto records = memory.take(bytes);
    fill_partition(records, keys, memory);
    const auto scratch = memory.take(sort_scratch_bytes(bytes / 100, kGensortFormat));
    const auto out = memory.take(kWriteBuffer * kWriteBuffers);
    PartitionSorter sorter(kGensortFormat, scratch);
    if (work == Work::gather) sorter.sort(records, kRange);
    for (auto _ : state) {
        if (work != Work::gather) sorter.sort(records, kRange);
        if (work == Work::sort) continue;
        RecordChecker checker(kGensortFormat);
        for (std::uint64_t at = 0; at < bytes; at += kWriteBuffer) {
            const auto piece = out.subspan(at % out.size(), std::min(kWriteBuffer, bytes - at));
            sorter.gather_out(at / 100, piece, work == Work::sort_gather_and_check ? &checker : nullptr);
        }
        if (checker.summary().unordered != 0) state.SkipWithError("out of order");
        benchmark::ClobberMemory();
    }
    bench::report_bytes(state, bytes, reference);
}

}  // namespace

int main(int argc, char** argv) {
    return bench::run_benchmarks(argc, argv, 576 * kMiB, [](BenchMemory& memory) {
        for (const std::uint64_t bytes : {64'000'000u, 16'000'000u}) {
            const auto add = [&](const std::string& name, Keys keys, Work work) {
                benchmark::RegisterBenchmark((name + "/" + std::to_string(bytes / 1'000'000) + "MB").c_str(),
                                             [&memory, bytes, keys, work](benchmark::State& state) {
                                                 sort_partition(state, memory, bytes, keys, work);
                                             })
                    ->Unit(benchmark::kMillisecond);
            };
            add("sort+gather/uniform", Keys::uniform, Work::sort_and_gather);
            add("sort+gather/all_keys_equal", Keys::all_equal, Work::sort_and_gather);
            add("sort+gather/16_keys", Keys::few_distinct, Work::sort_and_gather);
            add("sort+gather/identical_records", Keys::identical, Work::sort_and_gather);
            add("sort+gather/sorted", Keys::sorted, Work::sort_and_gather);
            add("sort+gather+check/uniform", Keys::uniform, Work::sort_gather_and_check);
            add("sort/uniform", Keys::uniform, Work::sort);
            add("gather/uniform", Keys::uniform, Work::gather);
        }
    });
}
