#include "io/posix_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "io/direct_io.hpp"
#include "io/file_status.hpp"
#include "runtime/errno_text.hpp"
#include "runtime/error.hpp"
#include "runtime/metrics.hpp"
#include "runtime/steady_clock.hpp"
#include "runtime/units.hpp"

namespace sluice {
namespace {

int flags_of(PosixFile::Mode mode) {
    switch (mode) {
        case PosixFile::Mode::read:
            return O_RDONLY | O_NONBLOCK;  // a FIFO in the place of a file must not hold us up
        case PosixFile::Mode::read_own:
            return O_RDONLY | O_NONBLOCK | O_NOFOLLOW;
        case PosixFile::Mode::create:
            return O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW;
        case PosixFile::Mode::update:
            return O_RDWR | O_NONBLOCK | O_NOFOLLOW;
    }
    return O_RDONLY;
}

/// What a failed open means: a name that cannot be, a machine that cannot, data that are not there, or a bad disk.
Errc code_of_open(int error, PosixFile::Mode mode) {
    switch (error) {
        case ENAMETOOLONG:
            return Errc::config;
        case EMFILE:
        case ENFILE:
        case ENOMEM:
            return Errc::environment;
        case EEXIST:
            return Errc::config;
        case ENOENT:
        case ENOTDIR:
        case EISDIR:
        case ELOOP:
        case EACCES:
        case EPERM:
        case EROFS:
            return mode == PosixFile::Mode::read || mode == PosixFile::Mode::read_own ? Errc::input : Errc::environment;
        default:
            return Errc::device;
    }
}

const char* advice_of_open(int error) {
    return error == EEXIST ? "; it is never overwritten: remove it or choose another name" : "";
}

std::uint64_t free_bytes_of(int fd) {
    struct statvfs disk {};
    return ::fstatvfs(fd, &disk) == 0 ? static_cast<std::uint64_t>(disk.f_bavail) * disk.f_frsize : 0;
}

}  // namespace

void throw_io_error(int error, const char* call, const std::string& path, std::uint64_t offset, std::uint64_t bytes) {
    const bool full = error == ENOSPC || error == EDQUOT || error == EFBIG;
    throw Error(full ? Errc::space : Errc::device,
                std::string(call) + " '" + path + "' at " + std::to_string(offset) + ", " + std::to_string(bytes) +
                    " bytes: " + errno_text(error) +
                    (full ? errno_advice(error) : "; see the kernel log of this host (dmesg), then sort again"));
}

void CachedPlaces::add(const std::string& file) {
    const std::string directory = file.substr(0, file.rfind('/'));
    const std::lock_guard lock(mutex_);
    if (std::find(directories_.begin(), directories_.end(), directory) == directories_.end())
        directories_.push_back(directory);
}

std::vector<std::string> CachedPlaces::directories() const {
    const std::lock_guard lock(mutex_);
    return directories_;
}

PosixFile::PosixFile(std::string path, Mode mode, DirectIo direct, CachedPlaces& cached) : path_(std::move(path)) {
    const int flags = flags_of(mode) | O_CLOEXEC;
    if (direct != DirectIo::off) {
        fd_ = ::open(path_.c_str(), flags | O_DIRECT, 0600);
        direct_ = fd_ >= 0;
        if (fd_ < 0 && errno == EINVAL && direct == DirectIo::on) {
            throw Error(Errc::environment, "open '" + path_ +
                                               "': this file system has no direct I/O; use another one, or io.direct = "
                                               "\"attempt\" for a result that is marked as cached");
        }
    }
    if (fd_ < 0 && (direct == DirectIo::off || errno == EINVAL)) fd_ = ::open(path_.c_str(), flags, 0600);
    if (fd_ < 0) {
        const int error = errno;
        const Error plain = Error::from_errno(error, mode == Mode::create ? "create" : "open", path_);
        throw Error(plain.code() == Errc::device ? code_of_open(error, mode) : plain.code(),
                    plain.what() + std::string(advice_of_open(error)));
    }
    try {
        require_regular();
        if (mode == Mode::create && ::fchmod(fd_, 0600) != 0) throw Error::from_errno(errno, "fchmod", path_);
        prove_direct(direct, cached);
    } catch (...) {
        ::close(fd_);
        throw;
    }
}

void PosixFile::require_regular() const {
    struct stat info {};
    if (::fstat(fd_, &info) != 0) throw Error::from_errno(errno, "fstat", path_);
    if (!S_ISREG(info.st_mode))
        throw Error(Errc::input, "open '" + path_ + "': is no regular file; something else was put in its place");
    ::fcntl(fd_, F_SETFL, ::fcntl(fd_, F_GETFL) & ~O_NONBLOCK);  // some file systems hand it on to their servers
}

void PosixFile::prove_direct(DirectIo direct, CachedPlaces& cached) const {
    const DirectIoProof proof = direct_ ? prove_direct_io(fd_) : DirectIoProof{};
    if (proof.alignment != 0) return;
    if (direct == DirectIo::on) {
        throw Error(Errc::environment, "open '" + path_ + "': no direct I/O: " + proof.cached_because +
                                           "; use another disk, or io.direct = \"attempt\" for a result that is marked "
                                           "as cached");
    }
    cached.add(path_);
}

PosixFile::~PosixFile() {
    if (fd_ >= 0) ::close(fd_);
}

std::uint64_t PosixFile::size_bytes() const {
    struct stat info {};
    if (::fstat(fd_, &info) != 0) throw Error::from_errno(errno, "fstat", path_);
    return static_cast<std::uint64_t>(info.st_size);
}

FileIdentity PosixFile::identity() const {
    FileStatus status;
    if (!read_status(fd_, "", AT_EMPTY_PATH, status)) throw Error::from_errno(errno, "stat", path_);
    return status.identity;
}

void PosixFile::preallocate(std::uint64_t bytes) {
    if (bytes == 0) return;
    const Waiting waiting(WaitKind::disk, "fallocate", path_, 0, bytes, steady_ns());
    struct stat before {};
    if (::fstat(fd_, &before) != 0) throw Error::from_errno(errno, "fstat", path_);
    const auto held_bytes = static_cast<std::uint64_t>(before.st_blocks) * 512;
    const std::uint64_t free_bytes = free_bytes_of(fd_);
    // Asked first, because ext4 takes all that is left before it finds that it is not enough, and keeps it.
    const bool too_much = bytes > free_bytes && bytes - free_bytes > held_bytes;
    int error = too_much ? ENOSPC : 0;
    while (!too_much && (error = ::fallocate(fd_, 0, 0, static_cast<off_t>(bytes)) == 0 ? 0 : errno) == EINTR) {
    }
    if (error == 0) return;
    if (error == EOPNOTSUPP || error == ENOSYS) return;  // the file grows as it is written; slower, never wrong
    if (error != ENOSPC && error != EDQUOT && error != EFBIG) throw Error::from_errno(error, "fallocate", path_);
    if (!too_much) {
        // Best effort: the error about the space is the one to report.
        [[maybe_unused]] const int given_back = ::ftruncate(fd_, before.st_size);
    }
    throw Error(Errc::space, "fallocate '" + path_ + "': " + errno_text(error) + ": " + format_bytes(bytes) +
                                 " needed, " + human_bytes(static_cast<double>(free_bytes)) + " free on that disk" +
                                 errno_advice(error));
}

void PosixFile::truncate(std::uint64_t bytes) {
    const Waiting waiting(WaitKind::disk, "ftruncate", path_, 0, 0, steady_ns());
    if (::ftruncate(fd_, static_cast<off_t>(bytes)) != 0) throw Error::from_errno(errno, "ftruncate", path_);
}

void PosixFile::sync_data() {
    const Waiting waiting(WaitKind::disk, "fdatasync", path_, 0, 0, steady_ns());
    if (::fdatasync(fd_) != 0) throw Error::from_errno(errno, "fdatasync", path_);
}

void PosixFile::close_checked() {
    const Waiting waiting(WaitKind::disk, "close", path_, 0, 0, steady_ns());
    const int fd = std::exchange(fd_, -1);
    if (::close(fd) != 0) throw Error::from_errno(errno, "close", path_);
}

}  // namespace sluice
