#pragma once
/// Files of the libaio and sync back ends. Internal to the io layer.

#include <string>

#include "io/io_backend.hpp"

namespace sluice {

class PosixFile final : public IoFile {
public:
    enum class Mode { read, create, update };
    /// Opens with O_DIRECT as `direct` says. create: O_EXCL, O_NOFOLLOW, mode 0600 whatever the umask.
    PosixFile(std::string path, Mode mode, DirectIo direct);
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
    std::string path_;
    int fd_ = -1;
    bool direct_ = false;
};

/// "read '/d/file' at 4096, 1048576 bytes: Input/output error; see the kernel log ..."
[[noreturn]] void throw_io_error(int error, const char* call, const std::string& path, std::uint64_t offset,
                                 std::uint64_t bytes);

}  // namespace sluice
