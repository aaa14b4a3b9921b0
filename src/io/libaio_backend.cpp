#include <libaio.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <exception>
#include <fstream>
#include <memory>
#include <mutex>
#include <new>
#include <thread>
#include <utility>

#include "io/posix_file.hpp"
#include "record/record_format.hpp"
#include "runtime/error.hpp"
#include "runtime/metrics.hpp"
#include "runtime/steady_clock.hpp"

namespace sluice {
namespace {

constexpr std::size_t kMaxPieces = 256;  // of one vectored write; the planner's longest chain is 64 chunks
constexpr std::uint64_t kSubmitPatienceNs = 30'000'000'000;  // io_submit may say EAGAIN for so long, not for ever

std::string proc_number(const char* path) {
    std::ifstream file(path);
    std::string text;
    file >> text;
    return text;
}

/// Contexts of queues that have ended, for the next ones: io_destroy waits 30 to 70 ms for all processors, once for
/// each queue of a phase, before the next phase can begin. Any thread.
class Contexts {
public:
    Contexts() = default;
    Contexts(const Contexts&) = delete;
    ~Contexts() { destroy_idle(); }
    io_context_t take(unsigned depth) {
        const std::lock_guard lock(mutex_);
        const auto found =
            std::find_if(idle_.begin(), idle_.end(), [&](const auto& one) { return one.first == depth; });
        if (found != idle_.end()) {
            const io_context_t context = found->second;
            idle_.erase(found);
            return context;
        }
        io_context_t context{};
        int rc = ::io_setup(static_cast<int>(depth), &context);
        if (rc == -EAGAIN && !idle_.empty()) {  // the room may be what idle ones hold
            destroy_idle();
            rc = ::io_setup(static_cast<int>(depth), &context);
        }
        if (rc == -EAGAIN) {
            throw Error(Errc::environment, "io_setup for " + std::to_string(depth) +
                                               " requests: the host has no room, aio-nr " +
                                               proc_number("/proc/sys/fs/aio-nr") + " of aio-max-nr " +
                                               proc_number("/proc/sys/fs/aio-max-nr") +
                                               "; raise it with `sysctl fs.aio-max-nr=1048576` or lower io.depth");
        }
        if (rc < 0) throw Error::from_errno(-rc, "io_setup", std::to_string(depth) + " requests", Errc::environment);
        return context;
    }
    /// Nothing may be in flight in it.
    void give_back(unsigned depth, io_context_t context) noexcept {
        const std::lock_guard lock(mutex_);
        try {
            idle_.emplace_back(depth, context);
        } catch (const std::bad_alloc&) {
            ::io_destroy(context);
        }
    }

private:
    void destroy_idle() {
        for (const auto& [depth, context] : idle_) ::io_destroy(context);
        idle_.clear();
    }
    std::mutex mutex_;
    std::vector<std::pair<unsigned, io_context_t>> idle_;
};

class LibaioQueue final : public IoQueue {
public:
    LibaioQueue(std::shared_ptr<Contexts> contexts, unsigned depth)
        : contexts_(std::move(contexts)), context_(contexts_->take(depth)), slots_(depth), events_(depth) {
        free_.reserve(depth);
        on_the_spot_.reserve(depth);
        for (std::size_t i = depth; i > 0; --i) {
            slots_[i - 1].pieces.reserve(kMaxPieces);
            free_.push_back(i - 1);
        }
    }
    ~LibaioQueue() override {
        std::size_t in_kernel = in_flight_ - on_the_spot_.size();
        while (in_kernel > 0) {
            const long got = ::io_getevents(context_, 1, static_cast<long>(events_.size()), events_.data(), nullptr);
            if (got < 0 && got != -EINTR) {
                ::io_destroy(context_);  // waits for what is still in it
                return;
            }
            if (got > 0) in_kernel -= static_cast<std::size_t>(got);
        }
        contexts_->give_back(depth(), context_);
    }
    LibaioQueue(const LibaioQueue&) = delete;

