#include <algorithm>
#include <mutex>
#include <utility>

#include "io/posix_file.hpp"
#include "runtime/error.hpp"
#include "simulated/fault_backend.hpp"

namespace sluice {
namespace {

using Operation = IoFault::Operation;

const char* name_of(Operation operation) {
    switch (operation) {
        case Operation::read:
            return "read";
        case Operation::write:
            return "write";
        case Operation::sync:
            return "fdatasync";
        case Operation::close:
            return "close";
        case Operation::preallocate:
            return "fallocate";
    }
    return "";
}

/// Shared by the queues and files of one faulty back end.
struct FaultState {
    IoFault fault;
    std::function<void(const std::string&)> fired;
    std::mutex mutex;
    std::uint64_t seen = 0;

    /// Counts a matching operation; true for the nth.
    bool strikes(Operation operation, const std::string& path) {
        if (operation != fault.operation || path.find(fault.path_contains) == std::string::npos) return false;
        std::lock_guard lock(mutex);
        return seen++ == fault.nth;
    }
    void report(const std::string& path, std::uint64_t offset) const {
        fired(std::string(name_of(fault.operation)) + " " + path + " at " + std::to_string(offset) + " -> " +
              (fault.flip_bit ? "a flipped bit" : "errno " + std::to_string(fault.error)));
    }
    [[noreturn]] void fail(const std::string& path, std::uint64_t offset, std::uint64_t bytes) const {
        report(path, offset);
        throw_io_error(fault.error, name_of(fault.operation), path, offset, bytes);
    }
};

class FaultFile final : public IoFile {
public:
    FaultFile(std::unique_ptr<IoFile> inner, FaultState& state) : inner_(std::move(inner)), state_(state) {}
    const std::string& path() const override { return inner_->path(); }
    std::uint64_t size_bytes() const override { return inner_->size_bytes(); }
    FileIdentity identity() const override { return inner_->identity(); }
    void preallocate(std::uint64_t bytes) override {
        if (state_.strikes(Operation::preallocate, path())) state_.fail(path(), 0, bytes);
        inner_->preallocate(bytes);
    }
    void truncate(std::uint64_t bytes) override { inner_->truncate(bytes); }
    void sync_data() override {
        if (state_.strikes(Operation::sync, path())) state_.fail(path(), 0, 0);
        inner_->sync_data();
    }
    void close_checked() override {
        if (state_.strikes(Operation::close, path())) state_.fail(path(), 0, 0);
        inner_->close_checked();
    }
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
        strike(Operation::read, file, offset, memory.size(), token, memory);
        inner_->read(inner_of(file), offset, memory, token);
    }
    void write(IoFile& file, std::uint64_t offset, std::span<const std::span<const std::byte>> pieces,
               std::uint64_t token) override {
        std::uint64_t bytes = 0;
        for (const auto& piece : pieces) bytes += piece.size();
        strike(Operation::write, file, offset, bytes, token, {});
        inner_->write(inner_of(file), offset, pieces, token);
    }
    void sync(IoFile& file, std::uint64_t token) override {
        strike(Operation::sync, file, 0, 0, token, {});
        inner_->sync(inner_of(file), token);
    }
    void wait(unsigned minimum, std::vector<IoCompletion>& done) override {
        const std::size_t before = done.size();
        inner_->wait(minimum, done);
        if (!struck_.pending) return;
        const auto first = done.begin() + static_cast<std::ptrdiff_t>(before);
        const auto hit = std::find_if(first, done.end(), [&](const auto& each) { return each.token == struck_.token; });
        if (hit == done.end()) return;
        struck_.pending = false;
        if (state_.fault.flip_bit) {
            if (hit->bytes == 0) return;  // nothing was read, nothing can flip
            state_.report(struck_.path, struck_.offset);
            struck_.memory[hit->bytes / 2] ^= std::byte{0x10};
            return;
        }
        done.erase(hit);
        state_.fail(struck_.path, struck_.offset, struck_.bytes);
    }
    unsigned in_flight() const override { return inner_->in_flight(); }
    unsigned depth() const override { return inner_->depth(); }
    IoCounters counters() const override { return inner_->counters(); }

private:
    struct Struck {
        bool pending = false;
        std::string path;
        std::uint64_t offset = 0, bytes = 0, token = 0;
        std::span<std::byte> memory;
    };
    static IoFile& inner_of(IoFile& file) { return static_cast<FaultFile&>(file).inner(); }
    void strike(Operation operation, IoFile& file, std::uint64_t offset, std::uint64_t bytes, std::uint64_t token,
                std::span<std::byte> memory) {
        if (!state_.strikes(operation, file.path())) return;
        if (!state_.fault.at_completion && !state_.fault.flip_bit) state_.fail(file.path(), offset, bytes);
        struck_ = {true, file.path(), offset, bytes, token, memory};
    }

    std::unique_ptr<IoQueue> inner_;
    FaultState& state_;
    Struck struck_;
};

class FaultBackend final : public IoBackend {
public:
    FaultBackend(std::unique_ptr<IoBackend> inner, IoFault fault, std::function<void(const std::string&)> fired)
        : inner_(std::move(inner)) {
        SLUICE_CHECK(!fault.flip_bit || fault.operation == Operation::read);
        state_.fault = std::move(fault);
        state_.fired = std::move(fired);
    }
    std::unique_ptr<IoFile> open_for_read(const std::string& path) override {
        return wrap(inner_->open_for_read(path));
    }
    std::unique_ptr<IoFile> open_written(const std::string& path) override { return wrap(inner_->open_written(path)); }
    std::unique_ptr<IoFile> create(const std::string& path) override { return wrap(inner_->create(path)); }
    std::unique_ptr<IoFile> open_for_update(const std::string& path) override {
        return wrap(inner_->open_for_update(path));
    }
    std::unique_ptr<IoQueue> make_queue(unsigned depth) override {
        return std::make_unique<FaultQueue>(inner_->make_queue(depth), state_);
    }
    std::vector<std::string> cached_directories() const override { return inner_->cached_directories(); }
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
