#include "stages/kept_partitions.hpp"

#include <algorithm>
#include <bit>
#include <numeric>

#include "runtime/metrics.hpp"

namespace sluice {

KeptPartitions::KeptPartitions(Executor& executor, std::span<std::byte> memory, const Shape& shape)
    : shift_(static_cast<unsigned>(std::countr_zero(shape.chunk_records))),
      record_bytes_(shape.record_bytes),
      pool_(executor, "chunks", memory, shape.chunk_bytes, shape.chunks),
      lists_(shape.partitions),
      nodes_(shape.chunks),
      chunks_(shape.chunks),
      begins_(shape.chunks),
      mutex_(executor) {
    SLUICE_CHECK(std::has_single_bit(shape.chunk_records) &&
                 shape.chunk_bytes / shape.record_bytes == shape.chunk_records);
}

void KeptPartitions::keep(Chain& chain) {
    Lock lock(mutex_);
    List& list = lists_[chain.partition];
    list.payload_bytes += chain.payload_bytes();
    for (Buffer& chunk : chain.chunks) {
        if (let_go_) break;  // clear() below sends them home
        const std::uint32_t node = used_nodes_++;
        nodes_[node].chunk = std::move(chunk);
        (list.chunks++ == 0 ? list.first : nodes_[list.last].next) = node;
        list.last = node;
    }
    chain.chunks.clear();
}

void KeptPartitions::let_go() {
    Lock lock(mutex_);
    if (let_go_) return;
    let_go_ = true;
    for (std::uint32_t node = 0; node < used_nodes_; ++node) nodes_[node].chunk = Buffer();
}

bool KeptPartitions::was_let_go() const {
    Lock lock(mutex_);
    return let_go_;
}

void KeptPartitions::seal() {
    if (was_let_go()) return;
    std::size_t filled = 0;
    const std::size_t full_bytes = (std::size_t{1} << shift_) * record_bytes_;
    for (List& list : lists_) {
        list.first_chunk = filled;
        for (std::uint32_t node = list.first; node != kNone; node = nodes_[node].next) {
            SLUICE_CHECK(node == list.last || nodes_[node].chunk.size() == full_bytes);
            begins_[filled] = nodes_[node].chunk.data().data();
            chunks_[filled++] = std::move(nodes_[node].chunk);
        }
    }
}

KeptPartition KeptPartitions::partition(std::uint32_t partition) {
    const List& list = lists_[partition];
    return {std::span(chunks_).subspan(list.first_chunk, list.chunks),
            {begins_.data() + list.first_chunk, shift_},
            list.payload_bytes};
}

std::uint64_t KeptPartitions::total_bytes() const {
    return std::accumulate(lists_.begin(), lists_.end(), std::uint64_t{0},
                           [](std::uint64_t sum, const List& list) { return sum + list.payload_bytes; });
}

std::uint64_t KeptPartitions::largest_bytes() const {
    std::uint64_t largest = 0;
    for (const List& list : lists_) largest = std::max(largest, list.payload_bytes);
    return largest;
}

void Keeper::run() {
    for (;;) {
        if (!chains_.take(chain_, true)) {
            if (chains_.drained()) return;
            continue;
        }
        const std::uint64_t bytes = chain_.payload_bytes();
        this_worker().input_bytes.add(bytes);
        this_worker().output_bytes.add(bytes);
        this_worker().records.add(bytes / kept_.record_bytes());
        this_worker().units.add(1);
        kept_.keep(chain_);
    }
}

}  // namespace sluice
