#include "io/posix_directory.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "io/file_status.hpp"
#include "io/plain_rename.hpp"
#include "io/small_file.hpp"
#include "runtime/error.hpp"
#include "runtime/steady_clock.hpp"

namespace sluice {
namespace {

constexpr int kLockTries = 10, kProbeTries = 10;

class Descriptor {
public:
    explicit Descriptor(int fd = -1) noexcept : fd_(fd) {}
    Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    Descriptor& operator=(Descriptor&& other) noexcept {
        std::swap(fd_, other.fd_);
        return *this;
    }
    ~Descriptor() {
        if (fd_ >= 0) ::close(fd_);
    }
    explicit operator bool() const noexcept { return fd_ >= 0; }
    int get() const noexcept { return fd_; }

private:
    int fd_;
};

/// openat2 keeps what is opened beneath the directory and off every link. Kernels before 5.6 have no such call, and
/// some containers forbid it: asked once, so that a later failure is never taken for its absence.
bool has_openat2() {
    static const bool has = [] {
        open_how how{};
        how.flags = O_PATH | O_CLOEXEC | O_DIRECTORY;
        how.resolve = RESOLVE_NO_MAGICLINKS;
        const Descriptor root(static_cast<int>(::syscall(SYS_openat2, AT_FDCWD, "/", &how, sizeof how)));
        return static_cast<bool>(root);
    }();
    return has;
}

/// A bare name has one component, so O_NOFOLLOW says as much as openat2 where that is missing.
int open_beneath(int directory, const char* name, int flags, mode_t mode) {
    if (!has_openat2()) return ::openat(directory, name, flags | O_NOFOLLOW | O_CLOEXEC, mode);
    open_how how{};
    how.flags = static_cast<std::uint64_t>(static_cast<unsigned>(flags | O_NOFOLLOW | O_CLOEXEC));
    how.mode = (flags & O_CREAT) != 0 ? mode : 0;
    how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
    int fd = -1;
    // EAGAIN: a rename elsewhere crossed the walk; it asks to be called again.
    for (int tries = 0; tries < 100; ++tries) {
        fd = static_cast<int>(::syscall(SYS_openat2, directory, name, &how, sizeof how));
        if (fd >= 0 || errno != EAGAIN) break;
    }
    return fd;
}

EntryInfo entry_of(const FileStatus& status) {
    EntryInfo entry;
    entry.kind = S_ISREG(status.mode)   ? EntryInfo::Kind::file
                 : S_ISDIR(status.mode) ? EntryInfo::Kind::directory
                 : S_ISLNK(status.mode) ? EntryInfo::Kind::link
                                        : EntryInfo::Kind::other;
    entry.size_bytes = status.identity.size_bytes;
    entry.device = status.identity.device;
    entry.inode = status.identity.inode;
    entry.owner = status.owner;
    entry.mode = status.mode & 07777;
    entry.links = status.links;
    entry.is_mount_point = status.is_mount_point;
    return entry;
}

EntryInfo entry_of(int fd, const std::string& path) {
    FileStatus status;
    if (!read_status(fd, "", AT_EMPTY_PATH, status)) throw Error::from_errno(errno, "stat", path);
    return entry_of(status);
}

Errc code_of(int error) {
    return error == EACCES || error == EPERM || error == EROFS || error == EXDEV || error == ENAMETOOLONG ||
                   error == EMFILE || error == ENFILE || error == EINVAL || error == EOPNOTSUPP
               ? Errc::environment
               : Errc::device;
}

void write_all(int fd, std::string_view text, const std::string& path) {
    for (std::size_t done = 0; done < text.size();) {
        const ssize_t put = ::write(fd, text.data() + done, text.size() - done);
        if (put < 0 && errno == EINTR) continue;
        if (put < 0) throw Error::from_errno(errno, "write", path);
        done += static_cast<std::size_t>(put);
    }
}

class PosixFileLock final : public FileLock {
public:
    /// @param refused  errno of opening it for writing; 0: it is open for that
    PosixFileLock(Descriptor file, std::string path, int refused)
        : file_(std::move(file)), path_(std::move(path)), refused_(refused) {}
    std::string read(std::size_t most_bytes) override {
        std::string text(most_bytes, '\0');
        std::size_t done = 0;
        while (done < most_bytes) {
            const ssize_t got = ::pread(file_.get(), text.data() + done, most_bytes - done, static_cast<off_t>(done));
            if (got < 0 && errno == EINTR) continue;
            if (got < 0) throw Error::from_errno(errno, "read", path_);
            if (got == 0) break;
            done += static_cast<std::size_t>(got);
        }
        text.resize(done);
        return text;
    }
    void write_at(std::uint64_t offset, std::string_view bytes) override {
        if (refused_ != 0) open_for_writing();
        const int fd = writer_ ? writer_.get() : file_.get();
        for (std::size_t done = 0; done < bytes.size();) {
            const ssize_t put =
                ::pwrite(fd, bytes.data() + done, bytes.size() - done, static_cast<off_t>(offset + done));
            if (put < 0 && errno == EINTR) continue;
            if (put < 0) throw Error::from_errno(errno, "write", path_);
            done += static_cast<std::size_t>(put);
        }
        if (::fdatasync(fd) != 0) throw Error::from_errno(errno, "fdatasync", path_);
    }
    EntryInfo info() override { return entry_of(file_.get(), path_); }

private:
    /// Its owner may take the protection off. The lock stays with the descriptor that it was taken by.
    void open_for_writing() {
        if (refused_ == EACCES && ::fchmod(file_.get(), 0600) == 0) {
            writer_ = Descriptor(::open(("/proc/self/fd/" + std::to_string(file_.get())).c_str(), O_RDWR | O_CLOEXEC));
            refused_ = writer_ ? 0 : errno;
        }
        if (refused_ != 0) throw Error::from_errno(refused_, "open for writing", path_, Errc::environment);
    }

