#pragma once
/// What the kernel says of a file. Internal to the io layer.

#include <cstdint>

#include "io/file_identity.hpp"

namespace sluice {

/// One answer of statx(2) or stat(2).
struct FileStatus {
    FileIdentity identity;
    std::uint32_t mode = 0;  ///< with the type, as st_mode
    std::uint32_t owner = 0, links = 1;
    bool is_mount_point = false;  ///< false also where the kernel does not say
};

/// As fstatat(2): false with errno set. By statx(2) where that is allowed: libraries that change what time it is for a
/// process change the answers of stat(2), differently at each call.
bool read_status(int directory, const char* path, int flags, FileStatus& status) noexcept;

}  // namespace sluice
