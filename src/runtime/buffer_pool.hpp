#pragma once
/// Fixed sets of equal buffers, one pool per role (ARCHITECTURE.md, Data flow), and the move-only buffer that goes home
/// by itself.

#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "runtime/error.hpp"
#include "runtime/executor.hpp"

namespace sluice {

class BufferPool;

/// Brings the memory of a Buffer home to its pool, from any thread. Never throws.
struct GiveBack {
    BufferPool* pool = nullptr;
    void operator()(std::byte* memory) const noexcept;
};

/// One buffer of a pool: memory, and how much of it is filled. Owned by whoever holds it; returns itself when
/// destroyed.
class Buffer {
public:
    Buffer() = default;
    /// Made by pools. @param memory  of one buffer of `pool`, which must outlive this
    Buffer(BufferPool& pool, std::span<std::byte> memory)
        : memory_(memory.data(), GiveBack{&pool}), capacity_(memory.size()) {}
    Buffer(Buffer&& other) noexcept
        : memory_(std::move(other.memory_)),
          capacity_(std::exchange(other.capacity_, 0)),
          begin_(std::exchange(other.begin_, 0)),
          filled_(std::exchange(other.filled_, 0)),
          source_(other.source_) {}
    Buffer& operator=(Buffer&& other) noexcept {
        memory_ = std::move(other.memory_);
        capacity_ = std::exchange(other.capacity_, 0);
        begin_ = std::exchange(other.begin_, 0);
        filled_ = std::exchange(other.filled_, 0);
        source_ = other.source_;
        return *this;
    }

    explicit operator bool() const noexcept { return memory_ != nullptr; }
    std::size_t capacity() const noexcept { return capacity_; }
    std::size_t size() const noexcept { return filled_; }
    std::span<const std::byte> data() const noexcept { return {memory_.get() + begin_, filled_}; }
    /// The whole memory, for the kernel or the fabric to write into; say how much with set_size() afterwards.
    std::span<std::byte> storage() noexcept { return {memory_.get(), capacity_}; }
    std::span<std::byte> free_space() noexcept { return storage().subspan(begin_ + filled_); }
    void commit(std::size_t bytes) {
        SLUICE_CHECK(bytes <= capacity_ - begin_ - filled_);
        filled_ += bytes;
    }
    void set_size(std::size_t bytes) {
        SLUICE_CHECK(bytes <= capacity_ - begin_);
        filled_ = bytes;
    }
    /// The data begins `begin` bytes into the memory: a read that had to start at the block in front of it.
    void set_window(std::size_t begin, std::size_t bytes) {
        SLUICE_CHECK(begin <= capacity_ && bytes <= capacity_ - begin);
        begin_ = begin;
        filled_ = bytes;
    }
    /// Which file the data came from, as whoever filled it counts them.
    void set_source(std::uint32_t file) noexcept { source_ = file; }
    std::uint32_t source() const noexcept { return source_; }

private:
    std::unique_ptr<std::byte[], GiveBack> memory_;
    std::size_t capacity_ = 0, begin_ = 0, filled_ = 0;
    std::uint32_t source_ = 0;
};

/// `count` buffers of `buffer_bytes` each, carved from memory the caller owns and keeps mapped while the pool lives.
/// take() and give-back may be called from any thread. Destroying a pool with buffers out ends the program: they would
/// dangle.
class BufferPool {
public:
    /// @param memory  at least count * buffer_bytes; buffers are adjacent, so its alignment and buffer_bytes decide
    /// theirs.
    BufferPool(Executor& executor, std::string name, std::span<std::byte> memory, std::size_t buffer_bytes,
               std::size_t count);
    ~BufferPool();
    BufferPool(const BufferPool&) = delete;

    /// Waits while none is free (booked as wait_memory_ns); throws the abort cause.
    Buffer take();
    /// Never waits; an empty optional when none is free.
    std::optional<Buffer> try_take();
    void abort(std::exception_ptr cause);

    /// Called, outside the pool's lock, each time somebody starts to wait, or must go on waiting because another one
    /// was quicker; set before the workers start.
    void on_pressure(std::function<void()> listener) { pressure_ = std::move(listener); }
    /// Called, outside the lock, after a buffer came home; set before the workers start.
    void on_return(std::function<void()> listener) { returned_ = std::move(listener); }
    /// Somebody waits for a buffer right now.
    bool under_pressure() const;
    std::size_t free_buffers() const;
    std::size_t count() const noexcept { return count_; }
    std::size_t buffer_bytes() const noexcept { return buffer_bytes_; }
    const std::string& name() const noexcept { return name_; }
    Executor& executor() const noexcept { return executor_; }

private:
    friend struct GiveBack;
    void give_back(std::byte* memory) noexcept;
    Buffer take_front(Lock& lock);  // unlocks

    Executor& executor_;
    std::string name_;
    std::size_t buffer_bytes_, count_;
    std::vector<std::byte*> free_;
    std::size_t waiting_ = 0;
    std::function<void()> pressure_, returned_;
    mutable Mutex mutex_;
    Condition not_empty_;
    std::exception_ptr cause_;
};

/// Hears of pressure on a pool while it lives: for pools that live longer than whom they tell.
class PressureListener {
public:
    /// Takes the place of any earlier listener. @param pool  must outlive this. @param listener  see on_pressure()
    PressureListener(BufferPool& pool, std::function<void()> listener) : pool_(pool) {
        pool_.on_pressure(std::move(listener));
    }
    ~PressureListener() { pool_.on_pressure({}); }
    PressureListener(const PressureListener&) = delete;

private:
    BufferPool& pool_;
};

}  // namespace sluice
