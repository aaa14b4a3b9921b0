#include "runtime/pipeline.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <new>
#include <system_error>

#include "runtime/work_queue.hpp"

namespace sluice {
namespace {

std::string text_of_failure(Pipeline& pipeline) {
    try {
        pipeline.join();
    } catch (const std::exception& error) {
        return error.what();
    }
    return "";
}

TEST(Pipeline, RunsEachWorkerOnceBoundAndTimed) {
    ThreadExecutor executor;
    std::atomic<int> bound{0}, ran{0}, changes{0};
    Pipeline pipeline(executor, [&](const Worker&) { ++bound; });
    for (unsigned i = 0; i < 3; ++i)
        pipeline.add(StageKind::reader, i, [&] { this_worker().units.add(static_cast<std::uint64_t>(++ran)); });
    pipeline.on_change([&] { ++changes; });
    EXPECT_FALSE(pipeline.failed());
    pipeline.start();
    pipeline.join();
    EXPECT_TRUE(pipeline.finished());
    EXPECT_EQ(bound, 3);
    EXPECT_EQ(ran, 3);
    EXPECT_EQ(changes, 3);
    std::uint64_t units = 0;
    for (const Worker& worker : pipeline.workers()) {
        EXPECT_NE(worker.thread_id, 0);
        EXPECT_GE(worker.metrics->end_ns.get(), worker.metrics->start_ns.get());
        EXPECT_GT(worker.metrics->cpu_ns.get(), 0u);
        units += worker.metrics->units.get();
    }
    EXPECT_EQ(units, 6u) << "each counts in its own";
}

TEST(Pipeline, TheFirstFailureEndsWhoeverWaitsAndIsTheOneThatIsTold) {
    ThreadExecutor executor;
    WorkQueue<int> never(executor, 1, 1);
    std::atomic<bool> woken{false};
    Pipeline pipeline(executor, {});
    pipeline.add(StageKind::writer, 0, [&] {
        try {
            never.pop();
        } catch (const Error&) {
            woken = true;
            throw Error(Errc::internal, "an echo of the first");
        }
    });
    pipeline.add(StageKind::reader, 4, [] { throw Error(Errc::device, "the disk is gone"); });
    pipeline.guard(never);
    pipeline.start();
    EXPECT_EQ(text_of_failure(pipeline), "stage=reader worker=4: the disk is gone");
    EXPECT_TRUE(woken);
    EXPECT_TRUE(pipeline.failed());
}

TEST(Pipeline, MemoryAndThreadsThatRunOutAreErrorsOfTheHost) {
    ThreadExecutor executor;
    Pipeline no_memory(executor, {});
    no_memory.add(StageKind::sorter, 0, [] { throw std::bad_alloc(); });
    no_memory.start();
    EXPECT_NE(text_of_failure(no_memory).find("stage=sorter worker=0: "), std::string::npos);
    Pipeline no_threads(executor, {});
    no_threads.add(StageKind::sorter, 1, [] { throw std::system_error(EAGAIN, std::generic_category()); });
    no_threads.start();
    EXPECT_NE(text_of_failure(no_threads).find("stage=sorter worker=1: "), std::string::npos);
}

TEST(Pipeline, EndsFromOutsideWithThatCause) {
    ThreadExecutor executor;
    WorkQueue<int> never(executor, 1, 1);
    Pipeline pipeline(executor, {});
    pipeline.add(StageKind::writer, 0, [&] { never.pop(); });
    pipeline.guard(never);
    pipeline.start();
    pipeline.fail(std::make_exception_ptr(AbortedError(3, Errc::peer, "is gone")));
    EXPECT_EQ(text_of_failure(pipeline), "aborted because of rank 3: is gone");
}

}  // namespace
}  // namespace sluice