    Descriptor file_, writer_;
    std::string path_;
    int refused_;
};

class PosixNewFile final : public NewFile {
public:
    /// @param directory  of its own: the file can be removed when who made it is gone
    PosixNewFile(Descriptor file, Descriptor directory, std::string temporary, std::string path)
        : file_(std::move(file)),
          directory_(std::move(directory)),
          temporary_(std::move(temporary)),
          path_(std::move(path)) {}
    ~PosixNewFile() override {
        if (!temporary_.empty()) ::unlinkat(directory_.get(), temporary_.c_str(), 0);
    }
    void append(std::string_view text) override { write_all(file_.get(), text, path_); }
    void sync() override {
        if (::fsync(file_.get()) != 0) throw Error::from_errno(errno, "fsync", path_, code_of(errno));
    }
    const std::string& temporary() const noexcept { return temporary_; }
    void has_its_name() noexcept { temporary_.clear(); }

private:
    Descriptor file_, directory_;
    std::string temporary_, path_;
};

class PosixDirectory final : public Directory {
public:
    PosixDirectory(Descriptor directory, std::string path) : directory_(std::move(directory)), path_(std::move(path)) {}

    const std::string& path() const noexcept override { return path_; }
    EntryInfo info() override { return entry_of(directory_.get(), path_); }
    std::optional<EntryInfo> look(const std::string& name) override {
        FileStatus status;
        if (read_status(directory_.get(), checked(name), AT_SYMLINK_NOFOLLOW, status)) return entry_of(status);
        if (errno == ENOENT) return std::nullopt;
        throw failed("stat", name);
    }
    std::vector<std::string> names() override {
        const int fd = ::openat(directory_.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0) throw Error::from_errno(errno, "open", path_, code_of(errno));
        const std::unique_ptr<DIR, int (*)(DIR*)> listing(::fdopendir(fd), &::closedir);
        if (!listing) {
            const int error = errno;
            ::close(fd);
            throw Error::from_errno(error, "list", path_, Errc::environment);
        }
        std::vector<std::string> found;
        errno = 0;
        while (const dirent* entry = ::readdir(listing.get())) {
            const std::string name = entry->d_name;
            if (name != "." && name != "..") found.push_back(name);
            errno = 0;
        }
        if (errno != 0) throw Error::from_errno(errno, "list", path_);
        std::sort(found.begin(), found.end());
        return found;
    }
    std::uint32_t owner_of_new_files() override {
        if (!owner_) owner_ = ask_owner();
        return *owner_;
    }
    std::unique_ptr<Directory> open(const std::string& name) override {
        Descriptor child(open_beneath(directory_.get(), checked(name), O_RDONLY | O_DIRECTORY, 0));
        if (child) return std::make_unique<PosixDirectory>(std::move(child), path_ + "/" + name);
        if (errno == ENOENT || errno == ENOTDIR || errno == ELOOP || errno == EXDEV) return nullptr;
        throw failed("open", name);
    }
    bool make(const std::string& name) override {
        if (::mkdirat(directory_.get(), checked(name), 0700) != 0) {
            if (errno == EEXIST) return false;
            throw failed("mkdir", name);
        }
        // A umask that takes from the owner as well would leave a directory that we cannot use.
        const Descriptor made(open_beneath(directory_.get(), name.c_str(), O_RDONLY | O_DIRECTORY, 0));
        struct stat s {};
        if (made && ::fstat(made.get(), &s) == 0 && (s.st_mode & 0777) != 0700) ::fchmod(made.get(), 0700);
        return true;
    }
    void remove_file(const std::string& name) override {
        if (::unlinkat(directory_.get(), checked(name), 0) != 0 && errno != ENOENT) throw failed("unlink", name);
    }
    void remove_directory(const std::string& name) override {
        // Whoever else removes what is dead may have been quicker.
        if (::unlinkat(directory_.get(), checked(name), AT_REMOVEDIR) != 0 && errno != ENOENT)
            throw failed("rmdir", name);
    }
    Renamed rename_no_replace(const std::string& from, const std::string& to) override {
        return rename_with(from, to, RENAME_NOREPLACE);
    }
    Renamed exchange(const std::string& one, const std::string& other) override {
        return rename_with(one, other, RENAME_EXCHANGE);
    }
    std::string why_not_renamable(const std::string& name, const std::string& full) override {
        if (::renameat(directory_.get(), checked(name), directory_.get(), checked(full)) == 0)
            return took_its_place(name, full);
        if (errno != EPERM && errno != EXDEV && errno != EROFS) return "";  // ENOTEMPTY, by whatever name it goes here
        return Error::from_errno(errno, "rename", path_ + "/" + name, Errc::environment).what();
    }
    void rename_over(const std::string& from, const std::string& to) override {
        if (::renameat(directory_.get(), checked(from), directory_.get(), checked(to)) != 0)
            throw failed("rename", from + "' to '" + to);
    }
    void sync() override {
        if (::fsync(directory_.get()) != 0) throw Error::from_errno(errno, "fsync", path_, code_of(errno));
    }
    void write_durably(const std::string& name, std::string_view text) override {
        const auto file = begin_file(name);
        file->append(text);
        file->sync();
        give_name(*file, name);
    }
    std::unique_ptr<NewFile> begin_file(const std::string& name) override {
        const std::string temporary = temporary_of(name);
        Descriptor again(::fcntl(directory_.get(), F_DUPFD_CLOEXEC, 0));
        if (!again) throw failed("dup", name);
        Descriptor file = create_temporary(temporary);
        return std::make_unique<PosixNewFile>(std::move(file), std::move(again), temporary, path_ + "/" + temporary);
    }
    void give_name(NewFile& file, const std::string& name) override {
        auto& ours = static_cast<PosixNewFile&>(file);
        rename_temporary(ours.temporary(), name);
        ours.has_its_name();
        sync();
    }
    LockAttempt write_locked(const std::string& name, std::string_view text, LockMode mode) override {
        const std::string temporary = temporary_of(name);
        Descriptor file = write_temporary(temporary, text);
        LockAttempt attempt = lock_file(std::move(file), name, mode, 0);
        rename_temporary(temporary, name);
        sync();
        return attempt;
    }
    std::string read_text(const std::string& name, std::uint64_t most_bytes) override {
        // Opening a device or a pipe does something to it, so what is none of ours is not opened to find that out.
        if (is_no_file(name)) throw Error(Errc::input, "read '" + path_ + "/" + name + "': is no regular file");
        const Descriptor file(open_beneath(directory_.get(), checked(name), O_RDONLY | O_NONBLOCK, 0));
        if (!file) throw Error::from_errno(errno, "open", path_ + "/" + name, Errc::input);
        return read_small_file(file.get(), path_ + "/" + name, most_bytes);
    }
    LockAttempt lock(const std::string& name, LockMode mode) override {
        for (int tries = 0;; ++tries) {
            if (is_no_file(name)) return {LockAttempt::Outcome::absent, nullptr, ""};
            int refused = 0;
            int fd = open_beneath(directory_.get(), checked(name), O_RDWR | O_NONBLOCK, 0);
            if (fd < 0 && (errno == EACCES || errno == EROFS || errno == EPERM)) {
                refused = errno;
                fd = open_beneath(directory_.get(), name.c_str(), O_RDONLY | O_NONBLOCK, 0);
            }
            Descriptor file(fd);
            if (!file) {
                if (errno == ENOENT || errno == ELOOP || errno == EISDIR || errno == ENXIO || errno == ENOTDIR)
                    return {LockAttempt::Outcome::absent, nullptr, ""};
                if (errno != EACCES && errno != EPERM && errno != EROFS) throw failed("open", name);
                return {LockAttempt::Outcome::no_locks, nullptr, Error::from_errno(errno, "open", name).what()};
            }
            struct stat s {};
            if (::fstat(file.get(), &s) != 0) throw failed("fstat", name);
            if (!S_ISREG(s.st_mode)) return {LockAttempt::Outcome::absent, nullptr, ""};
            LockAttempt attempt = lock_file(std::move(file), name, mode, refused);
            if (attempt.outcome != LockAttempt::Outcome::taken) return attempt;
            // Between open and lock it may have been replaced or removed: then ours is a lock on nothing.
            const auto now = look(name);
            if (now && now->same_file(attempt.lock->info())) return attempt;
            if (tries == kLockTries) return {LockAttempt::Outcome::held, nullptr, ""};
        }
    }

private:
    /// A file system that replaces what is full, or moves into it: nothing of it can be relied on.
    std::string took_its_place(const std::string& name, const std::string& full) {
        const bool is_back = ::renameat(directory_.get(), full.c_str(), directory_.get(), name.c_str()) == 0;
        return "this file system puts a directory in the place of one that is not empty" +
               (is_back ? std::string() : "; what was '" + path_ + "/" + name + "' is now '" + full + "'");
    }
    bool is_no_file(const std::string& name) {
        const auto entry = look(name);
        return entry && entry->kind != EntryInfo::Kind::file;
    }
    Error failed(const char* call, const std::string& name) const {
        const int error = errno;
        return Error::from_errno(error, call, path_ + "/" + name, code_of(error));
    }
    static const char* checked(const std::string& name) {
        SLUICE_CHECK(!name.empty() && name != "." && name != ".." && name.find('/') == std::string::npos &&
                     name.find('\0') == std::string::npos);
        return name.c_str();
    }
    static std::string temporary_of(const std::string& name) {
        // Our process number makes the name ours: a file under it is left from a process that is gone.
        return name + ".tmp-" + std::to_string(::getpid());
    }
    Descriptor create_temporary(const std::string& temporary) {
        ::unlinkat(directory_.get(), checked(temporary), 0);
        Descriptor file(open_beneath(directory_.get(), temporary.c_str(), O_RDWR | O_CREAT | O_EXCL, 0600));
        if (!file) throw failed("create", temporary);
        if (::fchmod(file.get(), 0600) != 0) {
            const Error error = failed("fchmod", temporary);
            ::unlinkat(directory_.get(), temporary.c_str(), 0);
            throw error;
        }
        return file;
    }
    Descriptor write_temporary(const std::string& temporary, std::string_view text) {
        Descriptor file = create_temporary(temporary);
        try {
            write_all(file.get(), text, path_ + "/" + temporary);
            if (::fsync(file.get()) != 0) throw failed("fsync", temporary);
        } catch (...) {
            ::unlinkat(directory_.get(), temporary.c_str(), 0);
            throw;
        }
        return file;
    }
    void rename_temporary(const std::string& temporary, const std::string& name) {
        if (::renameat(directory_.get(), temporary.c_str(), directory_.get(), checked(name)) != 0) {
            const Error error = failed("rename", temporary);
            ::unlinkat(directory_.get(), temporary.c_str(), 0);
            throw error;
        }
    }
    LockAttempt lock_file(Descriptor file, const std::string& name, LockMode mode, int refused) const {
        const int how = (mode == LockMode::shared ? LOCK_SH : LOCK_EX) | LOCK_NB;
        int error = 0;
        do {
            error = ::flock(file.get(), how) == 0 ? 0 : errno;
        } while (error == EINTR);
        auto lock = std::make_unique<PosixFileLock>(std::move(file), path_ + "/" + name, refused);
        if (error == 0) return {LockAttempt::Outcome::taken, std::move(lock), ""};
        if (error == EWOULDBLOCK) return {LockAttempt::Outcome::held, nullptr, ""};
        return {LockAttempt::Outcome::no_locks, std::move(lock), Error::from_errno(error, "flock", name).what()};
    }
    Renamed rename_with(const std::string& from, const std::string& to, unsigned flags) {
        if (::renameat2(directory_.get(), checked(from), directory_.get(), checked(to), flags) == 0)
            return Renamed::done;
        if (errno == EEXIST || errno == ENOTEMPTY) return Renamed::exists;
        if (refuses_rename_flags(errno)) return Renamed::unsupported;
        if (errno == EXDEV || errno == EPERM) return Renamed::impossible;
        throw failed("rename", from + "' to '" + to);
    }

