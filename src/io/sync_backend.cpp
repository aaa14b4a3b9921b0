#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "io/posix_file.hpp"
#include "runtime/error.hpp"

namespace sluice {
namespace {

/// Does each request on the spot with pread and pwrite; wait() only hands out what is done.
class SyncQueue final : public IoQueue {
public:
    explicit SyncQueue(unsigned depth) : depth_(depth) {}

    void read(IoFile& file, std::uint64_t offset, std::span<std::byte> memory, std::uint64_t token) override {
        SLUICE_CHECK(done_.size() < depth_);
        const int fd = static_cast<PosixFile&>(file).descriptor();
        std::uint64_t moved = 0;
        while (moved < memory.size()) {
            const ssize_t got =
                ::pread(fd, memory.data() + moved, memory.size() - moved, static_cast<off_t>(offset + moved));
            if (got < 0 && errno == EINTR) continue;
            if (got < 0) throw_io_error(errno, "read", file.path(), offset + moved, memory.size() - moved);
            moved += static_cast<std::uint64_t>(got);
            if (got == 0 || offset + moved >= file.size_bytes()) break;
        }
        counters_.read_bytes += moved;
        ++counters_.read_requests;
        finish(token, moved);
    }
    void write(IoFile& file, std::uint64_t offset, std::span<const std::span<const std::byte>> pieces,
               std::uint64_t token) override {
        SLUICE_CHECK(done_.size() < depth_);
        const int fd = static_cast<PosixFile&>(file).descriptor();
        std::uint64_t moved = 0;
        for (auto piece : pieces) {
            while (!piece.empty()) {
                const ssize_t put = ::pwrite(fd, piece.data(), piece.size(), static_cast<off_t>(offset + moved));
                if (put < 0 && errno == EINTR) continue;
                if (put <= 0) throw_io_error(put < 0 ? errno : EIO, "write", file.path(), offset + moved, piece.size());
                moved += static_cast<std::uint64_t>(put);
                piece = piece.subspan(static_cast<std::size_t>(put));
            }
        }
        counters_.written_bytes += moved;
        ++counters_.write_requests;
        finish(token, moved);
    }
    void wait(unsigned minimum, std::vector<IoCompletion>& done) override {
        SLUICE_CHECK(minimum <= done_.size());
        done.insert(done.end(), done_.begin(), done_.end());
        done_.clear();
    }
    unsigned in_flight() const override { return static_cast<unsigned>(done_.size()); }
    unsigned depth() const override { return depth_; }
    IoCounters counters() const override { return counters_; }

private:
    void finish(std::uint64_t token, std::uint64_t bytes) {
        done_.push_back({token, bytes});
        counters_.max_in_flight = std::max(counters_.max_in_flight, 1u);
    }
    unsigned depth_;
    std::vector<IoCompletion> done_;
    IoCounters counters_;
};

class SyncBackend final : public IoBackend {
public:
    explicit SyncBackend(DirectIo direct) : direct_(direct) {}
    std::unique_ptr<IoFile> open_for_read(const std::string& path) override {
        return std::make_unique<PosixFile>(path, PosixFile::Mode::read, direct_);
    }
    std::unique_ptr<IoFile> create(const std::string& path) override {
        return std::make_unique<PosixFile>(path, PosixFile::Mode::create, direct_);
    }
    std::unique_ptr<IoFile> open_for_update(const std::string& path) override {
        return std::make_unique<PosixFile>(path, PosixFile::Mode::update, direct_);
    }
    std::unique_ptr<IoQueue> make_queue(unsigned depth) override { return std::make_unique<SyncQueue>(depth); }
    const char* name() const override { return "sync"; }

private:
    DirectIo direct_;
};

}  // namespace

std::unique_ptr<IoBackend> make_sync_backend(DirectIo direct) { return std::make_unique<SyncBackend>(direct); }

}  // namespace sluice
