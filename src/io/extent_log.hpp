#pragma once
/// Logs, one a rank and intermediate disk, and where in the logs the records of each logical disk lie.

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "runtime/executor.hpp"

namespace sluice {

/// A contiguous run of one logical disk in a log. Source: Haystack (OSDI 2010).
struct Extent {
    std::uint32_t disk = 0;           ///< number of the log
    std::uint64_t offset = 0;         ///< in the log, a multiple of kDirectIoAlign
    std::uint64_t written_bytes = 0;  ///< with padding
    std::uint64_t payload_bytes =
        0;                       ///< whole records; less than written_bytes only where a short last chunk was padded
    std::uint64_t sequence = 0;  ///< in which order this log's extents were written
    std::uint32_t checksum = 0;  ///< reserved for the block checksum
};

/// Append position of one preallocated log file. Thread-safe.
class ExtentLog {
public:
    /// @param grow  called with a capacity the log needs and does not have: makes room for so much or throws
    ///              Error(space). Empty: the log never grows.
    ExtentLog(Executor& executor, std::string path, std::uint64_t capacity_bytes,
              std::function<void(std::uint64_t)> grow = {})
        : mutex_(executor), path_(std::move(path)), capacity_(capacity_bytes), grow_(std::move(grow)) {}
    struct Place {
        std::uint64_t offset = 0;    ///< of whole device blocks
        std::uint64_t sequence = 0;  ///< how many were placed before
    };
    /// Where the next `bytes` (whole device blocks) go. Grows the log beyond its planned share while the disk has
    /// room, in steps of an eighth of it where possible. Throws Error(space) when it cannot: this host gets more than
    /// its disks hold.
    Place allocate(std::uint64_t bytes);
    std::uint64_t used_bytes() const noexcept { return used_; }  ///< once nobody allocates
    const std::string& path() const noexcept { return path_; }

private:
    void make_room(std::uint64_t needed_bytes);

    Mutex mutex_;
    std::string path_;
    std::uint64_t capacity_, used_ = 0, placed_ = 0;
    std::function<void(std::uint64_t)> grow_;
};

/// Extents by logical disk. add() from any thread; the rest after phase one.
class ExtentIndex {
public:
    /// @param logical_disks  how many there are; add() and the rest take their local numbers, from 0
    ExtentIndex(Executor& executor, std::uint32_t logical_disks) : mutex_(executor), extents_(logical_disks) {}
    /// Memory for so many extents of each logical disk, so that add() allocates nothing; more is no error.
    void reserve(std::size_t extents_each);
    void add(std::uint32_t logical_disk, const Extent& extent);
    /// Ordered so that the one extent with padding, if any, comes last: the records before it are contiguous when
    /// loaded.
    std::vector<Extent> extents(std::uint32_t logical_disk) const;
    std::uint64_t bytes(std::uint32_t logical_disk) const;  ///< of records
    std::uint64_t largest_padded_bytes() const;             ///< memory that any one logical disk needs when loaded
    std::uint64_t total_bytes() const;
    std::uint64_t padding_bytes() const;
    std::size_t extent_count() const;
    std::uint32_t logical_disks() const noexcept { return static_cast<std::uint32_t>(extents_.size()); }

private:
    mutable Mutex mutex_;
    std::vector<std::vector<Extent>> extents_;
};

}  // namespace sluice
