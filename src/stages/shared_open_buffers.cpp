#include "stages/shared_open_buffers.hpp"

#include <algorithm>
#include <cstring>

#include "runtime/metrics.hpp"

namespace sluice {

SharedOpenBuffers::SharedOpenBuffers(Executor& executor, BufferPool& pool, Transport* lender,
                                     std::uint32_t record_bytes, std::uint32_t ranks)
    : pool_(pool),
      lender_(lender),
      record_bytes_(record_bytes),
      buffer_records_(static_cast<std::uint32_t>((pool.buffer_bytes() - kHeaderBytes) / record_bytes)),
      slots_(ranks),
      mutex_(executor),
      changed_(executor) {
    SLUICE_CHECK(buffer_records_ > 0);
}

void SharedOpenBuffers::append(std::uint32_t destination, std::span<const std::byte> records, const HandOver& full) {
    Slot& to = slots_[destination];
    while (!records.empty()) {
        const auto wanted = static_cast<std::uint32_t>(records.size() / record_bytes_);
        // Sees the buffer that open() put there before it said that there is room.
        const std::uint32_t at = to.taken.fetch_add(wanted, std::memory_order_acquire);
        if (at >= buffer_records_) {
            open(destination);
            continue;
        }
        const std::uint32_t count = std::min(wanted, buffer_records_ - at);
        const auto mine = records.first(std::size_t{count} * record_bytes_);
        std::memcpy(to.buffer.storage().data() + kHeaderBytes + std::size_t{at} * record_bytes_, mine.data(),
                    mine.size());
        // Whoever completes the buffer sees what all others have copied into it, and that they have left it.
        if (to.copied.fetch_add(count, std::memory_order_acq_rel) + count == buffer_records_)
            full(destination, close(to));
        records = records.subspan(mine.size());
    }
}

/// One worker at a time gets a new buffer for a destination, once the last copy into the old one is complete; the
/// others that need it wait for the lock's condition, since the pool need not have a buffer for each of them.
void SharedOpenBuffers::open(std::uint32_t destination) {
    Slot& to = slots_[destination];
    {
        Lock lock(mutex_);
        const auto settled = [&] {
            return cause_ || to.taken.load(std::memory_order_relaxed) < buffer_records_ || (!to.buffer && !to.opening);
        };
        if (!settled()) {
            Executor& executor = pool_.executor();
            const std::uint64_t since_ns = executor.now_ns();
            const Waiting noted(WaitKind::memory, "another's buffer of pool", pool_.name());
            changed_.wait(lock, settled);
            this_worker().wait_memory_ns.add(executor.now_ns() - since_ns);
        }
        if (cause_) std::rethrow_exception(cause_);
        if (to.buffer) return;  // another was quicker
        to.opening = true;
    }
    auto lent = lender_ != nullptr ? lender_->lend(destination) : std::nullopt;
    Buffer fresh = lent ? std::move(*lent) : pool_.take();
    SLUICE_CHECK(fresh.capacity() >= kHeaderBytes + std::size_t{buffer_records_} * record_bytes_);
    Lock lock(mutex_);
    to.buffer = std::move(fresh);
    to.opening = false;
    to.copied.store(0, std::memory_order_relaxed);
    to.taken.store(0, std::memory_order_release);
    changed_.notify_all();
}

/// The buffer of a slot into which nobody copies any more.
Buffer SharedOpenBuffers::close(Slot& slot) {
    Lock lock(mutex_);
    Buffer buffer = std::move(slot.buffer);
    buffer.set_size(kHeaderBytes + std::size_t{slot.copied.load(std::memory_order_relaxed)} * record_bytes_);
    changed_.notify_all();
    return buffer;
}

bool SharedOpenBuffers::producer_done() {
    Lock lock(mutex_);
    return --producers_ == 0;
}

void SharedOpenBuffers::drain(const HandOver& partial) {
    for (std::uint32_t destination = 0; destination < slots_.size(); ++destination) {
        if (slots_[destination].buffer) partial(destination, close(slots_[destination]));
    }
}

void SharedOpenBuffers::abort(std::exception_ptr cause) {
    Lock lock(mutex_);
    if (!cause_) cause_ = std::move(cause);
    changed_.notify_all();
}

}  // namespace sluice
