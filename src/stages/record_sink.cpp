#include "stages/record_sink.hpp"

#include <algorithm>
#include <span>

#include "record/compare.hpp"
#include "runtime/error.hpp"
#include "runtime/metrics.hpp"

namespace sluice {
namespace {
/// Records looked at in one go: 100 kB of gensort data stay in the second-level cache between keys and checksum.
constexpr std::size_t kBlockRecords = 1024;
}  // namespace

RecordSink::RecordSink(Coalescer& chains, RecordFormat format, const Partitioner& partitioner,
                       std::uint32_t first_partition, std::size_t max_chunks, bool verify)
    : chains_(chains), format_(format), partitioner_(partitioner), first_partition_(first_partition), verify_(verify) {
    chain_.chunks.reserve(max_chunks);
}

void RecordSink::run() {
    while (chains_.take(chain_, true)) {
        for (const Buffer& chunk : chain_.chunks) {
            check(chain_.partition, chunk.data());
            this_worker().input_bytes.add(chunk.size());
            this_worker().records.add(chunk.size() / format_.record_bytes);
            this_worker().units.add(1);
        }
        chain_.chunks.clear();  // home before the next wait
    }
}

void RecordSink::check(std::uint32_t partition, std::span<const std::byte> records) {
    if (!verify_) {
        sum_.count += records.size() / format_.record_bytes;
        return;
    }
    const auto [low, high] = partitioner_.prefix_range(first_partition_ + partition);
    while (!records.empty()) {
        const auto block = records.first(std::min(records.size(), kBlockRecords * format_.record_bytes));
        sum_ += sum_records(block, format_.record_bytes);  // first: it fetches ahead, so the keys are in the cache
        bool inside = true;
        for (std::size_t at = 0; at < block.size(); at += format_.record_bytes) {
            const std::uint64_t prefix = key_prefix(format_, block.data() + at);
            inside &= low <= prefix && prefix <= high;
        }
        if (!inside) {
            throw Error(Errc::integrity, "partition " + std::to_string(first_partition_ + partition) +
                                             " got a record whose key lies outside its range; a distributor or a "
                                             "memory of this host is faulty, shuffle again");
        }
        records = records.subspan(block.size());
    }
}

}  // namespace sluice
