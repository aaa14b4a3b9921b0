#include <algorithm>
#include <atomic>
#include <cerrno>
#include <deque>
#include <map>
#include <utility>

#include "io/io_backend.hpp"
#include "runtime/error.hpp"
#include "runtime/metrics.hpp"

namespace sluice {
namespace {

using Size = std::atomic<std::uint64_t>;

void raise_to(Size& size, std::uint64_t bytes) {
    for (std::uint64_t now = size; now < bytes && !size.compare_exchange_weak(now, bytes);) {
    }
}

class NullFile final : public IoFile {
public:
    NullFile(std::string path, std::shared_ptr<Size> size) : path_(std::move(path)), size_(std::move(size)) {}
    const std::string& path() const override { return path_; }
    std::uint64_t size_bytes() const override { return *size_; }
    FileIdentity identity() const override { return {*size_, 0, 0, 0, 0}; }
    void preallocate(std::uint64_t bytes) override { raise_to(*size_, bytes); }
    void truncate(std::uint64_t bytes) override { *size_ = bytes; }
    void sync_data() override {}
    void close_checked() override {}
    bool is_direct() const override { return true; }

private:
    std::string path_;
    std::shared_ptr<Size> size_;
};

/// First in, first out: all requests take equally long.
class NullQueue final : public IoQueue {
public:
    NullQueue(Executor& executor, std::uint64_t request_ns, unsigned depth)
        : executor_(executor), request_ns_(request_ns), depth_(depth) {}
    void read(IoFile& file, std::uint64_t offset, std::span<std::byte> memory, std::uint64_t token) override {
        const std::uint64_t size = file.size_bytes();
        const std::uint64_t bytes = std::min<std::uint64_t>(memory.size(), size - std::min(size, offset));
        std::fill_n(memory.begin(), bytes, std::byte{0});
        add(token, bytes, Kind::read);
    }
    void write(IoFile& file, std::uint64_t offset, std::span<const std::span<const std::byte>> pieces,
               std::uint64_t token) override {
        std::uint64_t bytes = 0;
        for (const auto& piece : pieces) bytes += piece.size();
        file.preallocate(offset + bytes);
        add(token, bytes, Kind::write);
    }
    void sync(IoFile&, std::uint64_t token) override { add(token, 0, Kind::sync); }
    void wait(unsigned minimum, std::vector<IoCompletion>& done) override {
        SLUICE_CHECK(minimum <= in_flight_.size() && "would wait for ever");
        if (minimum > 0) {
            const std::uint64_t due_ns = in_flight_[minimum - 1].due_ns, begin_ns = executor_.now_ns();
            if (due_ns > begin_ns) executor_.sleep_for_ns(due_ns - begin_ns);
            this_worker().wait_io_ns.add(executor_.now_ns() - begin_ns);
        }
        const std::uint64_t now_ns = executor_.now_ns();
        for (unsigned given = 0; !in_flight_.empty() && (given < minimum || in_flight_.front().due_ns <= now_ns);
             ++given) {
            count(in_flight_.front());
            done.push_back(in_flight_.front().completion);
            in_flight_.pop_front();
        }
    }
    unsigned in_flight() const override { return static_cast<unsigned>(in_flight_.size()); }
    unsigned depth() const override { return depth_; }
    IoCounters counters() const override { return counters_; }

private:
    enum class Kind { read, write, sync };
    struct Request {
        std::uint64_t due_ns;
        Kind kind;
        IoCompletion completion;
    };
    void add(std::uint64_t token, std::uint64_t bytes, Kind kind) {
        SLUICE_CHECK(in_flight_.size() < depth_ && "more requests than the queue is deep");
        in_flight_.push_back({executor_.now_ns() + request_ns_, kind, {token, bytes}});
        counters_.max_in_flight = std::max(counters_.max_in_flight, in_flight());
    }
    void count(const Request& request) {
        if (request.kind == Kind::read) {
            counters_.read_bytes += request.completion.bytes;
            ++counters_.read_requests;
        } else if (request.kind == Kind::write) {
            counters_.written_bytes += request.completion.bytes;
            ++counters_.write_requests;
        }
    }

    Executor& executor_;
    std::uint64_t request_ns_;
    unsigned depth_;
    std::deque<Request> in_flight_;
    IoCounters counters_;
};

class NullBackend final : public IoBackend {
public:
    NullBackend(Executor& executor, std::uint64_t request_ns)
        : executor_(executor), request_ns_(request_ns), mutex_(executor) {}
    std::unique_ptr<IoFile> open_for_read(const std::string& path) override { return open(path, Errc::input); }
    std::unique_ptr<IoFile> open_for_update(const std::string& path) override { return open(path, Errc::environment); }
    std::unique_ptr<IoFile> create(const std::string& path) override {
        Lock lock(mutex_);
        const auto [entry, fresh] = sizes_.emplace(path, std::make_shared<Size>(0));
        if (!fresh) throw Error::from_errno(EEXIST, "create", path, Errc::config);
        return std::make_unique<NullFile>(path, entry->second);
    }
    std::unique_ptr<IoQueue> make_queue(unsigned depth) override {
        return std::make_unique<NullQueue>(executor_, request_ns_, depth);
    }
    const char* name() const override { return "null"; }

private:
    std::unique_ptr<IoFile> open(const std::string& path, Errc if_missing) {
        Lock lock(mutex_);
        const auto found = sizes_.find(path);
        if (found == sizes_.end()) throw Error::from_errno(ENOENT, "open", path, if_missing);
        return std::make_unique<NullFile>(path, found->second);
    }
    Executor& executor_;
    std::uint64_t request_ns_;
    Mutex mutex_;
    std::map<std::string, std::shared_ptr<Size>> sizes_;
};

}  // namespace

std::unique_ptr<IoBackend> make_null_backend(Executor& executor, std::uint64_t request_ns) {
    return std::make_unique<NullBackend>(executor, request_ns);
}

}  // namespace sluice
