#include "runtime/work_queue.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <numeric>

#include "runtime/error.hpp"
#include "simulated/seeded_executor.hpp"

namespace sluice {
namespace {

TEST(WorkQueue, HandsOutInOrderAndEndsAfterTheLastProducer) {
    ThreadExecutor executor;
    WorkQueue<int> queue(executor, 4, 2);
    queue.push(1);
    queue.push(2);
    queue.producer_done();
    EXPECT_FALSE(queue.drained());
    EXPECT_EQ(queue.pop(), 1);
    EXPECT_EQ(queue.pop(), 2);
    EXPECT_EQ(queue.try_pop(), std::nullopt);
    EXPECT_FALSE(queue.drained());
    queue.producer_done();
    EXPECT_EQ(queue.pop(), std::nullopt);
    EXPECT_TRUE(queue.drained());
}

TEST(WorkQueue, PushWaitsWhenFullUntilOneIsPopped) {
    SeededExecutor executor(7);
    WorkQueue<int> queue(executor, 1, 1);
    bool second_pushed = false;
    auto producer = executor.spawn("producer", [&] {
        queue.push(1);
        queue.push(2);
        second_pushed = true;
        queue.producer_done();
    });
    executor.sleep_for_ns(1000);  // nobody else can run but the producer, until it waits
    EXPECT_FALSE(second_pushed);
    EXPECT_EQ(queue.pop(), 1);
    EXPECT_EQ(queue.pop(), 2);
    EXPECT_EQ(queue.pop(), std::nullopt);
    producer->join();
    EXPECT_TRUE(second_pushed);
}

TEST(WorkQueue, AbortWakesBlockedProducerAndConsumerWithTheOriginalCause) {
    SeededExecutor executor(3);
    WorkQueue<int> full(executor, 1, 1), empty(executor, 1, 1);
    full.push(0);
    int caught = 0;
    const auto expect_cause = [&](auto&& wait) {
        try {
            wait();
        } catch (const Error& error) {
            EXPECT_EQ(error.code(), Errc::device);
            ++caught;
        }
    };
    auto producer = executor.spawn("producer", [&] { expect_cause([&] { full.push(1); }); });
    auto consumer = executor.spawn("consumer", [&] { expect_cause([&] { empty.pop(); }); });
    executor.sleep_for_ns(1000);
    for (auto* queue : {&full, &empty}) {
        queue->abort(std::make_exception_ptr(Error(Errc::device, "first")));
        queue->abort(std::make_exception_ptr(Error(Errc::internal, "echo")));
    }
    producer->join();
    consumer->join();
    EXPECT_EQ(caught, 2);
}

TEST(WorkQueue, ManyProducersAndConsumersLoseNothingOnRealThreads) {
    ThreadExecutor executor;
    WorkQueue<int> queue(executor, 3, 4);
    std::vector<std::unique_ptr<Task>> tasks;
    std::vector<long> sums(3, 0);
    for (int p = 0; p < 4; ++p) {
        tasks.push_back(executor.spawn("p", [&, p] {
            for (int i = 0; i < 1000; ++i) queue.push(p * 1000 + i);
            queue.producer_done();
        }));
    }
    for (auto& sum : sums) {
        tasks.push_back(executor.spawn("c", [&] {
            while (auto value = queue.pop()) sum += *value;
        }));
    }
    for (auto& task : tasks) task->join();
    EXPECT_EQ(std::accumulate(sums.begin(), sums.end(), 0L), 3999L * 4000 / 2);
}

TEST(SeededExecutor, SameSeedGivesTheSameScheduleAndAnotherSeedAnotherOne) {
    const auto schedule = [](std::uint64_t seed) {
        SeededExecutor executor(seed);
        WorkQueue<int> queue(executor, 2, 3);
        std::vector<std::unique_ptr<Task>> tasks;
        for (int p = 0; p < 3; ++p) {
            tasks.push_back(executor.spawn("p", [&, p] {
                for (int i = 0; i < 10; ++i) queue.push(p * 10 + i);
                queue.producer_done();
            }));
        }
        std::vector<int> order;
        while (auto value = queue.pop()) order.push_back(*value);
        for (auto& task : tasks) task->join();
        return order;
    };
    EXPECT_EQ(schedule(5), schedule(5));
    EXPECT_NE(schedule(5), schedule(6));
    EXPECT_EQ(schedule(5).size(), 30u);
}

TEST(SeededExecutor, DeadlockIsFoundAndNamesTheWaitingTasks) {
    SeededExecutor executor(1);
    WorkQueue<int> first(executor, 1, 1), second(executor, 1, 1);
    std::string report;
    auto task = executor.spawn("stuck", [&] {
        try {
            first.pop();
        } catch (const DeadlockError&) {
        }
    });
    try {
        second.pop();
    } catch (const DeadlockError& error) {
        report = error.what();
    }
    task->join();
    EXPECT_NE(report.find("stuck"), std::string::npos) << report;
}

TEST(SeededExecutor, VirtualTimeJumpsToTheNextSleeper) {
    SeededExecutor executor(1);
    std::uint64_t woke_ns = 0;
    auto task = executor.spawn("sleeper", [&] {
        executor.sleep_for_ns(3'600'000'000'000);
        woke_ns = executor.now_ns();
    });
    task->join();
    EXPECT_EQ(woke_ns, 3'600'000'000'000u);
}

TEST(Condition, TimedWaitGivesUpAtItsDeadlineInVirtualTime) {
    SeededExecutor executor(1);
    Mutex mutex(executor);
    Condition condition(executor);
    Lock lock(mutex);
    EXPECT_FALSE(condition.wait_for_ns(lock, 5000, [] { return false; }));
    EXPECT_GE(executor.now_ns(), 5000u);
}

}  // namespace
}  // namespace sluice
