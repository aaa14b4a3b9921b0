#include <libaio.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <fstream>

#include "io/posix_file.hpp"
#include "record/record_format.hpp"
#include "runtime/error.hpp"
#include "runtime/metrics.hpp"

namespace sluice {
namespace {

constexpr std::size_t kMaxPieces = 256;  // of one vectored write; the planner's longest chain is 64 chunks

std::uint64_t now_ns() {
    return static_cast<std::uint64_t>(
        std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch())
            .count());
}

std::string proc_number(const char* path) {
    std::ifstream file(path);
    std::string text;
    file >> text;
    return text;
}

class LibaioQueue final : public IoQueue {
public:
    explicit LibaioQueue(unsigned depth) : slots_(depth), events_(depth) {
        const int rc = ::io_setup(static_cast<int>(depth), &context_);
        if (rc == -EAGAIN) {
            throw Error(Errc::environment, "io_setup for " + std::to_string(depth) +
                                               " requests: the host has no room, aio-nr " +
                                               proc_number("/proc/sys/fs/aio-nr") + " of aio-max-nr " +
                                               proc_number("/proc/sys/fs/aio-max-nr") +
                                               "; raise it with `sysctl fs.aio-max-nr=1048576` or lower io.depth");
        }
        if (rc < 0) throw Error::from_errno(-rc, "io_setup", std::to_string(depth) + " requests", Errc::environment);
        for (std::size_t i = depth; i > 0; --i) {
            slots_[i - 1].pieces.reserve(kMaxPieces);
            free_.push_back(i - 1);
        }
    }
    ~LibaioQueue() override {
        while (in_flight_ > 0) {
            const long got = ::io_getevents(context_, 1, static_cast<long>(events_.size()), events_.data(), nullptr);
            if (got < 0 && got != -EINTR) break;
            if (got > 0) in_flight_ -= static_cast<unsigned>(got);
        }
        ::io_destroy(context_);
    }
    LibaioQueue(const LibaioQueue&) = delete;

    void read(IoFile& file, std::uint64_t offset, std::span<std::byte> memory, std::uint64_t token) override {
        Slot& slot = take(Kind::read, file, offset, token);
        slot.pieces.push_back({memory.data(), memory.size()});
        start(slot);
    }
    void write(IoFile& file, std::uint64_t offset, std::span<const std::span<const std::byte>> pieces,
               std::uint64_t token) override {
        SLUICE_CHECK(pieces.size() <= kMaxPieces);
        Slot& slot = take(Kind::write, file, offset, token);
        for (const auto& piece : pieces) slot.pieces.push_back({const_cast<std::byte*>(piece.data()), piece.size()});
        start(slot);
    }
    void wait(unsigned minimum, std::vector<IoCompletion>& done) override {
        SLUICE_CHECK(minimum <= in_flight_);
        const std::size_t wanted = done.size() + minimum;
        do {
            const unsigned missing = wanted > done.size() ? static_cast<unsigned>(wanted - done.size()) : 0;
            if (in_flight_ == 0) return;
            reap(missing, done);
        } while (done.size() < wanted);
    }
    unsigned in_flight() const override { return in_flight_; }
    unsigned depth() const override { return static_cast<unsigned>(slots_.size()); }
    IoCounters counters() const override { return counters_; }

private:
    enum class Kind { read, write };
    struct Slot {
        iocb control{};
        Kind kind = Kind::read;
        PosixFile* file = nullptr;
        std::uint64_t offset = 0, moved = 0, total = 0, token = 0;
        std::vector<iovec> pieces;
    };

