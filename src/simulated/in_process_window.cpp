// Windows among the ranks of one process. A put has left when its bytes were copied away, some turns later, and is at
// its destination after a flush, or, when it was pushed, in two halves, each some turns later: as late and as torn as
// MPI allows, so that an announcement which overtakes it shows.
#include <algorithm>
#include <cstring>
#include <utility>

#include "runtime/error.hpp"
#include "simulated/in_process.hpp"

namespace sluice {

class InProcessWindow final : public ReceiveWindow {
public:
    InProcessWindow(InProcessCluster& cluster, std::uint32_t rank, std::uint64_t bytes, bool shared)
        : cluster_(cluster), rank_(rank), own_(shared ? 0 : bytes), shared_(shared) {
        Lock lock(cluster_.mutex_);
        memory_ = shared ? cluster_.shared_.emplace_back(bytes) : own_;
        cluster_.windows_[rank_] = memory_;
    }
    ~InProcessWindow() override {
        Lock lock(cluster_.mutex_);
        cluster_.windows_[rank_] = {};
        for (const auto* puts : {&started_, &travelling_})
            for (const Put& put : *puts) --cluster_.puts_under_way_[put.destination];
    }
    std::span<std::byte> memory() noexcept override { return memory_; }
    std::span<std::byte> memory_of(std::uint32_t rank) override {
        Lock lock(cluster_.mutex_);
        return cluster_.windows_[rank];
    }
    void start_put(std::uint32_t destination, std::uint64_t offset, std::span<const std::byte> bytes,
                   std::uint64_t slot) override {
        started_.push_back({destination, offset, bytes, {}, slot});
        {
            Lock lock(cluster_.mutex_);
            ++cluster_.puts_under_way_[destination];
        }
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
        if (turn_ % 2 == 0) land_pushed();
        if (!started_.empty() || !travelling_.empty()) cluster_.doorbells_[rank_]->ring();
    }
    void push(std::uint32_t destination) override {
        for (Put& put : travelling_) put.pushed = put.pushed || put.destination == destination;
        cluster_.doorbells_[rank_]->ring();
    }
    void flush(std::uint32_t destination) override {
        Lock lock(cluster_.mutex_);
        std::erase_if(travelling_, [&](const Put& put) {
            if (put.destination != destination) return false;
            land(put, 0, put.copy.size());
            --cluster_.puts_under_way_[destination];
            return true;
        });
        cluster_.doorbells_[destination]->ring();
    }
    void sync() override { cluster_.doorbells_[rank_]->ring(); }  // who reads in vain looks again
    /// Exact here: once nothing is on its way, what is not whole will never be.
    std::chrono::milliseconds patience() const override {
        Lock lock(cluster_.mutex_);
        return cluster_.puts_under_way_[rank_] > 0 ? std::chrono::hours(1) : std::chrono::milliseconds(0);
    }
    bool direct() const noexcept override { return shared_; }
    void close() override {}

private:
    struct Put {
        std::uint32_t destination = 0;
        std::uint64_t offset = 0;
        std::span<const std::byte> bytes;
        std::vector<std::byte> copy;
        std::uint64_t slot = 0;
        bool pushed = false, half = false;
    };
    /// The cluster's mutex is held.
    void land(const Put& put, std::size_t from, std::size_t to) {
        const std::span<std::byte> there = cluster_.windows_[put.destination];
        if (there.empty()) return;  // that rank has failed
        SLUICE_CHECK(put.offset + put.copy.size() <= there.size());
        std::memcpy(there.data() + put.offset + from, put.copy.data() + from, to - from);
        WireFault& fault = cluster_.fault_;
        if (to == put.copy.size() && fault.kind == WireFault::Kind::corrupt_header && cluster_.sent_++ == fault.nth) {
            there[put.offset + 8] ^= std::byte{1};
            fault.fired = true;
        }
    }
    void land_pushed() {
        Lock lock(cluster_.mutex_);
        std::erase_if(travelling_, [&](Put& put) {
            if (!put.pushed) return false;
            const std::size_t middle = put.copy.size() / 2;
            land(put, put.half ? middle : 0, put.half ? put.copy.size() : middle);
            cluster_.doorbells_[put.destination]->ring();
            if (!std::exchange(put.half, true)) return false;
            --cluster_.puts_under_way_[put.destination];
            return true;
        });
    }
    InProcessCluster& cluster_;
    std::uint32_t rank_;
    std::vector<std::byte> own_;
    bool shared_;
    std::span<std::byte> memory_;
    std::vector<Put> started_, travelling_;
    unsigned turn_ = 0;
};

std::unique_ptr<ReceiveWindow> InProcessCluster::make_window(std::uint32_t rank, std::uint64_t bytes, bool shared) {
    return std::make_unique<InProcessWindow>(*this, rank, bytes, shared);
}

}  // namespace sluice