    void read(IoFile& file, std::uint64_t offset, std::span<std::byte> memory, std::uint64_t token) override {
        check_aligned(file, offset, memory);
        Slot& slot = take(Kind::read, file, offset, token);
        slot.pieces.push_back({memory.data(), memory.size()});
        slot.total = memory.size();
        submit(slot);
    }
    void write(IoFile& file, std::uint64_t offset, std::span<const std::span<const std::byte>> pieces,
               std::uint64_t token) override {
        SLUICE_CHECK(pieces.size() <= kMaxPieces);
        for (const auto& piece : pieces) check_aligned(file, offset, piece);
        Slot& slot = take(Kind::write, file, offset, token);
        for (const auto& piece : pieces) {
            slot.pieces.push_back({const_cast<std::byte*>(piece.data()), piece.size()});
            slot.total += piece.size();
        }
        submit(slot);
    }
    void sync(IoFile& file, std::uint64_t token) override { submit(take(Kind::sync, file, 0, token)); }
    void wait(unsigned minimum, std::vector<IoCompletion>& done) override {
        SLUICE_CHECK(minimum <= in_flight_ && "would wait for ever");
        const std::size_t wanted = done.size() + minimum;
        done.insert(done.end(), on_the_spot_.begin(), on_the_spot_.end());
        in_flight_ -= static_cast<unsigned>(on_the_spot_.size());
        on_the_spot_.clear();
        do {
            if (in_flight_ == 0) return;
            reap(wanted > done.size() ? static_cast<unsigned>(wanted - done.size()) : 0, done);
        } while (done.size() < wanted);
    }
    unsigned in_flight() const override { return in_flight_; }
    unsigned depth() const override { return static_cast<unsigned>(slots_.size()); }
    IoCounters counters() const override { return counters_; }

private:
    enum class Kind { read, write, sync };
    struct Slot {
        iocb control{};
        Kind kind = Kind::read;
        PosixFile* file = nullptr;
        std::uint64_t offset = 0, moved = 0, total = 0, token = 0;
        std::uint64_t submitted_ns = 0;
        bool in_kernel = false;
        bool stalled = false;       // its last try moved no whole block
        std::vector<iovec> pieces;  // what is still to move
    };

    template <typename Byte>
    static void check_aligned(const IoFile& file, std::uint64_t offset, std::span<Byte> memory) {
        const std::uint64_t address = reinterpret_cast<std::uintptr_t>(memory.data());
        SLUICE_CHECK(!file.is_direct() || (offset | address | memory.size()) % kDirectIoAlign == 0);
    }
    Slot& take(Kind kind, IoFile& file, std::uint64_t offset, std::uint64_t token) {
        SLUICE_CHECK(in_flight_ < slots_.size() && "more requests than the queue is deep");
        Slot& slot = slots_[free_.back()];
        free_.pop_back();
        slot.kind = kind;
        slot.file = static_cast<PosixFile*>(&file);
        slot.offset = offset;
        slot.moved = slot.total = 0;
        slot.token = token;
        slot.stalled = false;
        slot.pieces.clear();
        if (in_flight_ == 0) busy_since_ns_ = steady_ns();
        counters_.max_in_flight = std::max(counters_.max_in_flight, ++in_flight_);
        return slot;
    }
    /// Before anything is thrown about a request: it no longer counts as in flight, or the destructor would wait for
    /// it.
    void release(Slot& slot) {
        slot.in_kernel = false;
        if (--in_flight_ == 0) counters_.busy_ns += steady_ns() - busy_since_ns_;
        free_.push_back(static_cast<std::size_t>(&slot - slots_.data()));
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
            case Kind::sync:
                ::io_prep_fdsync(&slot.control, fd);
                break;
        }
        slot.control.data = &slot;
        const int error = give_to_kernel(slot);
        if (error == 0) return;
        release(slot);
        if (slot.kind != Kind::sync || error != EINVAL) fail(slot, error);
        slot.file->sync_data();  // the kernel has no asynchronous sync for this file system
        on_the_spot_.push_back({slot.token, 0});
        ++in_flight_;
    }
    /// 0, or the errno with which io_submit refused.
    int give_to_kernel(Slot& slot) {
        iocb* control = &slot.control;
        const std::uint64_t begin_ns = slot.submitted_ns = steady_ns();
        slot.in_kernel = true;
        const Waiting waiting = noted(slot);  // full or frozen file systems block right here
        int rc = ::io_submit(context_, 1, &control);
        while ((rc == -EINTR || rc == -EAGAIN || rc == 0) && steady_ns() - begin_ns < kSubmitPatienceNs) {
            std::this_thread::yield();
            rc = ::io_submit(context_, 1, &control);
        }
        counters_.submit_ns += steady_ns() - begin_ns;
        return rc == 1 ? 0 : rc == 0 ? EAGAIN : -rc;
    }
    static const char* call_of(Kind kind) {
        return kind == Kind::read ? "read" : kind == Kind::write ? "write" : "fdatasync";
    }
    static Waiting noted(const Slot& slot) {
        return {WaitKind::disk, call_of(slot.kind), slot.file->path(), slot.offset, slot.total, slot.submitted_ns};
    }
    /// The request that has been in the kernel longest.
    const Slot& oldest() const {
        const Slot* found = nullptr;
        for (const Slot& slot : slots_) {
            if (slot.in_kernel && (found == nullptr || slot.submitted_ns < found->submitted_ns)) found = &slot;
        }
        SLUICE_CHECK(found != nullptr);
        return *found;
    }
    [[noreturn]] void fail(const Slot& slot, int error) const {
        throw_io_error(error, call_of(slot.kind), slot.file->path(), slot.offset + slot.moved, slot.total - slot.moved);
    }
    void reap(unsigned minimum, std::vector<IoCompletion>& done) {
        const std::uint64_t begin_ns = steady_ns();
        timespec no_wait{0, 0};
        long got = 0;
        {
            const Waiting waiting = noted(oldest());
            while ((got = ::io_getevents(context_, static_cast<long>(minimum), static_cast<long>(events_.size()),
                                         events_.data(), minimum == 0 ? &no_wait : nullptr)) == -EINTR) {
            }
        }
        this_worker().wait_io_ns.add(steady_ns() - begin_ns);
        if (got < 0) throw Error::from_errno(static_cast<int>(-got), "io_getevents", "queue");
        // The whole batch is taken in before a failure in it is thrown: these events come only once.
        std::exception_ptr first_failure;
        for (long i = 0; i < got; ++i) {
            const io_event& event = events_[static_cast<std::size_t>(i)];
            try {
                complete(*static_cast<Slot*>(event.data), static_cast<long>(event.res), done);
            } catch (...) {
                if (!first_failure) first_failure = std::current_exception();
            }
        }
        if (first_failure) std::rethrow_exception(first_failure);
    }
    void complete(Slot& slot, long result, std::vector<IoCompletion>& done) {
        if (result < 0) {
            release(slot);
            fail(slot, static_cast<int>(-result));
        }
        if (slot.kind != Kind::sync) {
            slot.moved += static_cast<std::uint64_t>(result);
            if (slot.moved < slot.total && !at_end_of_file(slot)) {
                continue_short(slot, static_cast<std::uint64_t>(result));
                return;
            }
            (slot.kind == Kind::read ? counters_.read_bytes : counters_.written_bytes) += slot.moved;
            ++(slot.kind == Kind::read ? counters_.read_requests : counters_.write_requests);
        }
        release(slot);
        done.push_back({slot.token, slot.moved});
    }
    static bool at_end_of_file(const Slot& slot) {
        return slot.kind == Kind::read && slot.offset + slot.moved >= slot.file->size_bytes();
    }
    /// Submits the rest of a request of which `bytes` were moved by the last try.
    void continue_short(Slot& slot, std::uint64_t bytes) {
        // Direct I/O goes on from a whole block: what a partial block brought is moved again.
        const std::uint64_t again = slot.file->is_direct() ? slot.moved % kDirectIoAlign : 0;
        std::uint64_t skip = bytes - again;
        if (std::exchange(slot.stalled, skip == 0) && skip == 0) {
            release(slot);
            fail(slot, EIO);
        }
        ++counters_.short_transfers;
        slot.moved -= again;
        auto piece = slot.pieces.begin();
        for (; skip >= piece->iov_len; ++piece) skip -= piece->iov_len;
        slot.pieces.erase(slot.pieces.begin(), piece);
        slot.pieces.front().iov_base = static_cast<std::byte*>(slot.pieces.front().iov_base) + skip;
        slot.pieces.front().iov_len -= skip;
        submit(slot);
    }

