// Windows among the ranks of one process. A put has left when its bytes were copied away, some turns later, and is at
// its destination only after a flush: as late as MPI allows, so that an announcement which overtakes it shows.
#include <algorithm>
#include <cstring>

#include "net/in_process.hpp"
#include "runtime/error.hpp"

namespace sluice {

class InProcessWindow final : public ReceiveWindow {
public:
    InProcessWindow(InProcessCluster& cluster, std::uint32_t rank, std::uint64_t bytes)
        : cluster_(cluster), rank_(rank), memory_(bytes) {
        Lock lock(cluster_.mutex_);
        cluster_.windows_[rank_] = memory_;
    }
    ~InProcessWindow() override {
        Lock lock(cluster_.mutex_);
        cluster_.windows_[rank_] = {};
    }
    std::span<std::byte> memory() noexcept override { return memory_; }
    void start_put(std::uint32_t destination, std::uint64_t offset, std::span<const std::byte> bytes,
                   std::uint64_t slot) override {
        started_.push_back({destination, offset, bytes, {}, slot});
        cluster_.doorbells_[rank_]->ring();
    }
    void test(std::vector<std::uint64_t>& done) override {
        if (turn_++ % 2 == 0) std::reverse(started_.begin(), started_.end());
        const std::size_t leaving = turn_ % 3 == 0 ? started_.size() : started_.size() / 2;
        for (std::size_t i = 0; i < leaving; ++i) {
            Put put = std::move(started_.back());
            started_.pop_back();
            put.copy.assign(put.bytes.begin(), put.bytes.end());
            done.push_back(put.slot);
            travelling_.push_back(std::move(put));
        }
        if (!started_.empty()) cluster_.doorbells_[rank_]->ring();
    }
    void flush(std::uint32_t destination) override {
        Lock lock(cluster_.mutex_);
        const std::span<std::byte> there = cluster_.windows_[destination];
        const auto lands = [&](const Put& put) {
            if (put.destination != destination) return false;
            if (there.empty()) return true;  // that rank has failed
            SLUICE_CHECK(put.offset + put.copy.size() <= there.size());
            std::memcpy(there.data() + put.offset, put.copy.data(), put.copy.size());
            WireFault& fault = cluster_.fault_;
            if (fault.kind == WireFault::Kind::corrupt_header && cluster_.sent_++ == fault.nth) {
                there[put.offset + 8] ^= std::byte{1};
                fault.fired = true;
            }
            return true;
        };
        std::erase_if(travelling_, lands);
    }
    void sync() override {}
    bool direct() const noexcept override { return false; }
    void close() override {}

private:
    struct Put {
        std::uint32_t destination = 0;
        std::uint64_t offset = 0;
        std::span<const std::byte> bytes;
        std::vector<std::byte> copy;
        std::uint64_t slot = 0;
    };
    InProcessCluster& cluster_;
    std::uint32_t rank_;
    std::vector<std::byte> memory_;
    std::vector<Put> started_, travelling_;
    unsigned turn_ = 0;
};

std::unique_ptr<ReceiveWindow> InProcessCluster::make_window(std::uint32_t rank, std::uint64_t bytes) {
    return std::make_unique<InProcessWindow>(*this, rank, bytes);
}

}  // namespace sluice