    Slot& take(Kind kind, IoFile& file, std::uint64_t offset, std::uint64_t token) {
        SLUICE_CHECK(!free_.empty() && "more requests than the queue is deep");
        Slot& slot = slots_[free_.back()];
        free_.pop_back();
        slot.kind = kind;
        slot.file = static_cast<PosixFile*>(&file);
        slot.offset = offset;
        slot.moved = slot.total = 0;
        slot.token = token;
        slot.pieces.clear();
        return slot;
    }
    void start(Slot& slot) {
        for (const iovec& piece : slot.pieces) {
            slot.total += piece.iov_len;
            const bool aligned = reinterpret_cast<std::uintptr_t>(piece.iov_base) % kDirectIoAlign == 0 &&
                                 piece.iov_len % kDirectIoAlign == 0;
            SLUICE_CHECK(aligned || !slot.file->is_direct());
        }
        SLUICE_CHECK(slot.offset % kDirectIoAlign == 0 || !slot.file->is_direct());
        ++in_flight_;
        counters_.max_in_flight = std::max(counters_.max_in_flight, in_flight_);
        submit(slot);
    }
    void submit(Slot& slot) {
        const int fd = slot.file->descriptor();
        const auto offset = static_cast<long long>(slot.offset + slot.moved);
        switch (slot.kind) {
            case Kind::read:
                ::io_prep_preadv(&slot.control, fd, slot.pieces.data(), static_cast<int>(slot.pieces.size()), offset);
                break;
            case Kind::write:
                ::io_prep_pwritev(&slot.control, fd, slot.pieces.data(), static_cast<int>(slot.pieces.size()), offset);
                break;
        }
        slot.control.data = &slot;
        iocb* one = &slot.control;
        const std::uint64_t begin_ns = now_ns();
        int rc = 0;
        while ((rc = ::io_submit(context_, 1, &one)) == -EINTR || rc == -EAGAIN || rc == 0) {
        }
        counters_.submit_ns += now_ns() - begin_ns;
        if (rc == 1) return;
        --in_flight_;
        fail(slot, -rc);
    }
    [[noreturn]] void fail(const Slot& slot, int error) const {
        const char* call = slot.kind == Kind::read ? "read" : "write";
        throw_io_error(error, call, slot.file->path(), slot.offset + slot.moved, slot.total - slot.moved);
    }
    void reap(unsigned minimum, std::vector<IoCompletion>& done) {
        const std::uint64_t begin_ns = now_ns();
        timespec no_wait{0, 0};
        long got = 0;
        while ((got = ::io_getevents(context_, static_cast<long>(minimum), static_cast<long>(events_.size()),
                                     events_.data(), minimum == 0 ? &no_wait : nullptr)) == -EINTR) {
        }
        this_worker().wait_io_ns.add(now_ns() - begin_ns);
        if (got < 0) throw Error::from_errno(static_cast<int>(-got), "io_getevents", "queue");
        for (long i = 0; i < got; ++i)
            complete(*static_cast<Slot*>(events_[static_cast<std::size_t>(i)].data),
                     events_[static_cast<std::size_t>(i)], done);
    }
    void complete(Slot& slot, const io_event& event, std::vector<IoCompletion>& done) {
        const auto result = static_cast<long>(event.res);
        if (result < 0) {
            --in_flight_;
            fail(slot, static_cast<int>(-result));
        }
        const auto bytes = static_cast<std::uint64_t>(result);
        (slot.kind == Kind::read ? counters_.read_bytes : counters_.written_bytes) += bytes;
        slot.moved += bytes;
        if (slot.moved < slot.total && continue_short(slot, bytes)) return;
        ++(slot.kind == Kind::read ? counters_.read_requests : counters_.write_requests);
        --in_flight_;
        done.push_back({slot.token, slot.moved});
        free_.push_back(static_cast<std::size_t>(&slot - slots_.data()));
    }
    /// Submits the rest of a short transfer; false when a read met the end of its file.
    bool continue_short(Slot& slot, std::uint64_t bytes) {
        if (slot.kind == Kind::read && slot.offset + slot.moved >= slot.file->size_bytes()) return false;
        if (bytes == 0)
            throw_io_error(EIO, slot.kind == Kind::read ? "read" : "write", slot.file->path(), slot.offset + slot.moved,
                           slot.total - slot.moved);
        ++counters_.short_transfers;
        // Direct I/O goes on from a whole block: what a partial block brought is moved again.
        const std::uint64_t again = slot.file->is_direct() ? slot.moved % kDirectIoAlign : 0;
        slot.moved -= again;
        std::uint64_t skip = bytes - std::min(again, bytes);
        auto piece = slot.pieces.begin();
        for (; piece != slot.pieces.end() && skip >= piece->iov_len; ++piece) skip -= piece->iov_len;
        slot.pieces.erase(slot.pieces.begin(), piece);
        slot.pieces.front().iov_base = static_cast<std::byte*>(slot.pieces.front().iov_base) + skip;
        slot.pieces.front().iov_len -= skip;
        submit(slot);
        return true;
    }

    io_context_t context_{};
    std::vector<Slot> slots_;
    std::vector<std::size_t> free_;
    std::vector<io_event> events_;
    unsigned in_flight_ = 0;
    IoCounters counters_;
};

class LibaioBackend final : public IoBackend {
public:
    explicit LibaioBackend(DirectIo direct) : direct_(direct) {}
    std::unique_ptr<IoFile> open_for_read(const std::string& path) override {
        return open(path, PosixFile::Mode::read);
    }
    std::unique_ptr<IoFile> create(const std::string& path) override { return open(path, PosixFile::Mode::create); }
    std::unique_ptr<IoFile> open_for_update(const std::string& path) override {
        return open(path, PosixFile::Mode::update);
    }
    std::unique_ptr<IoQueue> make_queue(unsigned depth) override { return std::make_unique<LibaioQueue>(depth); }
    const char* name() const override { return "libaio"; }

private:
    std::unique_ptr<IoFile> open(const std::string& path, PosixFile::Mode mode) {
        return std::make_unique<PosixFile>(path, mode, direct_);
    }
    DirectIo direct_;
};

}  // namespace

std::unique_ptr<IoBackend> make_libaio_backend(DirectIo direct) { return std::make_unique<LibaioBackend>(direct); }

}  // namespace sluice
