#include <sys/uio.h>

#include <cerrno>
#include <utility>

#include "io/posix_file.hpp"
#include "record/record_format.hpp"
#include "runtime/error.hpp"
#include "runtime/metrics.hpp"
#include "runtime/steady_clock.hpp"

namespace sluice {
namespace {

constexpr std::size_t kMaxPieces = 256;  // as libaio's

/// Does each request on the spot with preadv and pwritev; wait() only hands out what is done. The time of the calls is
/// booked as waiting for I/O.
class SyncQueue final : public IoQueue {
public:
    explicit SyncQueue(unsigned depth) : depth_(depth) {
        done_.reserve(depth);
        pieces_.reserve(kMaxPieces);
    }

    void read(IoFile& file, std::uint64_t offset, std::span<std::byte> memory, std::uint64_t token) override {
        check_aligned(file, offset, memory);
        pieces_.assign(1, {memory.data(), memory.size()});
        const std::uint64_t moved = transfer(file, offset, memory.size(), true);
        counters_.read_bytes += moved;
        ++counters_.read_requests;
        finish(token, moved);
    }
    void write(IoFile& file, std::uint64_t offset, std::span<const std::span<const std::byte>> pieces,
               std::uint64_t token) override {
        SLUICE_CHECK(pieces.size() <= kMaxPieces);
        pieces_.clear();
        std::uint64_t total = 0;
        for (const auto& piece : pieces) {
            check_aligned(file, offset, piece);
            pieces_.push_back({const_cast<std::byte*>(piece.data()), piece.size()});
            total += piece.size();
        }
        counters_.written_bytes += transfer(file, offset, total, false);
        ++counters_.write_requests;
        finish(token, total);
    }
    void sync(IoFile& file, std::uint64_t token) override {
        check_depth();
        const std::uint64_t begin_ns = steady_ns();
        file.sync_data();
        this_worker().wait_io_ns.add(steady_ns() - begin_ns);
        finish(token, 0);
    }
    void wait(unsigned minimum, std::vector<IoCompletion>& done) override {
        SLUICE_CHECK(minimum <= done_.size() && "would wait for ever");
        done.insert(done.end(), done_.begin(), done_.end());
        done_.clear();
    }
    unsigned in_flight() const override { return static_cast<unsigned>(done_.size()); }
    unsigned depth() const override { return depth_; }
    IoCounters counters() const override { return counters_; }

private:
    void check_depth() const { SLUICE_CHECK(done_.size() < depth_ && "more requests than the queue is deep"); }
    template <typename Byte>
    void check_aligned(const IoFile& file, std::uint64_t offset, std::span<Byte> memory) const {
        check_depth();
        const std::uint64_t address = reinterpret_cast<std::uintptr_t>(memory.data());
        SLUICE_CHECK(!file.is_direct() || (offset | address | memory.size()) % kDirectIoAlign == 0);
    }
    /// Moves pieces_ until all `total` bytes are there or a read met the end of the file.
    std::uint64_t transfer(IoFile& file, std::uint64_t offset, std::uint64_t total, bool reading) {
        const int fd = static_cast<PosixFile&>(file).descriptor();
        const std::uint64_t begin_ns = steady_ns();
        const Waiting waiting(WaitKind::disk, reading ? "read" : "write", file.path(), offset, total, begin_ns);
        std::uint64_t moved = 0;
        bool stalled = false;
        while (moved < total) {
            const auto at = static_cast<off_t>(offset + moved);
            const int count = static_cast<int>(pieces_.size());
            const ssize_t result =
                reading ? ::preadv(fd, pieces_.data(), count, at) : ::pwritev(fd, pieces_.data(), count, at);
            if (result < 0 && errno == EINTR) continue;
            if (result < 0)
                throw_io_error(errno, reading ? "read" : "write", file.path(), offset + moved, total - moved);
            moved += static_cast<std::uint64_t>(result);
            if (moved == total || (reading && offset + moved >= file.size_bytes())) break;
            const std::uint64_t again = file.is_direct() ? moved % kDirectIoAlign : 0;
            moved -= again;
            const std::uint64_t advanced = static_cast<std::uint64_t>(result) - again;
            if (std::exchange(stalled, advanced == 0) && advanced == 0)
                throw_io_error(EIO, reading ? "read" : "write", file.path(), offset + moved, total - moved);
            ++counters_.short_transfers;
            drop_front(advanced);
        }
        counters_.busy_ns += steady_ns() - begin_ns;
        this_worker().wait_io_ns.add(steady_ns() - begin_ns);
        return moved;
    }
    void drop_front(std::uint64_t bytes) {
        auto piece = pieces_.begin();
        for (; bytes >= piece->iov_len; ++piece) bytes -= piece->iov_len;
        pieces_.erase(pieces_.begin(), piece);
        pieces_.front().iov_base = static_cast<std::byte*>(pieces_.front().iov_base) + bytes;
        pieces_.front().iov_len -= bytes;
    }
    void finish(std::uint64_t token, std::uint64_t bytes) {
        done_.push_back({token, bytes});
        counters_.max_in_flight = 1;
    }

    unsigned depth_;
    std::vector<IoCompletion> done_;
    std::vector<iovec> pieces_;  // what is still to move
    IoCounters counters_;
};

class SyncBackend final : public IoBackend {
public:
    explicit SyncBackend(DirectIo direct) : direct_(direct) {}
    std::unique_ptr<IoFile> open_for_read(const std::string& path) override {
        return std::make_unique<PosixFile>(path, PosixFile::Mode::read, direct_, cached_);
    }
    std::unique_ptr<IoFile> open_written(const std::string& path) override {
        return std::make_unique<PosixFile>(path, PosixFile::Mode::read_own, direct_, cached_);
    }
    std::unique_ptr<IoFile> create(const std::string& path) override {
        return std::make_unique<PosixFile>(path, PosixFile::Mode::create, direct_, cached_);
    }
    std::unique_ptr<IoFile> open_for_update(const std::string& path) override {
        return std::make_unique<PosixFile>(path, PosixFile::Mode::update, direct_, cached_);
    }
    std::unique_ptr<IoQueue> make_queue(unsigned depth) override { return std::make_unique<SyncQueue>(depth); }
    std::vector<std::string> cached_directories() const override { return cached_.directories(); }
    const char* name() const override { return "sync"; }

private:
    DirectIo direct_;
    CachedPlaces cached_;
};

}  // namespace

std::unique_ptr<IoBackend> make_sync_backend(DirectIo direct) { return std::make_unique<SyncBackend>(direct); }

}  // namespace sluice
