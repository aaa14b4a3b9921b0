#include "stages/logical_disk_distributor.hpp"

#include "record/crc32c.hpp"

namespace sluice {
namespace {
constexpr std::size_t kBlockRecords = RecordScatter::kBlockRecords;
}

LogicalDiskDistributor::LogicalDiskDistributor(Ports ports, RecordFormat format, const Partitioner& partitioner,
                                               const Ownership& ownership, std::uint32_t rank, bool verify)
    : input_(ports.input),
      chains_(ports.chains),
      format_(format),
      partitioner_(partitioner),
      rank_(rank),
      ranks_(ownership.ranks()),
      first_partition_(ownership.first(rank)),
      partitions_(ownership.count(rank)),
      verify_(verify),
      open_(format.record_bytes),
      slots_(kBlockRecords),
      ties_{ownership.first(rank), ownership.first(rank + 1), 0} {
    open_.add_slots(partitions_, {&ports.chunks, 0});
}

void LogicalDiskDistributor::run() {
    while (auto arrived = input_.pop()) distribute(*arrived);
    open_.drain([this](std::uint32_t slot, Buffer partial) { chains_.add_partial(slot, std::move(partial)); });
    chains_.producer_done();
}

void LogicalDiskDistributor::distribute(const ArrivedBuffer& arrived) {
    const auto records = arrived.records();
    const auto fail = [&](const std::string& what) {
        throw Error(Errc::integrity, "buffer " + std::to_string(arrived.header.sequence) + " from rank " +
                                         std::to_string(arrived.header.source) + " to rank " + std::to_string(rank_) +
                                         ": " + what +
                                         "; the network or a memory damaged it, check both hosts and sort again");
    };
    if (records.size() != arrived.header.record_count * format_.record_bytes) fail("length and record count differ");
    // Summed block by block, while a block is in the cache for what follows: what damaged records would do before the
    // sum is known is never published.
    std::uint32_t crc = 0;
    const auto check_sum = [&](std::span<const std::byte> rest) {
        if (verify_ && crc32c(rest, crc) != arrived.header.payload_crc32c) fail("checksum of the records is wrong");
    };
    this_worker().input_bytes.add(records.size());
    this_worker().units.add(1);
    const std::size_t block_bytes = kBlockRecords * format_.record_bytes;
    for (auto rest = records; !rest.empty(); rest = rest.subspan(std::min(block_bytes, rest.size()))) {
        const auto block_records = rest.first(std::min(block_bytes, rest.size()));
        const auto block = std::span(slots_).first(block_records.size() / format_.record_bytes);
        if (verify_) crc = crc32c(block_records, crc);
        if (!received_.empty()) sum_source(arrived.header.source, block_records);
        partitioner_.classify(block_records.data(), block, ties_);
        for (std::uint32_t& slot : block) {
            slot -= first_partition_;
            if (slot < partitions_) continue;
            check_sum(rest.subspan(block_records.size()));
            fail("holds a record of another rank's partition");
        }
        open_.append(block_records, block, rest.subspan(block_records.size()),
                     [this](std::uint32_t slot, Buffer chunk) {
                         this_worker().output_bytes.add(chunk.size());
                         chains_.add(slot, std::move(chunk));
                     });
        this_worker().records.add(block.size());
    }
    check_sum({});
}

void LogicalDiskDistributor::sum_source(std::uint32_t source, std::span<const std::byte> records) {
    if (verify_) {
        received_[source] += sum_records(records, format_.record_bytes);
    } else {
        received_[source].count += records.size() / format_.record_bytes;
    }
}

}  // namespace sluice
