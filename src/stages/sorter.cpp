#include "stages/sorter.hpp"

#include <algorithm>

namespace sluice {

Sorter::Sorter(Ports ports, RecordFormat format, KeyRanges ranges, std::span<std::byte> scratch, bool verify,
               std::vector<SortSummary>& parts)
    : ports_(std::move(ports)),
      format_(format),
      ranges_(ranges),
      sorter_(format, scratch),
      chunked_sorter_(format, scratch),
      stream_(format.record_bytes, ports_.write_buffers.buffer_bytes()),
      verify_(verify),
      parts_(parts) {}

void Sorter::run() {
    while (auto loaded = ports_.input.pop()) {
        this_worker().input_bytes.add(loaded->bytes());
        sort(*loaded);
        emit(*loaded);
        if (loaded->kept) loaded->kept->give_back();
        this_worker().units.add(1);
    }
    ports_.done();
}

void Sorter::sort(const LoadedPartition& loaded) {
    const auto [low, high] = ranges_.by_partition.prefix_range(ranges_.first_partition + loaded.partition);
    if (loaded.kept) {
        chunked_sorter_.sort(loaded.kept->records, loaded.bytes() / format_.record_bytes, PrefixRange{low, high});
    } else {
        sorter_.sort(loaded.records.data(), PrefixRange{low, high});
    }
}

void Sorter::emit(const LoadedPartition& loaded) {
    const std::uint64_t total_bytes = loaded.bytes();
    WorkQueue<SortedPiece>& output = ports_.output(loaded.partition);
    RecordChecker checker(format_);
    if (total_bytes == 0) output.push({loaded.partition, 0, 0, Buffer()});
    std::uint64_t next = 0;  // record to gather
    const auto make = [&](std::span<std::byte> records) {
        RecordChecker* const looking = verify_ ? &checker : nullptr;
        loaded.kept ? chunked_sorter_.gather_out(next, records, looking) : sorter_.gather_out(next, records, looking);
        next += records.size() / format_.record_bytes;
    };
    stream_.begin(total_bytes / format_.record_bytes);
    for (std::uint64_t offset = 0; offset < total_bytes;) {
        const std::uint64_t gathered_before = next;
        Buffer buffer = ports_.write_buffers.take();
        const std::uint64_t bytes = stream_.fill(buffer.storage(), make);
        buffer.commit(bytes);
        this_worker().output_bytes.add(bytes);
        this_worker().records.add(next - gathered_before);
        output.push({loaded.partition, offset, total_bytes, std::move(buffer)});
        offset += bytes;
    }
    SortSummary summary = checker.summary();
    if (verify_ && summary.unordered != 0) {
        throw Error(
            Errc::integrity,
            "partition " + std::to_string(ranges_.first_partition + loaded.partition) +
                ": records leave the sorter out of order; a memory or processor of this host is faulty, or sluice is");
    }
    if (!verify_) summary.sum.count = total_bytes / format_.record_bytes;
    keep_keys(summary, format_);
    parts_[loaded.partition] = std::move(summary);
}

}  // namespace sluice
