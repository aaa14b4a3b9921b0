#include "simulated/memory_backend.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <exception>
#include <utility>

#include "record/record_format.hpp"
#include "runtime/error.hpp"
#include "runtime/metrics.hpp"
#include "runtime/rng.hpp"
#include "runtime/units.hpp"

namespace sluice {
namespace {

class MemoryFile final : public IoFile {
public:
    MemoryFile(MemoryDisk& disk, std::string path, std::shared_ptr<MemoryDisk::Content> content)
        : disk_(disk), path_(std::move(path)), content_(std::move(content)) {}
    const std::string& path() const override { return path_; }
    std::uint64_t size_bytes() const override {
        Lock lock(disk_.mutex);
        return content_->bytes.size();
    }
    FileIdentity identity() const override {
        Lock lock(disk_.mutex);
        return disk_.identity_of(content_);
    }
    void preallocate(std::uint64_t bytes) override {
        Lock lock(disk_.mutex);
        disk_.about_to("preallocate", path_);
        disk_.grow(*content_, path_, bytes);
    }
    void truncate(std::uint64_t bytes) override {
        Lock lock(disk_.mutex);
        disk_.about_to("truncate", path_);
        disk_.grow(*content_, path_, bytes);
        content_->bytes.resize(bytes);
        disk_.touch(*content_);
    }
    void sync_data() override {
        Lock lock(disk_.mutex);
        disk_.sync_bytes(*content_);
    }
    void close_checked() override {}
    bool is_direct() const override { return true; }
    const std::shared_ptr<MemoryDisk::Content>& content() const { return content_; }

private:
    MemoryDisk& disk_;
    std::string path_;
    std::shared_ptr<MemoryDisk::Content> content_;
};

class MemoryQueue final : public IoQueue {
public:
    MemoryQueue(Executor& executor, MemoryDisk& disk, std::uint64_t seed, std::uint64_t max_latency_ns, unsigned depth)
        : executor_(executor), disk_(disk), rng_(seed), max_latency_ns_(max_latency_ns), depth_(depth) {}

    void read(IoFile& file, std::uint64_t offset, std::span<std::byte> memory, std::uint64_t token) override {
        check_aligned(offset, memory);
        Request request = make_request(Kind::read, file, offset, token);
        request.pieces.push_back(memory);
        add(std::move(request));
    }
    void write(IoFile& file, std::uint64_t offset, std::span<const std::span<const std::byte>> pieces,
               std::uint64_t token) override {
        Request request = make_request(Kind::write, file, offset, token);
        for (const auto& piece : pieces) {
            check_aligned(offset, piece);
            request.pieces.push_back({const_cast<std::byte*>(piece.data()), piece.size()});
        }
        add(std::move(request));
    }
    void sync(IoFile& file, std::uint64_t token) override { add(make_request(Kind::sync, file, 0, token)); }
    void wait(unsigned minimum, std::vector<IoCompletion>& done) override {
        SLUICE_CHECK(minimum <= in_flight_.size() && "would wait for ever");
        std::sort(in_flight_.begin(), in_flight_.end(),
                  [](const Request& a, const Request& b) { return a.due_ns < b.due_ns; });
        if (minimum > 0) {
            const std::uint64_t due_ns = in_flight_[minimum - 1].due_ns, begin_ns = executor_.now_ns();
            if (due_ns > begin_ns) executor_.sleep_for_ns(due_ns - begin_ns);
            this_worker().wait_io_ns.add(executor_.now_ns() - begin_ns);
        }
        const std::uint64_t now_ns = executor_.now_ns();
        std::size_t ready = 0;
        while (ready < in_flight_.size() && (ready < minimum || in_flight_[ready].due_ns <= now_ns)) ++ready;
        finish(ready, done);
    }
    unsigned in_flight() const override { return static_cast<unsigned>(in_flight_.size()); }
    unsigned depth() const override { return depth_; }
    IoCounters counters() const override { return counters_; }

private:
    enum class Kind { read, write, sync };
    struct Request {
        Kind kind;
        std::string path;
        std::shared_ptr<MemoryDisk::Content> content;
        std::uint64_t offset, token, due_ns;
        std::vector<std::span<std::byte>> pieces;
    };

