#include "runtime/errno_text.hpp"

#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <system_error>

#include "runtime/process_limits.hpp"
#include "runtime/units.hpp"

namespace sluice {

std::string errno_text(int error) {
    const char* const name = ::strerrorname_np(error);
    return std::generic_category().message(error) + " (" + (name != nullptr ? std::string(name) + " " : "errno ") +
           std::to_string(error) + ")";
}

std::string errno_advice(int error) {
    switch (error) {
        case ENOSPC:
            return "; the disk is full, of bytes (`df -h`) or of inodes (`df -i`): free some, add a disk, or let an "
                   "older set go first (run.overwrite = \"first\")";
        case EDQUOT:
            return "; the disk has room, but the quota of user " + std::to_string(::geteuid()) +
                   ", or of his group or project, is used up there (`quota -s`): have it raised or remove files of his";
        case EFBIG: {
            const std::uint64_t limit = file_size_limit_bytes();
            return limit == UINT64_MAX ? "; its file system has no files so large: use another one"
                                       : "; this process may write no file beyond " + format_bytes(limit) +
                                             " (RLIMIT_FSIZE), or its "
                                             "file system has none so large: raise it (`ulimit -f unlimited`)";
        }
        case EMFILE:
            return "; this process has no more descriptors: raise `ulimit -n`";
        case ENFILE:
            return "; the host has no more open files: raise `sysctl fs.file-max`";
        case EROFS:
            return "; its file system is mounted read-only: mount it read-write, or use another disk";
        default:
            return "";
    }
}

}  // namespace sluice
