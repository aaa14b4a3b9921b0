#pragma once
/// The open send buffers that several node distributors fill together.

#include <atomic>
#include <cstdint>
#include <exception>
#include <functional>
#include <span>
#include <vector>

#include "net/transport.hpp"
#include "runtime/buffer_pool.hpp"

namespace sluice {

/// One open buffer for each rank, for a group of workers: where ranks are so many that one for each worker and rank
/// (OpenBuffers) would take too much of the budget. The plan decides (PhaseOnePlan::send_groups).
///
/// A worker reserves room for its records with one atomic addition, copies them there straight from the read buffer,
/// and adds them to those that are complete; who completes the last record of a buffer hands it over. Only changing a
/// buffer takes the lock. So a record is copied once, and two workers with records for one rank do not wait for each
/// other. Nothing is combined before it is written (RecordScatter): the bursts of ten thousand destinations would not
/// stay in a core's cache. A worker alone with its buffers is better served by OpenBuffers, which stays as it is.
///
/// At most one buffer a rank is open, and a worker that waits for one holds none: with a pool of a buffer for each
/// peer and group no schedule can deadlock. Cost: two additions to a cache line that the group shares, for each run of
/// records to one rank; memory 64 bytes a rank.
class SharedOpenBuffers {
public:
    using HandOver = std::function<void(std::uint32_t destination, Buffer)>;

    /// @param pool    outlives this, as does the lender.
    /// @param lender  asked for a buffer before the pool is; may be nullptr.
    SharedOpenBuffers(Executor& executor, BufferPool& pool, Transport* lender, std::uint32_t record_bytes,
                      std::uint32_t ranks);
    SharedOpenBuffers(const SharedOpenBuffers&) = delete;

    /// One more worker, which will call producer_done(); before any of them appends.
    void add_producer() noexcept { ++producers_; }
    /// Appends whole records for `destination`; `full` gets each buffer with no room left, header space first, which
    /// then belongs to the caller alone. Any worker of the group; waits for a buffer (booked as waiting for memory).
    void append(std::uint32_t destination, std::span<const std::byte> records, const HandOver& full);
    /// This worker appends no more; true for the last one, which then has to drain().
    bool producer_done();
    /// Hands out all open buffers; after the last append.
    void drain(const HandOver& partial);
    /// Wakes those that wait for a buffer that another worker was to open; they throw the cause.
    void abort(std::exception_ptr cause);

private:
    /// `taken` and `copied` are records of the buffer in it. Room is free while `taken` is less than a buffer holds,
    /// which is never so without a buffer: what is added beyond was promised to nobody.
    struct alignas(64) Slot {
        std::atomic<std::uint32_t> taken = UINT32_MAX / 2, copied = 0;
        bool opening = false;  // under the lock: somebody is waiting for a buffer for it
        Buffer buffer;         // changed under the lock, and only while nobody has room in it
    };
    void open(std::uint32_t destination);
    Buffer close(Slot& slot);

    BufferPool& pool_;
    Transport* lender_;
    std::uint32_t record_bytes_, buffer_records_;
    std::vector<Slot> slots_;  // by destination
    Mutex mutex_;
    Condition changed_;  // a buffer was opened, or handed over
    std::size_t producers_ = 0;
    std::exception_ptr cause_;
};

}  // namespace sluice
