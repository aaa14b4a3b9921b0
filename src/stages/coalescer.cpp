#include "stages/coalescer.hpp"

#include <algorithm>
#include <cstring>

#include "runtime/metrics.hpp"

namespace sluice {

std::uint64_t Chain::payload_bytes() const {
    std::uint64_t bytes = 0;
    for (const Buffer& chunk : chunks) bytes += chunk.size();
    return bytes;
}

Coalescer::Coalescer(Executor& executor, BufferPool& chunks, std::uint32_t record_bytes, Options options,
                     std::size_t producers)
    : pool_(chunks),
      record_bytes_(record_bytes),
      options_(options),
      producers_(producers),
      entries_(options.partitions),
      nodes_(chunks.count()),
      heads_(options.max_chunks + 1, kNone),
      mutex_(executor),
      changed_(executor),
      executor_(executor) {
    for (std::uint32_t node = 0; node < nodes_.size(); ++node) nodes_[node].next = std::exchange(free_node_, node);
}

void Coalescer::link(std::uint32_t partition) {
    Entry& entry = entries_[partition];
    const std::size_t length = std::min(entry.length, options_.max_chunks);
    if (length == 0) return;
    entry.previous = kNone;
    entry.next = heads_[length];
    if (entry.next != kNone) entries_[entry.next].previous = partition;
    heads_[length] = partition;
    longest_ = std::max(longest_, length);
}

void Coalescer::unlink(std::uint32_t partition) {
    Entry& entry = entries_[partition];
    const std::size_t length = std::min(entry.length, options_.max_chunks);
    if (length == 0) return;
    if (entry.previous != kNone) {
        entries_[entry.previous].next = entry.next;
    } else {
        heads_[length] = entry.next;
    }
    if (entry.next != kNone) entries_[entry.next].previous = entry.previous;
    while (longest_ > 0 && heads_[longest_] == kNone) --longest_;
}

void Coalescer::append(std::uint32_t partition, Buffer chunk) {
    Entry& entry = entries_[partition];
    SLUICE_CHECK(free_node_ != kNone);
    const std::uint32_t node = std::exchange(free_node_, nodes_[free_node_].next);
    nodes_[node] = {std::move(chunk), kNone};
    unlink(partition);
    if (entry.length == 0) {
        entry.first_node = node;
    } else {
        nodes_[entry.last_node].next = node;
    }
    entry.last_node = node;
    ++entry.length;
    link(partition);
}

void Coalescer::add(std::uint32_t partition, Buffer chunk) {
    Lock lock(mutex_);
    append(partition, std::move(chunk));
    if (ready()) changed_.notify_one();
}

void Coalescer::add_partial(std::uint32_t partition, Buffer chunk) {
    Lock lock(mutex_);
    Buffer& partial = entries_[partition].partial;
    if (!partial) {
        partial = std::move(chunk);
        return;
    }
    if (partial.size() < chunk.size()) std::swap(partial, chunk);  // move the fewer bytes
    const std::size_t room = partial.free_space().size() / record_bytes_ * record_bytes_;
    const std::size_t moved = std::min(room, chunk.size());
    std::memcpy(partial.free_space().data(), chunk.data().data() + chunk.size() - moved, moved);
    partial.commit(moved);
    chunk.set_size(chunk.size() - moved);
    if (partial.free_space().size() < record_bytes_) {
        append(partition, std::move(partial));
        partial = Buffer();
        if (ready()) changed_.notify_one();
    }
    if (chunk.size() > 0) partial = std::move(chunk);
}

void Coalescer::flush_partials() {
    for (std::uint32_t partition = 0; partition < entries_.size(); ++partition) {
        Buffer& partial = entries_[partition].partial;
        if (partial) append(partition, std::exchange(partial, Buffer()));
    }
}

void Coalescer::producer_done() {
    Lock lock(mutex_);
    if (--producers_ > 0) return;
    flush_partials();
    changed_.notify_all();
}

bool Coalescer::ready() const {
    if (cause_ || producers_ == 0 || longest_ >= options_.target_chunks) return true;
    if (longest_ == 0 || options_.ignore_waiting_distributors) return false;
    return pool_.free_buffers() < options_.low_water_chunks || pool_.under_pressure();
}

bool Coalescer::take(Chain& chain, bool may_wait) {
    chain.chunks.clear();
    Lock lock(mutex_);
    if (may_wait && !ready()) {
        const std::uint64_t since_ns = executor_.now_ns();
        const Waiting waiting(WaitKind::input, "a chain worth writing");
        changed_.wait(lock, [&] { return ready(); });
        this_worker().wait_input_ns.add(executor_.now_ns() - since_ns);
    }
    if (cause_) std::rethrow_exception(cause_);
    if (longest_ == 0 || !ready()) return false;
    chain.partition = heads_[longest_];
    Entry& entry = entries_[chain.partition];
    unlink(chain.partition);
    const std::size_t count = std::min(entry.length, options_.max_chunks);
    for (std::size_t i = 0; i < count; ++i) {
        Node& node = nodes_[entry.first_node];
        chain.chunks.push_back(std::move(node.chunk));
        const std::uint32_t after = node.next;
        node.next = std::exchange(free_node_, entry.first_node);
        entry.first_node = after;
    }
    entry.length -= count;
    link(chain.partition);
    return true;
}

bool Coalescer::drained() const {
    Lock lock(mutex_);
    return producers_ == 0 && longest_ == 0;
}

void Coalescer::abort(std::exception_ptr cause) {
    Lock lock(mutex_);
    if (!cause_) cause_ = std::move(cause);
    changed_.notify_all();
}

void Coalescer::look_again() {
    Lock lock(mutex_);
    changed_.notify_all();
}

}  // namespace sluice
