#include "stages/sorter.hpp"

#include <algorithm>

namespace sluice {

Sorter::Sorter(Ports ports, RecordFormat format, const Partitioner& partitioner, std::uint32_t first_partition,
               std::span<std::byte> scratch, bool verify, std::vector<SortSummary>& parts)
    : ports_(std::move(ports)),
      format_(format),
      partitioner_(partitioner),
      first_partition_(first_partition),
      sorter_(format, scratch),
      verify_(verify),
      parts_(parts) {}

void Sorter::run() {
    while (auto loaded = ports_.input.pop()) {
        this_worker().input_bytes.add(loaded->records.size());
        const auto [low, high] = partitioner_.prefix_range(first_partition_ + loaded->partition);
        sorter_.sort(loaded->records.data(), PrefixRange{low, high});
        emit(*loaded);
        this_worker().units.add(1);
    }
    ports_.done();
}

void Sorter::emit(const LoadedPartition& loaded) {
    const std::uint64_t total_bytes = loaded.records.size();
    WorkQueue<SortedPiece>& output = ports_.output(loaded.partition);
    RecordChecker checker(format_);
    if (total_bytes == 0) output.push({loaded.partition, 0, 0, Buffer()});
    for (std::uint64_t offset = 0; offset < total_bytes;) {
        Buffer buffer = ports_.write_buffers.take();
        const std::uint64_t bytes = std::min<std::uint64_t>(
            total_bytes - offset, buffer.capacity() / format_.record_bytes * format_.record_bytes);
        sorter_.gather_out(offset / format_.record_bytes, buffer.storage().first(bytes), verify_ ? &checker : nullptr);
        buffer.commit(bytes);
        this_worker().output_bytes.add(bytes);
        this_worker().records.add(bytes / format_.record_bytes);
        output.push({loaded.partition, offset, total_bytes, std::move(buffer)});
        offset += bytes;
    }
    SortSummary summary = checker.summary();
    if (verify_ && summary.unordered != 0) {
        throw Error(
            Errc::integrity,
            "partition " + std::to_string(first_partition_ + loaded.partition) +
                ": records leave the sorter out of order; a memory or processor of this host is faulty, or sluice is");
    }
    if (!verify_) summary.sum.count = total_bytes / format_.record_bytes;
    parts_[loaded.partition] = std::move(summary);
}

}  // namespace sluice