    std::shared_ptr<Contexts> contexts_;
    io_context_t context_;
    std::vector<Slot> slots_;
    std::vector<std::size_t> free_;
    std::vector<io_event> events_;
    std::vector<IoCompletion> on_the_spot_;  // syncs that the kernel would not take; in flight until waited for
    unsigned in_flight_ = 0;
    std::uint64_t busy_since_ns_ = 0;
    IoCounters counters_;
};

class LibaioBackend final : public IoBackend {
public:
    explicit LibaioBackend(DirectIo direct) : direct_(direct) {}
    std::unique_ptr<IoFile> open_for_read(const std::string& path) override {
        return open(path, PosixFile::Mode::read);
    }
    std::unique_ptr<IoFile> open_written(const std::string& path) override {
        return open(path, PosixFile::Mode::read_own);
    }
    std::unique_ptr<IoFile> create(const std::string& path) override { return open(path, PosixFile::Mode::create); }
    std::unique_ptr<IoFile> open_for_update(const std::string& path) override {
        return open(path, PosixFile::Mode::update);
    }
    std::unique_ptr<IoQueue> make_queue(unsigned depth) override {
        return std::make_unique<LibaioQueue>(contexts_, depth);
    }
    std::vector<std::string> cached_directories() const override { return cached_.directories(); }
    const char* name() const override { return "libaio"; }

private:
    std::unique_ptr<IoFile> open(const std::string& path, PosixFile::Mode mode) {
        return std::make_unique<PosixFile>(path, mode, direct_, cached_);
    }
    DirectIo direct_;
    CachedPlaces cached_;
    std::shared_ptr<Contexts> contexts_ = std::make_shared<Contexts>();
};

}  // namespace

std::unique_ptr<IoBackend> make_libaio_backend(DirectIo direct) { return std::make_unique<LibaioBackend>(direct); }

}  // namespace sluice
