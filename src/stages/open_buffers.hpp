#pragma once
/// The open buffer of each destination of one distributor worker.

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "runtime/buffer_pool.hpp"
#include "sort/scatter.hpp"

namespace sluice {

/// Slots 0..n-1, each with at most one open buffer; a buffer is taken from the slot's pool when its first record comes.
/// Used by one worker; waits only in BufferPool::take. Source: TritonSort's distributors.
class OpenBuffers {
public:
    struct SlotKind {
        BufferPool* pool = nullptr;
        std::size_t header_bytes = 0;  ///< left free in front of the records
        bool streaming = true;         ///< full buffers go to a device: their bytes need not stay in the caches
        /// Asked first; what it gives is another's, and streamed to. May be empty.
        std::function<std::optional<Buffer>()> lender = {};
    };
    /// No slots yet. @param record_bytes  of every record that append() gets
    explicit OpenBuffers(std::uint32_t record_bytes) : record_bytes_(record_bytes), scatter_(record_bytes) {}

    /// Memory for so many slots in all, for those who add them one by one.
    void reserve(std::size_t slots);
    /// Adds `count` slots that take their buffers from `kind.pool`; returns the number of the first.
    std::uint32_t add_slots(std::uint32_t count, SlotKind kind);
    /// Appends record i to slot[i]; `full(slot, buffer)` gets each buffer with no room left, before a new one is taken.
    /// @param next  records that come next, for RecordScatter::append
    void append(std::span<const std::byte> records, std::span<const std::uint32_t> slot,
                std::span<const std::byte> next, const std::function<void(std::uint32_t, Buffer)>& full);
    /// Hands out all open buffers that hold records.
    void drain(const std::function<void(std::uint32_t, Buffer)>& partial);

private:
    Buffer close(std::uint32_t slot);

    std::uint32_t record_bytes_;
    std::vector<SlotKind> kinds_;
    std::vector<Buffer> buffers_;
    RecordScatter scatter_;
};

}  // namespace sluice
