#pragma once
/// Files of the libaio and sync back ends. Internal to the io layer.

#include <mutex>
#include <string>
#include <vector>

#include "io/io_backend.hpp"

namespace sluice {

/// The directories of files that were opened and do not by-pass the page cache. Any thread.
class CachedPlaces {
public:
    void add(const std::string& file);
    std::vector<std::string> directories() const;

private:
    mutable std::mutex mutex_;
    std::vector<std::string> directories_;
};

/// One open file of the real file system. Owns the descriptor; the destructor closes it and says nothing of errors,
/// which close_checked() does. Methods throw Error with the call, the path and the errno.
class PosixFile final : public IoFile {
public:
    enum class Mode { read, read_own, create, update };
    /// Opens with O_DIRECT as `direct` says; what is cached all the same is refused or noted. create: O_EXCL,
    /// O_NOFOLLOW, mode 0600 whatever the umask.
    PosixFile(std::string path, Mode mode, DirectIo direct, CachedPlaces& cached);
    ~PosixFile() override;
    PosixFile(const PosixFile&) = delete;

    const std::string& path() const override { return path_; }
    std::uint64_t size_bytes() const override;
    FileIdentity identity() const override;
    void preallocate(std::uint64_t bytes) override;
    void truncate(std::uint64_t bytes) override;
    void sync_data() override;
    void close_checked() override;
    bool is_direct() const override { return direct_; }
    int descriptor() const noexcept { return fd_; }

private:
    void require_regular() const;
    void prove_direct(DirectIo direct, CachedPlaces& cached) const;

    std::string path_;
    int fd_ = -1;
    bool direct_ = false;
};

/// "read '/d/file' at 4096, 1048576 bytes: Input/output error; see the kernel log ..."
[[noreturn]] void throw_io_error(int error, const char* call, const std::string& path, std::uint64_t offset,
                                 std::uint64_t bytes);

}  // namespace sluice
