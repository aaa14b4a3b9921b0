// Phase one's inner loop: checksum, classify and append of blocks of 512 records, into chunks of 102,400 bytes. A
// full chunk comes back only after as many others as there are partitions, as if the writer had it meanwhile.
#include "bench_support.hpp"
#include "record/compare.hpp"
#include "record/partitioner.hpp"
#include "record/record_sum.hpp"
#include "stages/open_buffers.hpp"

namespace {

using namespace sluice;
using bench::BenchMemory;

constexpr std::uint64_t kInputBytes = 256'000'000, kChunkBytes = 102'400, kBlockRecords = RecordScatter::kBlockRecords;

struct Shape {
    std::uint32_t partitions = 1;
    bool splitters = false, checksum = false;
};

std::unique_ptr<Partitioner> make_partitioner(const Shape& shape) {
    if (!shape.splitters) return make_uniform_partitioner(kGensortFormat, shape.partitions);
    std::vector<std::vector<std::byte>> records(shape.partitions - 1, std::vector<std::byte>(100));
    for (std::size_t i = 0; i < records.size(); ++i) bench::fill_random(records[i], 77 + i);
    std::sort(records.begin(), records.end());
    std::vector<std::byte> flat;
    for (const auto& record : records) flat.insert(flat.end(), record.begin(), record.end());
    return make_splitter_partitioner(kGensortFormat, flat);
}

void classify(benchmark::State& state, BenchMemory& memory, Shape shape) {
    const double reference = bench::memcpy_rate(memory);
    memory.begin();
    const auto input = memory.take(kInputBytes);
    bench::fill_random(input, 1);
    const auto partitioner = make_partitioner(shape);
    std::vector<std::uint32_t> slots(kBlockRecords);
    for (auto _ : state) {
        for (std::uint64_t at = 0; at < kInputBytes; at += kBlockRecords * 100) {
            const std::size_t count = std::min<std::size_t>(kBlockRecords, (kInputBytes - at) / 100);
            partitioner->classify(input.data() + at, std::span(slots).first(count));
            benchmark::DoNotOptimize(slots.data());
        }
    }
    bench::report_bytes(state, kInputBytes, reference);
}

void distribute(benchmark::State& state, BenchMemory& memory, Shape shape) {
    const double reference = bench::memcpy_rate(memory);
    memory.begin();
    const auto input = memory.take(kInputBytes);
    bench::fill_random(input, 1);
    const auto partitioner = make_partitioner(shape);
    const std::size_t chunks = 2ull * shape.partitions + 1;
    ThreadExecutor executor;
    BufferPool pool(executor, "chunks", memory.take(chunks * kChunkBytes), kChunkBytes, chunks);
    OpenBuffers open(100);
    open.add_slots(shape.partitions, {&pool, 0});
    std::vector<Buffer> held(shape.partitions);  // chunks on their way to the disk, oldest replaced first
    std::size_t oldest = 0;
    const auto full = [&](std::uint32_t, Buffer buffer) {
        held[oldest] = std::move(buffer);
        oldest = oldest + 1 == held.size() ? 0 : oldest + 1;
    };
    std::vector<std::uint32_t> slots(kBlockRecords);
    RecordSum sum;
    for (auto _ : state) {
        for (std::uint64_t at = 0; at < kInputBytes; at += kBlockRecords * 100) {
            const auto records = input.subspan(at, std::min<std::uint64_t>(kBlockRecords * 100, kInputBytes - at));
            const auto block = std::span(slots).first(records.size() / 100);
            if (shape.checksum) sum += sum_records(records, 100);
            partitioner->classify(records.data(), block);
            open.append(records, block, input.subspan(at + records.size()), full);
        }
    }
    benchmark::DoNotOptimize(sum);
    open.drain(full);
    held.clear();
    bench::report_bytes(state, kInputBytes, reference);
}

}  // namespace

int main(int argc, char** argv) {
    return bench::run_benchmarks(argc, argv, 1280 * kMiB, [](BenchMemory& memory) {
        for (const Shape& of : {Shape{64, false}, {256, false}, {1024, false}, {4096, false}, {1024, true}}) {
            const std::string name = (of.splitters ? "splitters/" : "uniform/") + std::to_string(of.partitions);
            const auto add = [&](const std::string& what, auto* body, bool checksum) {
                benchmark::RegisterBenchmark((what + name).c_str(), [&memory, body,
                                                                     shape = Shape{of.partitions, of.splitters,
                                                                                   checksum}](benchmark::State& state) {
                    body(state, memory, shape);
                })->Unit(benchmark::kMillisecond);
            };
            add("distribute/", distribute, false);
            add("checksum+distribute/", distribute, true);
            if (of.partitions == 1024) add("classify/", classify, false);
        }
    });
}
