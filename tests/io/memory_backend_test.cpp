#include "simulated/memory_backend.hpp"
#include "simulated/fault_backend.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "io/io_fixture.hpp"
#include "runtime/metrics.hpp"
#include "simulated/seeded_executor.hpp"

namespace sluice::testing {
namespace {

constexpr std::size_t kBlock = kDirectIoAlign;

class Memory : public ::testing::Test {
protected:
    Memory() { disk_.directories["/disk"] = true; }
    std::unique_ptr<IoFile> pattern_file(std::uint64_t bytes) {
        auto content = std::make_shared<MemoryDisk::Content>();
        content->bytes.resize(bytes);
        fill_pattern(content->bytes, 0);
        disk_.files["/disk/data"] = content;
        return backend_->open_for_read("/disk/data");
    }
    SeededExecutor executor_{1};
    MemoryDisk disk_{executor_};
    std::unique_ptr<IoBackend> backend_ = make_memory_backend(executor_, disk_, 5);
};

/// Tokens in the order of their completion.
std::vector<std::uint64_t> order_of_completion(std::uint64_t seed) {
    SeededExecutor executor(1);
    MemoryDisk disk(executor);
    disk.directories["/disk"] = true;
    const auto backend = make_memory_backend(executor, disk, seed);
    const auto file = backend->create("/disk/new");
    file->preallocate(16 * kBlock);
    const auto queue = backend->make_queue(16);
    AlignedMemory memory(16 * kBlock);
    for (std::uint64_t i = 0; i < 16; ++i) queue->read(*file, i * kBlock, memory.part(i * kBlock, kBlock), i);
    std::vector<IoCompletion> done;
    while (queue->in_flight() > 0) queue->wait(1, done);
    std::vector<std::uint64_t> tokens;
    for (const IoCompletion& completion : done) tokens.push_back(completion.token);
    return tokens;
}

TEST(MemoryOrder, CompletionsComeOutOfOrderAndEachSeedRepeats) {
    std::set<std::vector<std::uint64_t>> orders;
    for (std::uint64_t seed = 1; seed <= 5; ++seed) {
        auto tokens = order_of_completion(seed);
        EXPECT_EQ(tokens, order_of_completion(seed));
        EXPECT_FALSE(std::is_sorted(tokens.begin(), tokens.end()));
        orders.insert(tokens);
        std::sort(tokens.begin(), tokens.end());
        for (std::uint64_t i = 0; i < 16; ++i) EXPECT_EQ(tokens[i], i);
    }
    EXPECT_EQ(orders.size(), 5u);
}

TEST_F(Memory, BytesMoveAtCompletionSoThatEarlyUseShows) {
    const auto file = pattern_file(kBlock);
    const auto queue = backend_->make_queue(2);
    AlignedMemory memory(2 * kBlock);
    std::vector<IoCompletion> done;
    queue->read(*file, 0, memory.part(0, kBlock), 0);
    EXPECT_EQ(memory.all()[0], std::byte{0xEE}) << "not there yet";
    queue->wait(1, done);
    EXPECT_EQ(first_difference(memory.part(0, kBlock), 0), kBlock);
    // A buffer changed while its write is in flight changes what is written.
    const std::span<const std::byte> source = memory.part(0, kBlock);
    queue->write(*file, 0, std::span(&source, 1), 1);
    memory.all()[7] = std::byte{0x99};
    queue->wait(1, done);
    EXPECT_EQ(disk_.files["/disk/data"]->bytes[7], std::byte{0x99});
}

TEST_F(Memory, RequestsLeftInFlightNeverHappen) {
    const auto file = pattern_file(kBlock);
    AlignedMemory memory(kBlock);
    const std::span<const std::byte> source = memory.all();
    backend_->make_queue(1)->write(*file, 0, std::span(&source, 1), 0);
    EXPECT_EQ(first_difference(disk_.files["/disk/data"]->bytes, 0), kBlock);
}

TEST_F(Memory, WaitingTakesVirtualTimeAndIsBooked) {
    const auto file = pattern_file(kBlock);
    const auto queue = backend_->make_queue(1);
    AlignedMemory memory(kBlock);
    WorkerMetrics metrics;
    set_this_worker(&metrics);
    const std::uint64_t begin_ns = executor_.now_ns();
    queue->read(*file, 0, memory.all(), 0);
    std::vector<IoCompletion> done;
    queue->wait(0, done);
    EXPECT_TRUE(done.empty()) << "polling does not pass time";
    queue->wait(1, done);
    set_this_worker(nullptr);
    EXPECT_GT(executor_.now_ns(), begin_ns);
    EXPECT_EQ(metrics.wait_io_ns.get(), executor_.now_ns() - begin_ns);
}

TEST_F(Memory, TailAndCountersAreThoseOfARealDisk) {
    const auto file = pattern_file(kBlock + 676);
    const auto queue = backend_->make_queue(4);
    AlignedMemory memory(4 * kBlock);
    std::vector<IoCompletion> done;
    queue->read(*file, 0, memory.all(), 0);
    queue->wait(1, done);
    queue->read(*file, 8 * kBlock, memory.all(), 1);
    queue->wait(1, done);
    EXPECT_EQ(done[0].bytes, kBlock + 676);
    EXPECT_EQ(done[1].bytes, 0u);
    EXPECT_EQ(first_difference(memory.part(0, kBlock + 676), 0), kBlock + 676);
    EXPECT_EQ(memory.all()[kBlock + 676], std::byte{0xEE});
    EXPECT_EQ(queue->counters().read_bytes, kBlock + 676);
    EXPECT_EQ(queue->counters().read_requests, 2u);
    EXPECT_EQ(queue->counters().max_in_flight, 1u);
}

TEST_F(Memory, MisalignmentAndOverdraughtAreCaught) {
    const auto file = pattern_file(4 * kBlock);
    const auto queue = backend_->make_queue(1);
    AlignedMemory memory(4 * kBlock);
    EXPECT_EQ(error_of([&] { queue->read(*file, 100, memory.part(0, kBlock), 0); }).code, 1);
    EXPECT_EQ(error_of([&] { queue->read(*file, 0, memory.part(0, 10'000), 0); }).code, 1)
        << "100 records of 100 bytes are no whole blocks";
    EXPECT_EQ(error_of([&] { queue->read(*file, 0, memory.part(100, kBlock), 0); }).code, 1);
    queue->read(*file, 0, memory.part(0, kBlock), 0);
    EXPECT_EQ(error_of([&] { queue->sync(*file, 1); }).code, 1);
}

TEST_F(Memory, FullDiskEndsWritesAndPreallocationWithSpace) {
    disk_.capacity_bytes = 4 * kBlock;
    const auto file = backend_->create("/disk/new");
    EXPECT_EQ(error_of([&] { file->preallocate(5 * kBlock); }).code, 9);
    file->preallocate(3 * kBlock);
    const auto queue = backend_->make_queue(1);
    AlignedMemory memory(2 * kBlock);
    const std::span<const std::byte> source = memory.all();
    queue->write(*file, 3 * kBlock, std::span(&source, 1), 0);
    std::vector<IoCompletion> done;
    EXPECT_EQ(error_of([&] { queue->wait(1, done); }).code, 9);
    EXPECT_EQ(queue->in_flight(), 0u);
    EXPECT_EQ(make_memory_file_system(disk_)->free_bytes("/disk"), kBlock);
}

TEST_F(Memory, FilesNeedTheirDirectoryAndAreNeverReplaced) {
    EXPECT_EQ(error_of([&] { backend_->create("/none/new"); }).code, 3);
    EXPECT_EQ(error_of([&] { backend_->open_for_read("/disk/none"); }).code, 4);
    backend_->create("/disk/new");
    EXPECT_EQ(error_of([&] { backend_->create("/disk/new"); }).code, 2);
}

TEST(MemoryThreads, QueuesOfSeveralThreadsShareOneFile) {
    ThreadExecutor executor;
    MemoryDisk disk(executor);
    disk.directories["/disk"] = true;
    const auto backend = make_memory_backend(executor, disk, 1, 1000);
    const auto file = backend->create("/disk/new");
    std::vector<std::unique_ptr<Task>> tasks;
    for (std::uint64_t t = 0; t < 4; ++t) {
        tasks.push_back(executor.spawn("writer", [&, t] {
            AlignedMemory memory(kBlock);
            const auto queue = backend->make_queue(1);
            std::vector<IoCompletion> done;
            for (std::uint64_t i = 0; i < 20; ++i) {
                fill_pattern(memory.all(), (i * 4 + t) * kBlock);
                const std::span<const std::byte> source = memory.all();
                queue->write(*file, (i * 4 + t) * kBlock, std::span(&source, 1), i);
                queue->wait(1, done);
            }
        }));
    }
    for (auto& task : tasks) task->join();
    const auto& bytes = disk.files["/disk/new"]->bytes;
    EXPECT_EQ(bytes.size(), 80 * kBlock);
    EXPECT_EQ(first_difference(bytes, 0), 80 * kBlock);
}

TEST(NullDisk, CountsDropsGivesZerosAndTakesItsTime) {
    SeededExecutor executor(1);
    const auto backend = make_null_backend(executor, 1'000'000);
    const auto file = backend->create("/any/where");
    EXPECT_EQ(error_of([&] { backend->create("/any/where"); }).code, 2);
    EXPECT_EQ(error_of([&] { backend->open_for_read("/other"); }).code, 4);
    const auto queue = backend->make_queue(4);
    AlignedMemory memory(2 * kBlock);
    const std::span<const std::byte> source = memory.all();
    std::vector<IoCompletion> done;
    for (std::uint64_t i = 0; i < 4; ++i) queue->write(*file, i * 2 * kBlock, std::span(&source, 1), i);
    queue->wait(4, done);
    EXPECT_EQ(executor.now_ns(), 1'000'000u) << "four side by side take as long as one";
    EXPECT_EQ(queue->counters().written_bytes, 8 * kBlock);
    EXPECT_EQ(queue->counters().max_in_flight, 4u);
    EXPECT_EQ(backend->open_for_update("/any/where")->size_bytes(), 8 * kBlock);
    queue->read(*file, 7 * kBlock, memory.all(), 9);
    queue->wait(1, done);
    EXPECT_EQ(done.back().bytes, kBlock) << "up to its end";
    EXPECT_EQ(memory.all()[0], std::byte{0});
    EXPECT_EQ(executor.now_ns(), 2'000'000u);
}

class Faults : public Memory {
protected:
    void wrap(const IoFault& fault) {
        backend_ =
            make_fault_backend(std::move(backend_), fault, [this](const std::string& what) { fired_.push_back(what); });
    }
    std::vector<std::string> fired_;
};

TEST_F(Faults, NthMatchingRequestFailsWhenSubmitted) {
    pattern_file(4 * kBlock);
    wrap({.operation = IoFault::Operation::read, .nth = 1, .error = EIO, .path_contains = "data"});
    const auto other = backend_->create("/disk/new");
    const auto file = backend_->open_for_read("/disk/data");
    const auto queue = backend_->make_queue(4);
    AlignedMemory memory(4 * kBlock);
    queue->read(*other, 0, memory.part(0, kBlock), 0);
    queue->read(*file, 0, memory.part(0, kBlock), 1);
    const Caught caught = error_of([&] { queue->read(*file, kBlock, memory.part(kBlock, kBlock), 2); });
    EXPECT_EQ(caught.code, 5);
    EXPECT_TRUE(caught.mentions("read '/disk/data' at 4096, 4096 bytes: Input/output error")) << caught.text;
    ASSERT_EQ(fired_.size(), 1u);
    queue->read(*file, kBlock, memory.part(kBlock, kBlock), 3);
    std::vector<IoCompletion> done;
    queue->wait(3, done);
    EXPECT_EQ(done.size(), 3u);
}

TEST_F(Faults, FailureAtCompletionComesFromWaitAndSparesTheOthers) {
    pattern_file(4 * kBlock);
    wrap({.operation = IoFault::Operation::read, .nth = 1, .error = ENOSPC, .at_completion = true});
    const auto file = backend_->open_for_read("/disk/data");
    const auto queue = backend_->make_queue(3);
    AlignedMemory memory(4 * kBlock);
    for (std::uint64_t i = 0; i < 3; ++i) queue->read(*file, i * kBlock, memory.part(i * kBlock, kBlock), i);
    std::vector<IoCompletion> done;
    EXPECT_TRUE(fired_.empty());
    EXPECT_EQ(error_of([&] { queue->wait(3, done); }).code, 9);
    EXPECT_EQ(fired_.size(), 1u);
    std::set<std::uint64_t> tokens;
    for (const IoCompletion& completion : done) tokens.insert(completion.token);
    EXPECT_EQ(tokens, (std::set<std::uint64_t>{0, 2}));
    EXPECT_EQ(queue->in_flight(), 0u);
}

TEST_F(Faults, FlippedBitChangesOneBitAndNothingElse) {
    pattern_file(2 * kBlock);
    wrap({.operation = IoFault::Operation::read, .flip_bit = true});
    const auto file = backend_->open_for_read("/disk/data");
    const auto queue = backend_->make_queue(1);
    AlignedMemory memory(2 * kBlock);
    std::vector<IoCompletion> done;
    queue->read(*file, 0, memory.all(), 0);
    queue->wait(1, done);
    ASSERT_EQ(fired_.size(), 1u);
    const std::size_t at = first_difference(memory.all(), 0);
    ASSERT_LT(at, memory.all().size());
    EXPECT_EQ(memory.all()[at] ^ pattern_at(at), std::byte{0x10});
    EXPECT_EQ(first_difference(memory.all().subspan(at + 1), at + 1), memory.all().size() - at - 1);
    EXPECT_EQ(first_difference(disk_.files["/disk/data"]->bytes, 0), 2 * kBlock) << "the disk itself is unharmed";
}

TEST_F(Faults, SyncCloseAndPreallocationCanFail) {
    using Operation = IoFault::Operation;
    for (const Operation operation : {Operation::sync, Operation::close, Operation::preallocate}) {
        fired_.clear();
        wrap({.operation = operation, .error = operation == Operation::preallocate ? ENOSPC : EIO});
        const auto file = backend_->create("/disk/new" + std::to_string(static_cast<int>(operation)));
        const auto use_all = [&] {
            file->preallocate(kBlock);
            file->sync_data();
            file->close_checked();
        };
        EXPECT_EQ(error_of(use_all).code, operation == Operation::preallocate ? 9 : 5);
        EXPECT_EQ(fired_.size(), 1u);
    }
    fired_.clear();
    wrap({.operation = Operation::sync});
    const auto file = backend_->create("/disk/last");
    EXPECT_EQ(error_of([&] { backend_->make_queue(1)->sync(*file, 0); }).code, 5) << "a queue's as well as a file's";
}

TEST(FaultsOnARealDisk, WrapTheLibaioBackEndToo) {
    TempDirectory directory;
    write_pattern_file(directory / "data", 4 * kBlock);
    bool fired = false;
    const auto backend =
        make_fault_backend(make_libaio_backend(DirectIo::attempt),
                           {.operation = IoFault::Operation::read, .nth = 1, .error = EIO, .at_completion = true},
                           [&](const std::string&) { fired = true; });
    const auto file = backend->open_for_read(directory / "data");
    const auto queue = backend->make_queue(2);
    AlignedMemory memory(4 * kBlock);
    queue->read(*file, 0, memory.part(0, kBlock), 0);
    queue->read(*file, kBlock, memory.part(kBlock, kBlock), 1);
    std::vector<IoCompletion> done;
    EXPECT_EQ(error_of([&] { queue->wait(2, done); }).code, 5);
    EXPECT_TRUE(fired);
    EXPECT_EQ(done.size(), 1u);
    EXPECT_EQ(first_difference(memory.part(0, kBlock), 0), kBlock);
}

}  // namespace
}  // namespace sluice::testing
