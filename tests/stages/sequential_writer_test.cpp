#include "stages/sequential_writer.hpp"

#include <gtest/gtest.h>

#include "simulated/memory_backend.hpp"
#include "stages/stage_fixture.hpp"

namespace sluice::testing {
namespace {

TEST(SequentialWriter, PutsBuffersOneBehindTheOtherInWholeBlocks) {
    ThreadExecutor executor;
    MemoryDisk disk(executor);
    disk.directories["/d"] = true;
    const auto io = make_memory_backend(executor, disk, 3, 0);
    const auto file = io->create("/d/copy");
    OwnPool pool(executor, "read", 8192, 8);
    WorkQueue<Buffer> input(executor, 8, 1);
    const auto first = random_records(64, 1), second = random_records(40, 2), third = random_records(32, 3);
    for (const auto* bytes : {&first, &second, &third}) input.push(filled(pool.pool, *bytes));
    input.producer_done();
    SequentialWriter writer(*io, *file, 2, input);
    writer.run();
    const auto& bytes = disk.files.at("/d/copy")->bytes;
    ASSERT_EQ(bytes.size(), 8192u + 8192 + 4096);
    EXPECT_TRUE(std::equal(first.begin(), first.end(), bytes.begin()));
    EXPECT_TRUE(std::equal(second.begin(), second.end(), bytes.begin() + 8192));
    EXPECT_TRUE(std::equal(third.begin(), third.end(), bytes.begin() + 16384));
    EXPECT_EQ(writer.counters().written_bytes, bytes.size());
    EXPECT_EQ(pool.pool.free_buffers(), 8u);
}

}  // namespace
}  // namespace sluice::testing
