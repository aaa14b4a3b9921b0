#include "stages/partition_reader.hpp"

#include <algorithm>

#include "record/chunk_layout.hpp"
#include "record/record_format.hpp"
#include "runtime/error.hpp"
#include "runtime/metrics.hpp"
#include "runtime/units.hpp"

namespace sluice {

PartitionReader::PartitionReader(IoBackend& backend, Source source, Requests requests, BufferPool& slots,
                                 WorkQueue<LoadedPartition>& output, Share share)
    : logs_(std::move(source.logs)),
      index_(source.index),
      partitions_(source.index.logical_disks()),
      read_bytes_(requests.largest_bytes),
      chunks_(source.chunks),
      slots_(slots),
      output_(output),
      share_(share),
      loading_(slots.count()),
      requests_(requests.flight.requests),
      most_bytes_(requests.flight.bytes),
      queue_(backend.make_queue(requests.flight.requests)) {
    for (std::size_t slot = loading_.size(); slot > 0; --slot) free_.push_back(slot - 1);
    done_.reserve(requests.flight.requests);
}

void PartitionReader::run() {
    for (std::uint32_t partition = share_.first; partition < partitions_; partition += share_.step) load(partition);
    while (queue_->in_flight() > 0) collect(1);
    output_.producer_done();
}

void PartitionReader::load(std::uint32_t partition) {
    // Completions must be seen while we wait for memory: a partition that is complete but not handed on would never
    // free it.
    auto memory = slots_.try_take();
    while (!memory && queue_->in_flight() > 0) {
        collect(1);
        memory = slots_.try_take();
    }
    Buffer buffer = memory ? std::move(*memory) : slots_.take();
    const std::size_t slot = free_.back();
    free_.pop_back();
    Loading& loading = loading_[slot];
    loading = {partition, std::move(buffer), 0,
               1,  // the 1 is ours: nothing is handed on before all reads are submitted
               index_.extents(partition)};
    std::uint64_t at = 0;
    for (const Extent& extent : loading.extents) {
        read(slot, extent, at);
        at += extent.written_bytes;  // only the last one's padding stays, where chunks have none
        loading.payload_bytes += extent.payload_bytes;
    }
    if (--loading.reads_left == 0) hand_on(slot);
}

void PartitionReader::hand_on(std::size_t slot) {
    Loading& loading = loading_[slot];
    if (chunks_.payload_bytes != chunks_.bytes) {
        std::byte* const memory = loading.buffer.storage().data();
        std::uint64_t from = 0, to = 0;
        for (const Extent& extent : loading.extents) {
            compact_extent({memory + from, extent.written_bytes}, memory + to, extent.payload_bytes, chunks_.bytes,
                           chunks_.payload_bytes);
            from += extent.written_bytes;
            to += extent.payload_bytes;
        }
    }
    loading.buffer.set_size(loading.payload_bytes);
    output_.push({loading.partition, std::move(loading.buffer)});
    free_.push_back(slot);
}

void PartitionReader::read(std::size_t slot, const Extent& extent, std::uint64_t at) {
    for (std::uint64_t done = 0; done < extent.written_bytes;) {
        while (queue_->in_flight() == queue_->depth() || bytes_in_flight_ >= most_bytes_) collect(1);
        const std::uint64_t bytes = std::min(read_bytes_, extent.written_bytes - done);
        const std::size_t token = requests_.take();
        requests_[token] = {bytes, slot};
        ++loading_[slot].reads_left;
        bytes_in_flight_ += bytes;
        if (first_read_ns_ == 0) first_read_ns_ = slots_.executor().now_ns();
        queue_->read(*logs_[extent.disk], extent.offset + done,
                     loading_[slot].buffer.storage().subspan(at + done, bytes), token);
        done += bytes;
    }
}

void PartitionReader::collect(unsigned minimum) {
    done_.clear();
    queue_->wait(minimum, done_);
    for (const IoCompletion& completion : done_) {
        const Request request = requests_[completion.token];
        Loading& loading = loading_[request.slot];
        if (completion.bytes != request.bytes) {
            throw Error(Errc::integrity, "partition " + std::to_string(loading.partition) +
                                             ": an extent ended early (" + std::to_string(completion.bytes) + " of " +
                                             std::to_string(request.bytes) +
                                             " bytes); the intermediate log was cut, sort again");
        }
        this_worker().input_bytes.add(completion.bytes);
        bytes_in_flight_ -= completion.bytes;
        requests_.give_back(completion.token);
        if (--loading.reads_left > 0) continue;
        this_worker().units.add(1);
        this_worker().output_bytes.add(loading.payload_bytes);
        hand_on(request.slot);
    }
}

}  // namespace sluice