    template <typename Byte>
    static void check_aligned(std::uint64_t offset, std::span<Byte> memory) {
        const std::uint64_t address = reinterpret_cast<std::uintptr_t>(memory.data());
        SLUICE_CHECK((offset | address | memory.size()) % kDirectIoAlign == 0);
    }
    Request make_request(Kind kind, IoFile& file, std::uint64_t offset, std::uint64_t token) {
        const std::uint64_t due_ns = executor_.now_ns() + rng_.below(max_latency_ns_ + 1);
        return {kind, file.path(), static_cast<MemoryFile&>(file).content(), offset, token, due_ns, {}};
    }
    void add(Request request) {
        SLUICE_CHECK(in_flight_.size() < depth_ && "more requests than the queue is deep");
        in_flight_.push_back(std::move(request));
        counters_.max_in_flight = std::max(counters_.max_in_flight, in_flight());
    }
    /// Carries out the first `count` requests; throws the first failure after all of them.
    void finish(std::size_t count, std::vector<IoCompletion>& done) {
        std::exception_ptr first_failure;
        Lock lock(disk_.mutex);
        for (std::size_t i = 0; i < count; ++i) {
            try {
                done.push_back({in_flight_[i].token, carry_out(in_flight_[i])});
            } catch (...) {
                if (!first_failure) first_failure = std::current_exception();
            }
        }
        in_flight_.erase(in_flight_.begin(), in_flight_.begin() + static_cast<std::ptrdiff_t>(count));
        if (first_failure) std::rethrow_exception(first_failure);
    }
    std::uint64_t carry_out(const Request& request) {
        std::uint64_t moved = 0;
        MemoryDisk::Content& content = *request.content;
        if (request.kind == Kind::write) {
            disk_.about_to("write", request.path);
            for (const auto& piece : request.pieces) moved += piece.size();
            disk_.grow(content, request.path, request.offset + moved);
            std::byte* to = content.bytes.data() + request.offset;
            for (const auto& piece : request.pieces) to = std::copy(piece.begin(), piece.end(), to);
            disk_.touch(content);
            counters_.written_bytes += moved;
            ++counters_.write_requests;
        } else if (request.kind == Kind::read) {
            const std::uint64_t there = content.bytes.size() - std::min(content.bytes.size(), request.offset);
            moved = std::min<std::uint64_t>(request.pieces.front().size(), there);
            if (moved > 0) std::memcpy(request.pieces.front().data(), content.bytes.data() + request.offset, moved);
            counters_.read_bytes += moved;
            ++counters_.read_requests;
        } else {
            disk_.sync_bytes(content);
        }
        return moved;
    }

    Executor& executor_;
    MemoryDisk& disk_;
    Rng rng_;
    std::uint64_t max_latency_ns_;
    unsigned depth_;
    std::vector<Request> in_flight_;
    IoCounters counters_;
};

class MemoryBackend final : public IoBackend {
public:
    MemoryBackend(Executor& executor, MemoryDisk& disk, std::uint64_t seed, std::uint64_t max_latency_ns)
        : executor_(executor), disk_(disk), seed_(seed), max_latency_ns_(max_latency_ns) {}
    std::unique_ptr<IoFile> open_for_read(const std::string& path) override { return open(path, Errc::input); }
    std::unique_ptr<IoFile> open_for_update(const std::string& path) override { return open(path, Errc::environment); }
    std::unique_ptr<IoFile> create(const std::string& path) override {
        Lock lock(disk_.mutex);
        if (disk_.has_file(path) || disk_.has_directory(path))
            throw Error::from_errno(EEXIST, "create", path, Errc::config);
        if (!disk_.has_directory(path.substr(0, path.rfind('/'))))
            throw Error::from_errno(ENOENT, "create", path, Errc::environment);
        disk_.about_to("create", path);
        auto& content = disk_.files[path];
        content = std::make_shared<MemoryDisk::Content>();
        disk_.touch(*content);
        return std::make_unique<MemoryFile>(disk_, path, content);
    }
    std::unique_ptr<IoQueue> make_queue(unsigned depth) override {
        Lock lock(disk_.mutex);
        return std::make_unique<MemoryQueue>(executor_, disk_, seed_ += 0x9e37, max_latency_ns_, depth);
    }
    const char* name() const override { return "memory"; }

private:
    std::unique_ptr<IoFile> open(const std::string& path, Errc if_missing) {
        Lock lock(disk_.mutex);
        const auto found = disk_.files.find(path);
        if (found == disk_.files.end()) throw Error::from_errno(ENOENT, "open", path, if_missing);
        return std::make_unique<MemoryFile>(disk_, path, found->second);
    }
    Executor& executor_;
    MemoryDisk& disk_;
    std::uint64_t seed_, max_latency_ns_;
};

}  // namespace

std::uint64_t MemoryDisk::free_bytes() const {
    std::uint64_t used = 0;
    for (const auto& [path, content] : files) used += content->bytes.size();
    return capacity_bytes - std::min(capacity_bytes, used);
}

void MemoryDisk::grow(Content& content, const std::string& path, std::uint64_t bytes) {
    const std::uint64_t now_bytes = content.bytes.size();
    if (bytes <= now_bytes) return;
    const std::uint64_t left = free_bytes();
    if (bytes - now_bytes > left) {
        throw Error(Errc::space, "grow '" + path + "': " + format_bytes(bytes - now_bytes) + " needed, " +
                                     format_bytes(left) + " free on that disk; free space or add a disk");
    }
    content.bytes.resize(bytes);
    touch(content);
}

std::unique_ptr<IoBackend> make_memory_backend(Executor& executor, MemoryDisk& disk, std::uint64_t seed,
                                               std::uint64_t max_latency_ns) {
    return std::make_unique<MemoryBackend>(executor, disk, seed, max_latency_ns);
}

}  // namespace sluice
