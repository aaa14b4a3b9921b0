// What p2p costs a rank of very many: by message, not by peer.
#include <gtest/gtest.h>

#include <cstdio>
#include <cstring>
#include <deque>

#include "net/p2p_transport.hpp"
#include "runtime/rng.hpp"
#include "runtime/thread_clock.hpp"

namespace sluice {
namespace {

constexpr std::size_t kMessage = kHeaderBytes;

/// All other ranks of a large job, which send whenever they may and take whatever comes.
class Crowd final : public Wire {
public:
    explicit Crowd(std::uint32_t ranks) : ranks_(ranks), granted_(ranks), sequence_(ranks), posted_(ranks) {}
    std::uint32_t rank() const override { return 0; }
    std::uint32_t size() const override { return ranks_; }
    void post_receive(std::uint32_t source, std::span<std::byte> memory, std::uint64_t slot) override {
        if (posted_[source].empty()) may_send_.push_back(source);
        posted_[source].push_back({memory, slot});
        ++receives;
    }
    void start_send(std::uint32_t, std::span<const std::byte>, std::uint64_t slot) override {
        done_.push_back({true, slot, 0});
    }
    void test(std::vector<Completion>& done) override {
        done.insert(done.end(), done_.begin(), done_.end());
        done_.clear();
    }
    void send_control(std::uint32_t destination, std::uint64_t word) override { granted_[destination] += word & 0xff; }
    bool poll_control(std::uint32_t&, std::uint64_t&) override { return false; }
    void cancel_receives(std::uint32_t source) override { posted_[source].clear(); }
    Rings rings() const override { return Rings::nothing; }

    /// Some of the sources that may send do.
    void send_some(Rng& rng, std::size_t messages) {
        for (std::size_t i = 0; i < messages && !may_send_.empty(); ++i) {
            std::uint32_t& place = may_send_[rng.below(may_send_.size())];
            const std::uint32_t source = place;
            const Posted posted = posted_[source].front();  // messages match receives in the order of these
            posted_[source].pop_front();
            if (posted_[source].empty()) {
                place = may_send_.back();
                may_send_.pop_back();
            }
            ASSERT_GT(granted_[source], 0u) << "posted, and not promised";
            --granted_[source];
            MessageHeader header;
            header.run_id = 7;
            header.source = source;
            header.sequence = sequence_[source]++;
            header.offered_buffers = rng.below(4);
            std::memcpy(posted.memory.data(), &header, sizeof header);
            done_.push_back({false, posted.slot, kMessage});
        }
    }
    std::uint64_t receives = 0;

private:
    struct Posted {
        std::span<std::byte> memory;
        std::uint64_t slot;
    };
    std::uint32_t ranks_;
    std::vector<std::uint64_t> granted_, sequence_;
    std::vector<std::deque<Posted>> posted_;  // by source
    std::vector<std::uint32_t> may_send_;
    std::vector<Completion> done_;
};

/// Processor time of one message received and the grant after it.
double ns_of_a_grant(std::uint32_t ranks) {
    ThreadExecutor executor;
    const std::size_t buffers = ranks + ranks / 4;
    std::vector<std::byte> memory(buffers * kMessage);
    BufferPool pool(executor, "receive", memory, kMessage, buffers);
    Crowd crowd(ranks);
    const auto transport = make_p2p_transport(crowd, pool, 7);
    const auto drop = [](ArrivedBuffer) {};
    transport->progress(drop);
    EXPECT_EQ(crowd.receives, ranks - 1) << "each source has one; what is left goes to those that offer more";
    Rng rng(3);
    std::uint64_t ns = 0;
    const std::uint64_t before = crowd.receives;
    for (int round = 0; round < 400; ++round) {
        crowd.send_some(rng, 200);
        const std::uint64_t begin_ns = thread_cpu_ns();
        transport->progress(drop);
        ns += thread_cpu_ns() - begin_ns;
    }
    EXPECT_GT(crowd.receives - before, 40'000u);
    return static_cast<double>(ns) / static_cast<double>(crowd.receives - before);
}

TEST(P2pScale, AGrantCostsNoMoreAmongTenThousandRanks) {
    const double few_ns = ns_of_a_grant(100), thousand_ns = ns_of_a_grant(1'000), ten_ns = ns_of_a_grant(10'000);
    RecordProperty("ns_at_100", std::to_string(few_ns));
    RecordProperty("ns_at_1000", std::to_string(thousand_ns));
    RecordProperty("ns_at_10000", std::to_string(ten_ns));
    std::printf("a message and its grant: %.0f ns at 100 ranks, %.0f at 1,000, %.0f at 10,000\n", few_ns, thousand_ns,
                ten_ns);
    EXPECT_LT(ten_ns, 10 * few_ns) << "memory is further away; a search would cost a hundred times as much";
}

}  // namespace
}  // namespace sluice
