#include "io/memory_backend.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "record/record_format.hpp"
#include "runtime/error.hpp"
#include "runtime/rng.hpp"

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
    void preallocate(std::uint64_t bytes) override {
        Lock lock(disk_.mutex);
        if (content_->bytes.size() < bytes) content_->bytes.resize(bytes);
    }
    void truncate(std::uint64_t bytes) override {
        Lock lock(disk_.mutex);
        content_->bytes.resize(bytes);
    }
    void sync_data() override {}
    void close_checked() override {}
    bool is_direct() const override { return true; }
    std::uint64_t read(std::uint64_t offset, std::span<std::byte> memory) const {
        Lock lock(disk_.mutex);
        if (offset >= content_->bytes.size()) return 0;
        const std::uint64_t bytes = std::min<std::uint64_t>(memory.size(), content_->bytes.size() - offset);
        std::memcpy(memory.data(), content_->bytes.data() + offset, bytes);
        return bytes;
    }
    void write(std::uint64_t offset, std::span<const std::byte> bytes) {
        Lock lock(disk_.mutex);
        if (content_->bytes.size() < offset + bytes.size()) content_->bytes.resize(offset + bytes.size());
        std::memcpy(content_->bytes.data() + offset, bytes.data(), bytes.size());
    }

private:
    MemoryDisk& disk_;
    std::string path_;
    std::shared_ptr<MemoryDisk::Content> content_;
};

class MemoryQueue final : public IoQueue {
public:
    MemoryQueue(Executor& executor, std::uint64_t seed, std::uint64_t max_latency_ns, unsigned depth)
        : executor_(executor), rng_(seed), max_latency_ns_(max_latency_ns), depth_(depth) {}

    void read(IoFile& file, std::uint64_t offset, std::span<std::byte> memory, std::uint64_t token) override {
        check_aligned(offset, memory);
        const std::uint64_t bytes = static_cast<MemoryFile&>(file).read(offset, memory);
        counters_.read_bytes += bytes;
        ++counters_.read_requests;
        add(token, bytes);
    }
    void write(IoFile& file, std::uint64_t offset, std::span<const std::span<const std::byte>> pieces,
               std::uint64_t token) override {
        std::uint64_t moved = 0;
        for (const auto& piece : pieces) {
            check_aligned(offset + moved, piece);
            static_cast<MemoryFile&>(file).write(offset + moved, piece);
            moved += piece.size();
        }
        counters_.written_bytes += moved;
        ++counters_.write_requests;
        add(token, moved);
    }
    void sync(IoFile&, std::uint64_t token) override { add(token, 0); }
    void wait(unsigned minimum, std::vector<IoCompletion>& done) override {
        SLUICE_CHECK(minimum <= pending_.size());
        std::sort(pending_.begin(), pending_.end(),
                  [](const Pending& a, const Pending& b) { return a.due_ns < b.due_ns; });
        if (minimum > 0) {
            const std::uint64_t due_ns = pending_[minimum - 1].due_ns, now_ns = executor_.now_ns();
            if (due_ns > now_ns) executor_.sleep_for_ns(due_ns - now_ns);
        }
        const std::uint64_t now_ns = executor_.now_ns();
        std::size_t ready = 0;
        for (; ready < pending_.size() && (ready < minimum || pending_[ready].due_ns <= now_ns); ++ready)
            done.push_back(pending_[ready].completion);
        pending_.erase(pending_.begin(), pending_.begin() + static_cast<std::ptrdiff_t>(ready));
    }
    unsigned in_flight() const override { return static_cast<unsigned>(pending_.size()); }
    unsigned depth() const override { return depth_; }
    IoCounters counters() const override { return counters_; }

private:
    struct Pending {
        std::uint64_t due_ns;
        IoCompletion completion;
    };
    template <typename Byte>
    static void check_aligned(std::uint64_t offset, std::span<Byte> memory) {
        if (offset % kDirectIoAlign != 0 || memory.size() % kDirectIoAlign != 0 ||
            reinterpret_cast<std::uintptr_t>(memory.data()) % kDirectIoAlign != 0) {
            throw Error(Errc::device, "memory disk: misaligned request of " + std::to_string(memory.size()) +
                                          " bytes at " + std::to_string(offset) + ": Invalid argument");
        }
    }
    void add(std::uint64_t token, std::uint64_t bytes) {
        SLUICE_CHECK(pending_.size() < depth_ && "more requests than the queue is deep");
        pending_.push_back({executor_.now_ns() + rng_.below(max_latency_ns_ + 1), {token, bytes}});
        counters_.max_in_flight = std::max(counters_.max_in_flight, in_flight());
    }

    Executor& executor_;
    Rng rng_;
    std::uint64_t max_latency_ns_;
    unsigned depth_;
    std::vector<Pending> pending_;
    IoCounters counters_;
};

