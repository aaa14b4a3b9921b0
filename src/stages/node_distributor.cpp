#include "stages/node_distributor.hpp"

#include <cstring>

#include "record/crc32c.hpp"

namespace sluice {
namespace {
constexpr std::size_t kBlockRecords = RecordScatter::kBlockRecords;
}  // namespace

NodeDistributor::NodeDistributor(Ports ports, RecordFormat format, const Partitioner& partitioner,
                                 const Ownership& ownership, std::uint32_t rank, bool verify)
    : ports_(ports),
      format_(format),
      partitioner_(partitioner),
      local_partitions_(ownership.count(rank)),
      verify_(verify),
      open_(format.record_bytes),
      slot_of_partition_(ownership.partitions()),
      slots_(kBlockRecords) {
    // Slots: first this rank's logical disks, then one send buffer for each rank (our own is never used).
    open_.reserve(std::size_t{local_partitions_} + (ports_.send_buffers != nullptr ? ownership.ranks() : 0));
    open_.add_slots(local_partitions_, {&ports_.chunks, 0});
    if (ports_.shared != nullptr) ports_.shared->add_producer();
    const bool own_sends = ports_.send_buffers != nullptr && ports_.shared == nullptr;
    for (std::uint32_t owner = 0; own_sends && owner < ownership.ranks(); ++owner) {
        OpenBuffers::SlotKind kind{ports_.send_buffers, kHeaderBytes, ports_.stream_messages, {}};
        if (ports_.lender != nullptr) kind.lender = [this, owner] { return ports_.lender->lend(owner); };
        open_.add_slots(1, kind);
    }
    for (std::uint32_t owner = 0; owner < ownership.ranks(); ++owner) {
        for (std::uint32_t p = ownership.first(owner); p < ownership.first(owner + 1); ++p) {
            slot_of_partition_[p] = owner == rank ? p - ownership.first(rank) : local_partitions_ + owner;
        }
    }
}

void NodeDistributor::run() {
    while (auto buffer = ports_.input.pop()) {
        this_worker().input_bytes.add(buffer->size());
        this_worker().units.add(1);
        const RecordSum before = input_sum_;
        distribute(buffer->data());
        if (ports_.sources != nullptr)
            ports_.sources->add(buffer->source(), {input_sum_.count - before.count, input_sum_.sum - before.sum});
    }
    open_.drain([this](std::uint32_t slot, Buffer partial) {
        if (slot < local_partitions_) {
            ports_.chains.add_partial(slot, std::move(partial));
        } else {
            send(slot, std::move(partial));
        }
    });
    if (ports_.shared != nullptr && ports_.shared->producer_done()) {
        ports_.shared->drain([this](std::uint32_t destination, Buffer partial) {
            send(local_partitions_ + destination, std::move(partial));
        });
    }
    ports_.chains.producer_done();
    if (ports_.output != nullptr) {
        ports_.output->producer_done();
        ports_.network->ring();
    }
}

void NodeDistributor::distribute(std::span<const std::byte> records) {
    const std::size_t block_bytes = kBlockRecords * format_.record_bytes;
    for (auto rest = records; !rest.empty();) {
        const auto block = rest.first(std::min(block_bytes, rest.size()));
        rest = rest.subspan(block.size());
        distribute_block(block, rest);
    }
}

void NodeDistributor::distribute_block(std::span<const std::byte> records, std::span<const std::byte> next) {
    const std::size_t count = records.size() / format_.record_bytes;
    if (verify_) {
        input_sum_ += sum_records(records, format_.record_bytes);
    } else {
        input_sum_.count += count;
    }
    const auto block = std::span(slots_).first(count);
    partitioner_.classify(records.data(), block, ties_);
    for (std::uint32_t& slot : block) slot = slot_of_partition_[slot];
    if (ports_.shared != nullptr) {
        append_shared(records, block);
    } else {
        open_.append(records, block, next,
                     [this](std::uint32_t slot, Buffer buffer) { full(slot, std::move(buffer)); });
    }
    this_worker().records.add(count);
}

/// Neighbours that go to one rank, or to any logical disks here, go together.
void NodeDistributor::append_shared(std::span<const std::byte> records, std::span<const std::uint32_t> block) {
    const std::function<void(std::uint32_t, Buffer)> chunk_full = [this](std::uint32_t slot, Buffer chunk) {
        full(slot, std::move(chunk));
    };
    const SharedOpenBuffers::HandOver send_full = [this](std::uint32_t destination, Buffer buffer) {
        full(local_partitions_ + destination, std::move(buffer));
    };
    for (std::size_t first = 0, end = 0; first < block.size(); first = end) {
        const bool local = block[first] < local_partitions_;
        const auto together = [&](std::uint32_t slot) {
            return local ? slot < local_partitions_ : slot == block[first];
        };
        for (end = first + 1; end < block.size() && together(block[end]);) ++end;
        const auto run = records.subspan(first * format_.record_bytes, (end - first) * format_.record_bytes);
        if (local) {
            open_.append(run, block.subspan(first, end - first), {}, chunk_full);
        } else {
            ports_.shared->append(block[first] - local_partitions_, run, send_full);
        }
    }
}

void NodeDistributor::full(std::uint32_t slot, Buffer buffer) {
    this_worker().output_bytes.add(buffer.size());
    if (slot < local_partitions_) {
        ports_.chains.add(slot, std::move(buffer));
    } else {
        send(slot, std::move(buffer));
    }
}

void NodeDistributor::send(std::uint32_t slot, Buffer buffer) {
    MessageHeader header;
    const auto records = buffer.data().subspan(kHeaderBytes);
    header.record_count = records.size() / format_.record_bytes;
    if (verify_) header.payload_crc32c = crc32c(records);
    std::memcpy(buffer.storage().data(), &header, sizeof header);
    ports_.output->push({slot - local_partitions_, std::move(buffer)});
    ports_.network->ring();
}

}  // namespace sluice
