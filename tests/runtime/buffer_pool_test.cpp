#include "runtime/buffer_pool.hpp"

#include <gtest/gtest.h>

#include "simulated/seeded_executor.hpp"

namespace sluice {
namespace {

struct PoolFixture {
    explicit PoolFixture(Executor& executor, std::size_t count = 2)
        : memory(count * 64), pool(executor, "test", memory, 64, count) {}
    std::vector<std::byte> memory;
    BufferPool pool;
};

TEST(BufferPool, GivesEachBufferOnceAndTakesItBack) {
    ThreadExecutor executor;
    PoolFixture f(executor);
    Buffer first = f.pool.take();
    auto second = f.pool.try_take();
    ASSERT_TRUE(second);
    EXPECT_NE(first.storage().data(), second->storage().data());
    EXPECT_FALSE(f.pool.try_take());
    second.reset();
    EXPECT_EQ(f.pool.free_buffers(), 1u);
    first = Buffer();
    EXPECT_EQ(f.pool.free_buffers(), 2u);
}

TEST(BufferPool, TakeWaitsForAReturnAndTellsTheListener) {
    SeededExecutor executor(11);
    PoolFixture f(executor, 1);
    int pressed = 0;
    f.pool.on_pressure([&] { ++pressed; });
    Buffer held = f.pool.take();
    bool got = false;
    auto taker = executor.spawn("taker", [&] {
        Buffer buffer = f.pool.take();
        got = true;
    });
    executor.sleep_for_ns(1000);
    EXPECT_FALSE(got);
    EXPECT_EQ(pressed, 1);
    EXPECT_TRUE(f.pool.under_pressure());
    held = Buffer();
    taker->join();
    EXPECT_TRUE(got);
    EXPECT_FALSE(f.pool.under_pressure());
}

TEST(BufferPool, AbortWakesTakersWithTheCause) {
    SeededExecutor executor(2);
    PoolFixture f(executor, 1);
    Buffer held = f.pool.take();
    auto taker = executor.spawn("taker", [&] { EXPECT_THROW(f.pool.take(), Error); });
    executor.sleep_for_ns(1000);
    f.pool.abort(std::make_exception_ptr(Error(Errc::peer, "gone")));
    taker->join();
}

TEST(BufferPoolDeathTest, DestroyedWithBuffersOutAborts) {
    EXPECT_DEATH(
        {
            ThreadExecutor executor;
            auto f = std::make_unique<PoolFixture>(executor);
            Buffer out = f->pool.take();
            f.reset();
        },
        "1 of 2 buffers still out");
}

TEST(Buffer, CommitBeyondItsCapacityIsRefused) {
    ThreadExecutor executor;
    PoolFixture f(executor);
    Buffer buffer = f.pool.take();
    buffer.commit(60);
    EXPECT_THROW(buffer.commit(5), Error);
    EXPECT_EQ(buffer.size(), 60u);
}

}  // namespace
}  // namespace sluice
