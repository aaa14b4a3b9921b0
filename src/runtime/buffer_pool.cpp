#include "runtime/buffer_pool.hpp"

#include <cstdio>
#include <cstdlib>

#include "runtime/metrics.hpp"

namespace sluice {

void GiveBack::operator()(std::byte* memory) const noexcept { pool->give_back(memory); }

BufferPool::BufferPool(Executor& executor, std::string name, std::span<std::byte> memory, std::size_t buffer_bytes,
                       std::size_t count)
    : executor_(executor),
      name_(std::move(name)),
      buffer_bytes_(buffer_bytes),
      count_(count),
      mutex_(executor),
      not_empty_(executor) {
    SLUICE_CHECK(memory.size() >= buffer_bytes * count);
    free_.reserve(count);
    for (std::size_t i = count; i > 0; --i) free_.push_back(memory.data() + (i - 1) * buffer_bytes);
}

BufferPool::~BufferPool() {
    if (free_.size() == count_) return;
    std::fprintf(stderr, "pool %s destroyed with %zu of %zu buffers still out\n", name_.c_str(), count_ - free_.size(),
                 count_);
    std::abort();
}

Buffer BufferPool::take() {
    Lock lock(mutex_);
    if (!cause_ && free_.empty()) {
        const std::uint64_t since_ns = executor_.now_ns();
        const Waiting noted(WaitKind::memory, "a free buffer of pool", name_);
        ++waiting_;
        if (pressure_) {
            lock.unlock();
            pressure_();
            lock.lock();
        }
        try {
            not_empty_.wait(lock, [&] { return cause_ || !free_.empty(); });
        } catch (...) {
            --waiting_;
            throw;
        }
        --waiting_;
        this_worker().wait_memory_ns.add(executor_.now_ns() - since_ns);
    }
    if (cause_) std::rethrow_exception(cause_);
    return take_front(lock);
}

std::optional<Buffer> BufferPool::try_take() {
    Lock lock(mutex_);
    if (cause_) std::rethrow_exception(cause_);
    if (free_.empty()) return std::nullopt;
    return take_front(lock);
}

Buffer BufferPool::take_front(Lock& lock) {
    std::byte* memory = free_.back();
    free_.pop_back();
    // We may have overtaken somebody who was woken for this buffer and now goes on waiting: the pressure is back, so
    // say it.
    const bool overtook = free_.empty() && waiting_ > 0;
    lock.unlock();
    Buffer buffer(*this, {memory, buffer_bytes_});
    if (overtook && pressure_) pressure_();
    return buffer;
}

void BufferPool::abort(std::exception_ptr cause) {
    Lock lock(mutex_);
    if (!cause_) cause_ = std::move(cause);
    not_empty_.notify_all();
}

bool BufferPool::under_pressure() const {
    Lock lock(mutex_);
    return waiting_ > 0 && free_.empty();
}

std::size_t BufferPool::free_buffers() const {
    Lock lock(mutex_);
    return free_.size();
}

void BufferPool::give_back(std::byte* memory) noexcept {
    {
        Lock lock(mutex_);
        free_.push_back(memory);
        not_empty_.notify_one();
    }
    if (returned_) returned_();
}

}  // namespace sluice