class MemoryBackend final : public IoBackend {
public:
    MemoryBackend(Executor& executor, MemoryDisk& disk, std::uint64_t seed, std::uint64_t max_latency_ns)
        : executor_(executor), disk_(disk), seed_(seed), max_latency_ns_(max_latency_ns) {}
    std::unique_ptr<IoFile> open_for_read(const std::string& path) override { return open(path); }
    std::unique_ptr<IoFile> open_for_update(const std::string& path) override { return open(path); }
    std::unique_ptr<IoFile> create(const std::string& path) override {
        Lock lock(disk_.mutex);
        auto& content = disk_.files[path];
        if (content) throw Error(Errc::device, "create '" + path + "': File exists");
        content = std::make_shared<MemoryDisk::Content>();
        return std::make_unique<MemoryFile>(disk_, path, content);
    }
    std::unique_ptr<IoQueue> make_queue(unsigned depth) override {
        Lock lock(disk_.mutex);
        return std::make_unique<MemoryQueue>(executor_, seed_ += 0x9e37, max_latency_ns_, depth);
    }
    const char* name() const override { return "memory"; }

private:
    std::unique_ptr<IoFile> open(const std::string& path) {
        Lock lock(disk_.mutex);
        const auto found = disk_.files.find(path);
        if (found == disk_.files.end()) throw Error(Errc::input, "open '" + path + "': No such file or directory");
        return std::make_unique<MemoryFile>(disk_, path, found->second);
    }
    Executor& executor_;
    MemoryDisk& disk_;
    std::uint64_t seed_, max_latency_ns_;
};

class MemoryFileSystem final : public FileSystem {
public:
    explicit MemoryFileSystem(MemoryDisk& disk) : disk_(disk) {}
    void make_directories(const std::string& path) override {
        Lock lock(disk_.mutex);
        disk_.directories[path] = true;
    }
    std::optional<FileInfo> info(const std::string& path) override {
        Lock lock(disk_.mutex);
        if (const auto file = disk_.files.find(path); file != disk_.files.end()) {
            return FileInfo{file->second->bytes.size(),
                            1,
                            reinterpret_cast<std::uintptr_t>(file->second.get()),
                            0,
                            true,
                            false,
                            true};
        }
        if (disk_.directories.count(path) != 0 || has_children(path)) return FileInfo{0, 1, 0, 0, false, true, true};
        return std::nullopt;
    }
    std::vector<std::string> list(const std::string& directory) override {
        Lock lock(disk_.mutex);
        std::vector<std::string> names;
        for (const auto& [path, content] : disk_.files) {
            if (path.rfind(directory + "/", 0) == 0 && path.find('/', directory.size() + 1) == std::string::npos)
                names.push_back(path.substr(directory.size() + 1));
        }
        return names;
    }
    std::vector<std::string> glob(const std::string& pattern) override { return {pattern}; }
    void remove_file(const std::string& path) override {
        Lock lock(disk_.mutex);
        if (disk_.files.erase(path) == 0) throw Error(Errc::device, "unlink '" + path + "': No such file or directory");
    }
    void remove_empty_directory(const std::string& path) override {
        Lock lock(disk_.mutex);
        disk_.directories.erase(path);
    }
    void rename_no_replace(const std::string& from, const std::string& to) override {
        Lock lock(disk_.mutex);
        if (has_children(to) || disk_.directories.count(to) != 0)
            throw Error(Errc::config, "rename '" + from + "' to '" + to + "': that name exists");
        std::map<std::string, std::shared_ptr<MemoryDisk::Content>> moved;
        for (auto& [path, content] : disk_.files)
            moved[path.rfind(from + "/", 0) == 0 ? to + path.substr(from.size()) : path] = content;
        disk_.files = std::move(moved);
        disk_.directories.erase(from);
        disk_.directories[to] = true;
    }
    void sync_directory(const std::string&) override {}
    void write_durably(const std::string& path, const std::string& text) override {
        Lock lock(disk_.mutex);
        auto content = std::make_shared<MemoryDisk::Content>();
        const auto* begin = reinterpret_cast<const std::byte*>(text.data());
        content->bytes.assign(begin, begin + text.size());
        disk_.files[path] = std::move(content);
    }
    std::string read_text(const std::string& path) override {
        Lock lock(disk_.mutex);
        const auto found = disk_.files.find(path);
        if (found == disk_.files.end()) throw Error(Errc::input, "open '" + path + "': No such file or directory");
        return {reinterpret_cast<const char*>(found->second->bytes.data()), found->second->bytes.size()};
    }
    std::uint64_t free_bytes(const std::string&) override { return std::uint64_t{1} << 50; }
    bool is_writable(const std::string&) override { return true; }
    std::string real_path(const std::string& path) override { return path; }
    std::uint32_t direct_io_alignment(const std::string&) override { return kDirectIoAlign; }

private:
    bool has_children(const std::string& path) const {
        const auto next = disk_.files.lower_bound(path + "/");
        return next != disk_.files.end() && next->first.rfind(path + "/", 0) == 0;
    }
    MemoryDisk& disk_;
};

}  // namespace

std::unique_ptr<IoBackend> make_memory_backend(Executor& executor, MemoryDisk& disk, std::uint64_t seed,
                                               std::uint64_t max_latency_ns) {
    return std::make_unique<MemoryBackend>(executor, disk, seed, max_latency_ns);
}
std::unique_ptr<FileSystem> make_memory_file_system(MemoryDisk& disk) {
    return std::make_unique<MemoryFileSystem>(disk);
}

}  // namespace sluice
