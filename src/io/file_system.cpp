#include "io/file_system.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>

#include "io/file_status.hpp"
#include "io/glob.hpp"
#include "io/plain_rename.hpp"
#include "io/posix_directory.hpp"
#include "io/small_file.hpp"
#include "runtime/error.hpp"

namespace sluice {
namespace {

class Descriptor {
public:
    Descriptor(const std::string& path, int flags, Errc code = Errc::device)
        : path_(path), fd_(::open(path.c_str(), flags | O_CLOEXEC, 0600)) {
        if (fd_ < 0) throw Error::from_errno(errno, "open", path, code);
    }
    ~Descriptor() {
        if (fd_ >= 0) ::close(fd_);
    }
    Descriptor(const Descriptor&) = delete;
    int get() const noexcept { return fd_; }
    void sync() const {
        if (::fsync(fd_) != 0) throw Error::from_errno(errno, "fsync", path_);
    }

private:
    std::string path_;
    int fd_;
};

/// As open() will see it: by the effective user.
bool may(const std::string& path, int mode) { return ::faccessat(AT_FDCWD, path.c_str(), mode, AT_EACCESS) == 0; }

class RealFileSystem final : public FileSystem {
public:
    std::unique_ptr<Directory> open_directory(const std::string& path) override { return open_posix_directory(path); }
    void make_directories(const std::string& path) override {
        if (path.empty() || path == "/") return;
        if (const auto there = info(path)) {
            if (!there->is_directory) throw Error::from_errno(ENOTDIR, "mkdir", path, Errc::environment);
            return;
        }
        make_directories(std::filesystem::path(path).parent_path());
        if (::mkdir(path.c_str(), 0700) == 0 || errno == EEXIST) return;  // another rank may be quicker
        const bool full = errno == ENOSPC || errno == EDQUOT || errno == EIO;
        throw Error::from_errno(errno, "mkdir", path, full ? Errc::device : Errc::environment);
    }
    std::optional<FileInfo> info(const std::string& path) override {
        FileStatus status;
        if (!read_status(AT_FDCWD, path.c_str(), 0, status)) {
            if (errno == ENOENT || errno == ENOTDIR || errno == ELOOP) return std::nullopt;
            throw Error::from_errno(errno, "stat", path, Errc::environment);
        }
        FileInfo found;
        static_cast<FileIdentity&>(found) = status.identity;
        found.mode = status.mode & 07777;
        found.can_change_mode = ::geteuid() == 0 || ::geteuid() == status.owner;
        found.is_regular = S_ISREG(status.mode);
        found.is_directory = S_ISDIR(status.mode);
        found.is_readable = may(path, R_OK);
        return found;
    }
    std::vector<std::string> list(const std::string& directory) override {
        std::vector<std::string> names;
        std::error_code error;
        for (const auto& entry : std::filesystem::directory_iterator(directory, error))
            names.push_back(entry.path().filename());
        if (error) throw Error::from_errno(error.value(), "list", directory);
        std::sort(names.begin(), names.end());
        return names;
    }
    std::vector<std::string> glob(const std::string& pattern) override { return find_paths(pattern); }
    MountInfo mount_of(const std::string& path, const FileIdentity& identity) override {
        return read_mount(path, identity);
    }
    void remove_file(const std::string& path) override {
        if (::unlink(path.c_str()) != 0) throw Error::from_errno(errno, "unlink", path);
    }
    void remove_empty_directory(const std::string& path) override {
        if (::rmdir(path.c_str()) != 0) throw Error::from_errno(errno, "rmdir", path);
    }
    void rename_no_replace(const std::string& from, const std::string& to) override {
        if (::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE) == 0) return;
        const int error = refuses_rename_flags(errno) ? rename_plainly(from, to) : errno;
        if (error == 0) return;
        if (error == EEXIST)
            throw Error(Errc::config, "rename '" + from + "' to '" + to +
                                          "': that name exists; remove it or set run.overwrite = true");
        throw Error::from_errno(error, "rename", from + "' to '" + to);
    }
    void sync_directory(const std::string& path) override { Descriptor(path, O_RDONLY | O_DIRECTORY).sync(); }
    void write_durably(const std::string& path, const std::string& text) override {
        // Our process number makes the name ours: a file under it is left from a process that is gone.
        const std::string temporary = path + ".tmp-" + std::to_string(::getpid());
        ::unlink(temporary.c_str());
        try {
            write_and_sync(temporary, text);
            if (::rename(temporary.c_str(), path.c_str()) != 0) throw Error::from_errno(errno, "rename", temporary);
        } catch (...) {
            ::unlink(temporary.c_str());
            throw;
        }
        sync_directory(std::filesystem::path(path).parent_path());
    }
    std::string read_text(const std::string& path, std::uint64_t most_bytes) override {
        const Descriptor file(path, O_RDONLY | O_NONBLOCK | O_NOCTTY, Errc::input);
        return read_small_file(file.get(), path, most_bytes);
    }
    std::uint64_t free_bytes(const std::string& directory) override {
        struct statvfs s {};
        if (::statvfs(directory.c_str(), &s) != 0)
            throw Error::from_errno(errno, "statvfs", directory, Errc::environment);
        return static_cast<std::uint64_t>(s.f_bavail) * s.f_frsize;
    }
    bool is_writable(const std::string& directory) override { return may(directory, W_OK | X_OK); }
    std::string real_path(const std::string& path) override {
        std::error_code error;
        const auto real = std::filesystem::weakly_canonical(std::filesystem::absolute(path), error);
        return error ? path : real.string();
    }
    DiskRoom room(const std::string& directory) override { return room_on_disk(directory); }
    std::string problem_of_hidden_quota(const std::string& directory, std::uint64_t bytes) override {
        return sluice::problem_of_hidden_quota(directory, bytes);
    }
    std::string problem_of_size(const std::string& directory, std::uint64_t bytes) override {
        return problem_of_file_size(directory, bytes);
    }
    DirectIoProof direct_io_in(const std::string& directory) override { return prove_direct_io_in(directory); }
    DirectIoProof direct_io_of(const std::string& file) override { return prove_direct_io_of(file); }

private:
    static void write_and_sync(const std::string& path, const std::string& text) {
        const Descriptor file(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW);
        for (std::size_t done = 0; done < text.size();) {
            const ssize_t put = ::write(file.get(), text.data() + done, text.size() - done);
            if (put < 0 && errno == EINTR) continue;
            if (put < 0) throw Error::from_errno(errno, "write", path);
            done += static_cast<std::size_t>(put);
        }
        file.sync();
    }
};

}  // namespace

std::unique_ptr<FileSystem> make_real_file_system() { return std::make_unique<RealFileSystem>(); }

}  // namespace sluice
