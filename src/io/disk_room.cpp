#include "io/disk_room.hpp"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/quota.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <ctime>

#include "runtime/errno_text.hpp"
#include "runtime/error.hpp"
#include "runtime/process_limits.hpp"
#include "runtime/units.hpp"

namespace sluice {
namespace {

constexpr long kQuotactlFd = 443;                                 // Linux 5.14
constexpr std::uint64_t kMostFat = (std::uint64_t{1} << 32) - 1;  // bytes of a file on FAT
constexpr std::uint64_t kQuotaBlock = 1024;                       // limits are in these, usage in bytes

class OpenDirectory {
public:
    explicit OpenDirectory(const std::string& path) : fd_(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {}
    ~OpenDirectory() {
        if (fd_ >= 0) ::close(fd_);
    }
    OpenDirectory(const OpenDirectory&) = delete;
    int get() const noexcept { return fd_; }

private:
    int fd_;
};

/// What a hard limit, or a soft one whose time is over, leaves; 2^64-1: it does not bind.
std::uint64_t left_of(std::uint64_t hard, std::uint64_t soft, std::uint64_t used, std::uint64_t grace_ends) {
    std::uint64_t limit = hard != 0 ? hard : UINT64_MAX;
    if (soft != 0 && grace_ends != 0 && grace_ends < static_cast<std::uint64_t>(std::time(nullptr)))
        limit = std::min(limit, soft);
    return limit == UINT64_MAX ? UINT64_MAX : limit - std::min(limit, used);
}

void apply_quota(int fd, int kind, unsigned id, const std::string& whose, DiskRoom& room) {
    dqblk quota{};
    const auto command = static_cast<unsigned>(QCMD(Q_GETQUOTA, kind));
    if (::syscall(kQuotactlFd, fd, command, id, &quota) != 0) return;
    if ((quota.dqb_valid & QIF_BLIMITS) != 0) {
        const std::uint64_t left = left_of(quota.dqb_bhardlimit * kQuotaBlock, quota.dqb_bsoftlimit * kQuotaBlock,
                                           quota.dqb_curspace, quota.dqb_btime);
        if (left < room.free_bytes) {
            room.free_bytes = left;
            room.bytes_quota = whose;
        }
    }
    if ((quota.dqb_valid & QIF_ILIMITS) != 0) {
        const std::uint64_t left =
            left_of(quota.dqb_ihardlimit, quota.dqb_isoftlimit, quota.dqb_curinodes, quota.dqb_itime);
        if (left == UINT64_MAX || (room.files_total != 0 && left >= room.files_free)) return;
        room.files_total = std::max<std::uint64_t>(1, std::max(room.files_total, std::uint64_t{quota.dqb_ihardlimit}));
        room.files_free = left;
        room.files_quota = whose;
    }
}

}  // namespace

DiskRoom room_on_disk(const std::string& directory) {
    struct statvfs disk {};
    if (::statvfs(directory.c_str(), &disk) != 0)
        throw Error::from_errno(errno, "statvfs", directory, Errc::environment);
    DiskRoom room;
    room.free_bytes = static_cast<std::uint64_t>(disk.f_bavail) * disk.f_frsize;
    room.files_total = disk.f_files;
    room.files_free = disk.f_favail;
    if (::geteuid() == 0) return room;  // no quota binds root
    const OpenDirectory opened(directory);
    if (opened.get() < 0) return room;
    apply_quota(opened.get(), USRQUOTA, ::geteuid(), "user " + std::to_string(::geteuid()), room);
    apply_quota(opened.get(), GRPQUOTA, ::getegid(), "group " + std::to_string(::getegid()), room);
    return room;
}

std::string problem_of_hidden_quota(const std::string& directory, std::uint64_t bytes) {
    struct statfs where {};
    if (::statfs(directory.c_str(), &where) != 0 || where.f_type != BTRFS_SUPER_MAGIC) return "";
    const int fd = ::open(directory.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd < 0) return "";  // writing will tell
    const bool met = ::fallocate(fd, 0, 0, static_cast<off_t>(bytes)) != 0 && errno == EDQUOT;
    ::close(fd);
    return met ? errno_text(EDQUOT) + errno_advice(EDQUOT) : "";
}

std::string problem_of_file_size(const std::string& directory, std::uint64_t bytes) {
    if (const std::uint64_t limit = file_size_limit_bytes(); bytes > limit) {
        return "this process may write no file beyond " + format_bytes(limit) +
               " (RLIMIT_FSIZE); raise it (`ulimit -f unlimited`)";
    }
    struct statfs where {};
    if (::statfs(directory.c_str(), &where) == 0 && where.f_type == MSDOS_SUPER_MAGIC)
        return bytes > kMostFat ? "FAT has no files beyond 4 GiB; use another file system" : "";
    const int fd = ::open(directory.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd < 0) return "";  // writing will tell
    const bool fits = ::ftruncate(fd, static_cast<off_t>(bytes)) == 0 || errno != EFBIG;
    ::close(fd);
    return fits ? "" : "its file system has no files so large (EFBIG 27); use another one";
}

}  // namespace sluice