    std::uint32_t ask_owner() {
        // Nameless where that can be, so that nothing stays when we are killed here.
        Descriptor file(::openat(directory_.get(), ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
        const bool named = !file;
        std::string name = ".";
        for (int tries = 0; named && !file; ++tries) {
            // A number of its own: one left by a process that was killed here, or of another host, is not ours.
            name = ".sluice-probe-" + std::to_string(::getpid()) + "-" + std::to_string(steady_ns());
            file = Descriptor(open_beneath(directory_.get(), name.c_str(), O_RDWR | O_CREAT | O_EXCL, 0600));
            if (file || (errno == EEXIST && tries < kProbeTries)) continue;
            // Nothing can be made here now, which is when things are removed: who makes files is who runs, mostly.
            return ::geteuid();
        }
        struct stat s {};
        const bool known = ::fstat(file.get(), &s) == 0;  // not where another host has just swept it away (NFS)
        if (named) ::unlinkat(directory_.get(), name.c_str(), 0);
        return known ? s.st_uid : ::geteuid();
    }

    Descriptor directory_;
    std::string path_;
    std::optional<std::uint32_t> owner_;
};

}  // namespace

std::unique_ptr<Directory> open_posix_directory(const std::string& path) {
    Descriptor directory(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!directory) {
        const Error error = Error::from_errno(errno, "open", path, Errc::environment);
        if (errno == EMFILE || errno == ENFILE || errno == ENOMEM)
            throw ExhaustedError(Errc::environment, error.what());
        throw error;
    }
    return std::make_unique<PosixDirectory>(std::move(directory), path);
}

}  // namespace sluice
