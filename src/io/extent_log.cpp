#include "io/extent_log.hpp"

#include <algorithm>
#include <utility>

#include "record/record_format.hpp"
#include "runtime/error.hpp"
#include "runtime/units.hpp"

namespace sluice {

ExtentLog::Place ExtentLog::allocate(std::uint64_t bytes) {
    SLUICE_CHECK(bytes % kDirectIoAlign == 0);
    Lock lock(mutex_);
    if (bytes > capacity_ - used_) make_room(used_ + bytes);
    return {std::exchange(used_, used_ + bytes), placed_++};
}

void ExtentLog::make_room(std::uint64_t needed_bytes) {
    constexpr std::uint64_t kLeastStep = 16 * kMiB;
    std::string why = "it may not grow";
    const std::uint64_t step = std::max(kLeastStep, round_up(capacity_ / 8, kDirectIoAlign));
    for (const std::uint64_t wanted : {std::max(capacity_ + step, needed_bytes), needed_bytes}) {
        if (!grow_) break;
        try {
            grow_(wanted);
            capacity_ = wanted;
            return;
        } catch (const Error& error) {
            if (error.code() != Errc::space) throw;
            why = error.what();
        }
    }
    throw Error(Errc::space, "log '" + path_ + "': full at " + format_bytes(used_) + ", " + format_bytes(needed_bytes) +
                                 " needed (" + why +
                                 "); this host gets more than its planned share because the keys are not uniform: "
                                 "sample (keys.distribution = \"sample\"), or give it more disk space");
}

void ExtentIndex::reserve(std::size_t extents_each) {
    Lock lock(mutex_);
    for (auto& list : extents_) list.reserve(extents_each);
}

void ExtentIndex::add(std::uint32_t logical_disk, const Extent& extent) {
    SLUICE_CHECK(logical_disk < extents_.size() && extent.payload_bytes <= extent.written_bytes);
    Lock lock(mutex_);
    extents_[logical_disk].push_back(extent);
}

std::vector<Extent> ExtentIndex::extents(std::uint32_t logical_disk) const {
    std::vector<Extent> list = extents_[logical_disk];
    // By place, then by disk: each disk is read forward, and all of them at once.
    std::sort(list.begin(), list.end(), [](const Extent& a, const Extent& b) {
        const bool a_padded = a.payload_bytes < a.written_bytes, b_padded = b.payload_bytes < b.written_bytes;
        if (a_padded != b_padded) return b_padded;
        return a.offset != b.offset ? a.offset < b.offset : a.disk < b.disk;
    });
    return list;
}

std::uint64_t ExtentIndex::bytes(std::uint32_t logical_disk) const {
    std::uint64_t total = 0;
    for (const Extent& extent : extents_[logical_disk]) total += extent.payload_bytes;
    return total;
}

std::uint64_t ExtentIndex::largest_padded_bytes() const {
    std::uint64_t largest = 0;
    for (const auto& list : extents_) {
        std::uint64_t padded = 0;
        for (const Extent& extent : list) padded += extent.written_bytes;
        largest = std::max(largest, padded);
    }
    return largest;
}

std::uint64_t ExtentIndex::total_bytes() const {
    std::uint64_t total = 0;
    for (std::uint32_t disk = 0; disk < extents_.size(); ++disk) total += bytes(disk);
    return total;
}

std::uint64_t ExtentIndex::padding_bytes() const {
    std::uint64_t total = 0;
    for (const auto& list : extents_) {
        for (const Extent& extent : list) total += extent.written_bytes - extent.payload_bytes;
    }
    return total;
}

std::size_t ExtentIndex::extent_count() const {
    std::size_t count = 0;
    for (const auto& list : extents_) count += list.size();
    return count;
}

}  // namespace sluice
