#include <cerrno>
#include <mutex>

#include "io/io_backend.hpp"
#include "io/posix_file.hpp"

namespace sluice {
namespace {

struct FaultState {
    IoFault fault;
    std::function<void(const std::string&)> fired;
    std::mutex mutex;
    std::uint64_t seen = 0;

    /// Counts a matching operation; throws the planned error at the nth.
    void check(IoFault::Operation operation, const char* call, const IoFile& file, std::uint64_t offset,
               std::uint64_t bytes) {
        if (operation != fault.operation || file.path().find(fault.path_contains) == std::string::npos) return;
        {
            std::lock_guard lock(mutex);
            if (seen++ != fault.nth) return;
        }
        fired(std::string(call) + " " + file.path() + " at " + std::to_string(offset) + " -> errno " +
              std::to_string(fault.error));
        throw_io_error(fault.error, call, file.path(), offset, bytes);
    }
};

/// Passes everything on but the sync, which may be the one to fail.
class FaultFile final : public IoFile {
public:
    FaultFile(std::unique_ptr<IoFile> inner, FaultState& state) : inner_(std::move(inner)), state_(state) {}
    const std::string& path() const override { return inner_->path(); }
    std::uint64_t size_bytes() const override { return inner_->size_bytes(); }
    void preallocate(std::uint64_t bytes) override { inner_->preallocate(bytes); }
    void truncate(std::uint64_t bytes) override { inner_->truncate(bytes); }
    void sync_data() override {
        state_.check(IoFault::Operation::sync, "fdatasync", *inner_, 0, 0);
        inner_->sync_data();
    }
    void close_checked() override { inner_->close_checked(); }
    bool is_direct() const override { return inner_->is_direct(); }
    IoFile& inner() { return *inner_; }

private:
    std::unique_ptr<IoFile> inner_;
    FaultState& state_;
};

class FaultQueue final : public IoQueue {
public:
    FaultQueue(std::unique_ptr<IoQueue> inner, FaultState& state) : inner_(std::move(inner)), state_(state) {}
    void read(IoFile& file, std::uint64_t offset, std::span<std::byte> memory, std::uint64_t token) override {
        state_.check(IoFault::Operation::read, "read", file, offset, memory.size());
        inner_->read(static_cast<FaultFile&>(file).inner(), offset, memory, token);
    }
    void write(IoFile& file, std::uint64_t offset, std::span<const std::span<const std::byte>> pieces,
               std::uint64_t token) override {
        std::uint64_t bytes = 0;
        for (const auto& piece : pieces) bytes += piece.size();
        state_.check(IoFault::Operation::write, "write", file, offset, bytes);
        inner_->write(static_cast<FaultFile&>(file).inner(), offset, pieces, token);
    }
    void sync(IoFile& file, std::uint64_t token) override {
        state_.check(IoFault::Operation::sync, "fdatasync", file, 0, 0);
        inner_->sync(static_cast<FaultFile&>(file).inner(), token);
    }
    void wait(unsigned minimum, std::vector<IoCompletion>& done) override { inner_->wait(minimum, done); }
    unsigned in_flight() const override { return inner_->in_flight(); }
    unsigned depth() const override { return inner_->depth(); }
    IoCounters counters() const override { return inner_->counters(); }

private:
    std::unique_ptr<IoQueue> inner_;
    FaultState& state_;
};

class FaultBackend final : public IoBackend {
public:
    FaultBackend(std::unique_ptr<IoBackend> inner, IoFault fault, std::function<void(const std::string&)> fired)
        : inner_(std::move(inner)) {
        state_.fault = std::move(fault);
        state_.fired = std::move(fired);
    }
    std::unique_ptr<IoFile> open_for_read(const std::string& path) override {
        return wrap(inner_->open_for_read(path));
    }
    std::unique_ptr<IoFile> create(const std::string& path) override { return wrap(inner_->create(path)); }
    std::unique_ptr<IoFile> open_for_update(const std::string& path) override {
        return wrap(inner_->open_for_update(path));
    }
    std::unique_ptr<IoQueue> make_queue(unsigned depth) override {
        return std::make_unique<FaultQueue>(inner_->make_queue(depth), state_);
    }
    const char* name() const override { return inner_->name(); }

private:
    std::unique_ptr<IoFile> wrap(std::unique_ptr<IoFile> file) {
        return std::make_unique<FaultFile>(std::move(file), state_);
    }
    std::unique_ptr<IoBackend> inner_;
    FaultState state_;
};

}  // namespace

std::unique_ptr<IoBackend> make_fault_backend(std::unique_ptr<IoBackend> inner, IoFault fault,
                                              std::function<void(const std::string&)> fired) {
    return std::make_unique<FaultBackend>(std::move(inner), std::move(fault), std::move(fired));
}

}  // namespace sluice
