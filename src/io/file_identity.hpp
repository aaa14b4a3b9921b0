#pragma once
/// Which file it is and in which state, to tell later whether it still is.

#include <cstdint>

namespace sluice {

/// Plain data from one look at a file. Device and inode tell files apart within one boot; times are nanoseconds of the
/// file system's own clock.
struct FileIdentity {
    std::uint64_t size_bytes = 0;
    std::uint64_t device = 0, inode = 0;
    std::int64_t modified_ns = 0, changed_ns = 0;
    std::uint64_t mount_id = 0;  ///< of the mount that its path led through; 0: not known
    bool same_file(const FileIdentity& other) const noexcept { return device == other.device && inode == other.inode; }
    /// Its change time alone says nothing about its content: a new name or another mode moves it too.
    bool same_content(const FileIdentity& other) const noexcept {
        return same_file(other) && size_bytes == other.size_bytes && modified_ns == other.modified_ns;
    }
};

}  // namespace sluice
