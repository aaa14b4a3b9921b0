#pragma once
/// What a user may still put on a disk: bytes and files, by the disk and by quota.

#include <cstdint>
#include <string>

namespace sluice {

/// What this user may still put on one disk, at the moment of asking. Plain data.
struct DiskRoom {
    std::uint64_t free_bytes = 0;  ///< for this user: blocks reserved for root, or beyond a quota, are not his
    std::uint64_t files_total = 0, files_free = 0;  ///< inodes; total 0: the file system makes them as it needs them
    std::string bytes_quota, files_quota;  ///< whose quota leaves less than the disk has: "user 1000"; "" = nobody's
};

/// Throws Error(environment) where the disk cannot be asked. A quota that the kernel does not show (NFS, btrfs) counts
/// as none: reserving meets it.
DiskRoom room_on_disk(const std::string& directory);

/// "" unless reserving so many bytes there meets a quota that the kernel does not show; tried where that is so and
/// costs nothing: on btrfs, whose quotas are of subvolumes. They are given back at once.
std::string problem_of_hidden_quota(const std::string& directory, std::uint64_t bytes);

/// "" where a file there may have so many bytes; else what forbids it, with the limit. Tried on a nameless file, which
/// takes no space.
std::string problem_of_file_size(const std::string& directory, std::uint64_t bytes);

}  // namespace sluice
