#include "runtime/doorbell.hpp"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <new>
#include <thread>

namespace sluice {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::uint64_t kLongNs = 20'000'000'000;

/// A bell in memory that children of this process share.
class BellInSharedMemory : public ::testing::Test {
protected:
    void SetUp() override {
        memory_ = ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        ASSERT_NE(memory_, MAP_FAILED);
        bell_ = new (memory_) SharedBell(0);
    }
    void TearDown() override { ::munmap(memory_, 4096); }

    void* memory_ = nullptr;
    SharedBell* bell_ = nullptr;
    ThreadExecutor executor_;
};

TEST_F(BellInSharedMemory, AnotherProcessEndsTheSleep) {
    Doorbell doorbell(executor_, bell_);
    const auto begin = Clock::now();
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
        ::usleep(50'000);
        ring(*bell_);
        ::_exit(0);
    }
    EXPECT_TRUE(doorbell.wait_for_ns(kLongNs));
    const auto slept = Clock::now() - begin;
    EXPECT_LT(slept, std::chrono::seconds(10));
    EXPECT_GE(slept, std::chrono::milliseconds(45)) << "it did not sleep";
    int status = 0;
    EXPECT_EQ(::waitpid(child, &status, 0), child);
}

TEST_F(BellInSharedMemory, ARingBeforeTheWaitIsNotLost) {
    Doorbell doorbell(executor_, bell_);
    doorbell.ring();
    doorbell.ring();
    EXPECT_TRUE(doorbell.wait_for_ns(kLongNs));
    EXPECT_FALSE(doorbell.wait_for_ns(1'000'000)) << "two rings before a wait are one";
}

TEST_F(BellInSharedMemory, SilenceEndsWithTheTime) {
    Doorbell doorbell(executor_, bell_);
    const auto begin = Clock::now();
    EXPECT_FALSE(doorbell.wait_for_ns(30'000'000));
    EXPECT_GE(Clock::now() - begin, std::chrono::milliseconds(29));
}

TEST_F(BellInSharedMemory, NoRingOfManyThreadsIsLost) {
    Doorbell doorbell(executor_, bell_);
    constexpr int kThreads = 4, kEach = 20'000;
    std::atomic<int> made = 0;
    std::vector<std::thread> ringers;
    for (int i = 0; i < kThreads; ++i) {
        ringers.emplace_back([&] {
            for (int n = 0; n < kEach; ++n) {
                ++made;
                doorbell.ring();
            }
        });
    }
    // Who looks after each ring sees all there is: a lost ring would leave this waiting for ever.
    while (made < kThreads * kEach) doorbell.wait();
    for (auto& ringer : ringers) ringer.join();
}

}  // namespace
}  // namespace sluice
