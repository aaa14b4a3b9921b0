#include "io/posix_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "runtime/error.hpp"
#include "runtime/units.hpp"

namespace sluice {
namespace {

int flags_of(PosixFile::Mode mode) {
    switch (mode) {
        case PosixFile::Mode::read:
            return O_RDONLY;
        case PosixFile::Mode::create:
            return O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW;
        case PosixFile::Mode::update:
            return O_RDWR | O_NOFOLLOW;
    }
    return O_RDONLY;
}

}  // namespace

void throw_io_error(int error, const char* call, const std::string& path, std::uint64_t offset, std::uint64_t bytes) {
    const bool full = error == ENOSPC || error == EDQUOT;
    throw Error(full ? Errc::space : Errc::device,
                std::string(call) + " '" + path + "' at " + std::to_string(offset) + ", " + std::to_string(bytes) +
                    " bytes: " + std::strerror(error) +
                    (full ? "; free space on that disk and sort again"
                          : "; see the kernel log of this host (dmesg), then sort again"));
}

PosixFile::PosixFile(std::string path, Mode mode, DirectIo direct) : path_(std::move(path)) {
    const int flags = flags_of(mode) | O_CLOEXEC;
    if (direct != DirectIo::off) {
        fd_ = ::open(path_.c_str(), flags | O_DIRECT, 0600);
        direct_ = fd_ >= 0;
        if (fd_ < 0 && errno == EINVAL && direct == DirectIo::on) {
            throw Error(Errc::environment, "open '" + path_ +
                                               "': this file system has no direct I/O; use another one, or io.direct = "
                                               "\"attempt\" for a result marked as cached");
        }
    }
    if (fd_ < 0 && (direct == DirectIo::off || errno == EINVAL)) fd_ = ::open(path_.c_str(), flags, 0600);
    if (fd_ < 0)
        throw Error::from_errno(errno, mode == Mode::create ? "create" : "open", path_,
                                mode == Mode::read ? Errc::input : Errc::device);
    if (mode == Mode::create) ::fchmod(fd_, 0600);
}

PosixFile::~PosixFile() {
    if (fd_ >= 0) ::close(fd_);
}

std::uint64_t PosixFile::size_bytes() const {
    struct stat info {};
    if (::fstat(fd_, &info) != 0) throw Error::from_errno(errno, "fstat", path_);
    return static_cast<std::uint64_t>(info.st_size);
}

void PosixFile::preallocate(std::uint64_t bytes) {
    if (bytes == 0) return;
    const int error = ::fallocate(fd_, 0, 0, static_cast<off_t>(bytes)) == 0 ? 0 : errno;
    if (error == 0) return;
    if (error == EOPNOTSUPP || error == ENOSYS) return;  // the file grows as it is written; slower, never wrong
    if (error != ENOSPC && error != EDQUOT && error != EFBIG) throw Error::from_errno(error, "fallocate", path_);
    struct statvfs disk {};
    const std::uint64_t free_bytes =
        ::fstatvfs(fd_, &disk) == 0 ? static_cast<std::uint64_t>(disk.f_bavail) * disk.f_frsize : 0;
    throw Error(Errc::space, "fallocate '" + path_ + "': " + format_bytes(bytes) + " needed, " +
                                 human_bytes(static_cast<double>(free_bytes)) +
                                 " free on that disk; free space or add a disk");
}

void PosixFile::truncate(std::uint64_t bytes) {
    if (::ftruncate(fd_, static_cast<off_t>(bytes)) != 0) throw Error::from_errno(errno, "ftruncate", path_);
}

void PosixFile::sync_data() {
    if (::fdatasync(fd_) != 0) throw Error::from_errno(errno, "fdatasync", path_);
}

void PosixFile::close_checked() {
    const int fd = std::exchange(fd_, -1);
    if (::close(fd) != 0) throw Error::from_errno(errno, "close", path_);
}

}  // namespace sluice
