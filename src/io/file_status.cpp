#include "io/file_status.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <cerrno>

#ifndef STATX_ATTR_MOUNT_ROOT
#define STATX_ATTR_MOUNT_ROOT 0x2000  // headers before Linux 5.8
#endif

namespace sluice {
namespace {

std::int64_t nanoseconds(std::int64_t seconds, std::int64_t rest) { return seconds * 1'000'000'000 + rest; }

}  // namespace

bool read_status(int directory, const char* path, int flags, FileStatus& status) noexcept {
    struct statx extended {};
    if (::statx(directory, path, flags, STATX_BASIC_STATS | STATX_MNT_ID, &extended) == 0) {
        status.identity = {extended.stx_size,
                           makedev(extended.stx_dev_major, extended.stx_dev_minor),
                           extended.stx_ino,
                           nanoseconds(extended.stx_mtime.tv_sec, extended.stx_mtime.tv_nsec),
                           nanoseconds(extended.stx_ctime.tv_sec, extended.stx_ctime.tv_nsec),
                           (extended.stx_mask & STATX_MNT_ID) != 0 ? extended.stx_mnt_id : 0};
        status.mode = extended.stx_mode;
        status.owner = extended.stx_uid;
        status.links = extended.stx_nlink;
        status.is_mount_point = (extended.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
        return true;
    }
    if (errno != ENOSYS && errno != EPERM) return false;
    struct stat plain {};  // containers of old forbid the newer call
    if (::fstatat(directory, path, &plain, flags) != 0) return false;
    status.identity = {static_cast<std::uint64_t>(plain.st_size),
                       plain.st_dev,
                       plain.st_ino,
                       nanoseconds(plain.st_mtim.tv_sec, plain.st_mtim.tv_nsec),
                       nanoseconds(plain.st_ctim.tv_sec, plain.st_ctim.tv_nsec),
                       0};
    status.mode = plain.st_mode;
    status.owner = plain.st_uid;
    status.links = static_cast<std::uint32_t>(plain.st_nlink);
    return true;
}

}  // namespace sluice
