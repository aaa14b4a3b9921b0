#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "io/io_backend.hpp"
#include "io/io_fixture.hpp"
#include "io/kernel_aio.hpp"
#include "runtime/metrics.hpp"

namespace sluice::testing {
namespace {

constexpr std::size_t kBlock = kDirectIoAlign;

class Libaio : public ::testing::Test {
protected:
    Libaio() : backend_(make_libaio_backend(DirectIo::on)) { kernel_aio = {}; }
    ~Libaio() override {
        kernel_aio.on_event = nullptr;
        backend_.reset();
        EXPECT_EQ(kernel_aio.contexts, 0) << "the back end left a kernel context behind";
    }
    std::string pattern_file(std::uint64_t bytes) const {
        write_pattern_file(directory_ / "data", bytes);
        return directory_ / "data";
    }
    /// Runs until everything in flight is done.
    static std::vector<IoCompletion> drain(IoQueue& queue) {
        std::vector<IoCompletion> done;
        while (queue.in_flight() > 0) queue.wait(1, done);
        return done;
    }
    TempDirectory directory_;
    std::unique_ptr<IoBackend> backend_;
};

/// The flags of our own descriptor of `path`, as the kernel reports them.
int flags_of_open_file(const std::string& path) {
    for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
        std::error_code gone;
        if (std::filesystem::read_symlink(entry.path(), gone) != path) continue;
        std::ifstream info("/proc/self/fdinfo/" + entry.path().filename().string());
        for (std::string word; info >> word;) {
            if (word == "flags:" && info >> word) return std::stoi(word, nullptr, 8);
        }
    }
    return -1;
}

TEST_F(Libaio, EndedQueueLeavesItsKernelContextToTheNextOfItsDepth) {
    backend_->make_queue(4);
    const auto first = backend_->make_queue(4);
    EXPECT_EQ(kernel_aio.contexts, 1);
    const auto second = backend_->make_queue(4), third = backend_->make_queue(8);
    EXPECT_EQ(kernel_aio.contexts, 3);
}

TEST_F(Libaio, IdleContextsGiveWayWhenTheKernelHasNoRoom) {
    backend_->make_queue(4);
    kernel_aio.setup = {-EAGAIN};
    const auto queue = backend_->make_queue(8);
    EXPECT_EQ(kernel_aio.contexts, 1);
}

TEST_F(Libaio, DescriptorsOfAllModesAreDirectAndCloseOnExec) {
    const std::string path = directory_ / "new";
    for (const auto& file : {backend_->create(path), backend_->open_for_update(path), backend_->open_for_read(path)}) {
        EXPECT_TRUE(file->is_direct());
        EXPECT_TRUE(flags_of_open_file(path) & O_DIRECT);
        EXPECT_TRUE(flags_of_open_file(path) & O_CLOEXEC);
    }
}

TEST_F(Libaio, DirectOffReadsThroughTheCacheAndSaysSo) {
    const auto file = make_libaio_backend(DirectIo::off)->open_for_read(pattern_file(100));
    EXPECT_FALSE(file->is_direct());
    EXPECT_FALSE(flags_of_open_file(file->path()) & O_DIRECT);
}

TEST(LibaioDirect, AFileSystemWithoutItIsRefusedUnlessAttempted) {
    const std::string no_direct = "/proc/self/status";  // procfs has no direct I/O
    const Caught refused = error_of([&] { make_libaio_backend(DirectIo::on)->open_for_read(no_direct); });
    EXPECT_EQ(refused.code, 3);
    EXPECT_TRUE(refused.mentions(no_direct)) << refused.text;
    EXPECT_TRUE(refused.mentions("io.direct = \"attempt\"")) << refused.text;
    EXPECT_FALSE(make_libaio_backend(DirectIo::attempt)->open_for_read(no_direct)->is_direct());
}

TEST_F(Libaio, CreatedFilesAreForTheOwnerOnlyWhateverTheUmask) {
    const mode_t before = ::umask(0277);
    const auto file = backend_->create(directory_ / "new");
    ::umask(before);
    struct stat info {};
    ASSERT_EQ(::stat(file->path().c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 07777u, 0600u);
}

TEST_F(Libaio, CreateRefusesAnExistingFileAndAPlantedLink) {
    const std::string path = pattern_file(100), target = directory_ / "elsewhere";
    EXPECT_EQ(error_of([&] { backend_->create(path); }).code, 2);
    std::filesystem::create_symlink(target, directory_ / "link");
    EXPECT_EQ(error_of([&] { backend_->create(directory_ / "link"); }).code, 2);
    EXPECT_EQ(error_of([&] { backend_->open_for_update(directory_ / "link"); }).code, 3);
    EXPECT_FALSE(std::filesystem::exists(target));
    EXPECT_EQ(std::filesystem::file_size(path), 100u);
}

TEST_F(Libaio, OpenErrorsNameTheFileAndTheKindOfFailure) {
    const Caught missing = error_of([&] { backend_->open_for_read(directory_ / "none"); });
    EXPECT_EQ(missing.code, 4);
    EXPECT_TRUE(missing.mentions(directory_ / "none"));
    EXPECT_EQ(error_of([&] { backend_->create(directory_ / "none/new"); }).code, 3);
    EXPECT_EQ(error_of([&] { backend_->create(directory_ / std::string(300, 'x')); }).code, 2);
}

TEST_F(Libaio, ManyRequestsInFlightReachTheDepthAndMoveEveryByte) {
    constexpr unsigned kDepth = 8;
    constexpr std::size_t kRequest = 64 * kBlock, kRequests = 20;
    AlignedMemory out(kRequest * kRequests), in(kRequest * kRequests);
    fill_pattern(out.all(), 0);
    const auto file = backend_->create(directory_ / "new");
    file->preallocate(kRequest * kRequests);
    const auto queue = backend_->make_queue(kDepth);
    EXPECT_EQ(queue->depth(), kDepth);
    for (const bool writing : {true, false}) {
        std::vector<IoCompletion> done;
        for (std::size_t next = 0; next < kRequests || queue->in_flight() > 0;) {
            if (next < kRequests && queue->in_flight() < kDepth) {
                const std::span<const std::byte> piece = out.part(next * kRequest, kRequest);
                if (writing) queue->write(*file, next * kRequest, std::span(&piece, 1), next);
                if (!writing) queue->read(*file, next * kRequest, in.part(next * kRequest, kRequest), next);
                ++next;
            } else {
                queue->wait(1, done);
            }
        }
        std::vector<std::uint64_t> tokens;
        for (const IoCompletion& completion : done) {
            EXPECT_EQ(completion.bytes, kRequest);
            tokens.push_back(completion.token);
        }
        std::sort(tokens.begin(), tokens.end());
        ASSERT_EQ(tokens.size(), kRequests);
        for (std::size_t i = 0; i < kRequests; ++i) EXPECT_EQ(tokens[i], i) << "each request completes exactly once";
    }
    EXPECT_EQ(first_difference(in.all(), 0), in.all().size());
    const IoCounters counters = queue->counters();
    EXPECT_EQ(counters.max_in_flight, kDepth);
    EXPECT_EQ(counters.written_bytes, kRequest * kRequests);
    EXPECT_EQ(counters.read_bytes, kRequest * kRequests);
    EXPECT_EQ(counters.write_requests, kRequests);
    EXPECT_EQ(counters.read_requests, kRequests);
    EXPECT_GT(counters.submit_ns, 0u);
}

TEST_F(Libaio, VectoredWriteIsOneRequestWithThePiecesInOrder) {
    AlignedMemory memory(8 * kBlock);
    fill_pattern(memory.all(), 0);
    // The pieces lie in memory in another order than in the file.
    AlignedMemory shuffled(8 * kBlock);
    std::vector<std::span<const std::byte>> pieces;
    const std::size_t sizes[] = {1, 3, 2, 2};
    std::size_t at = 0, end = 8;
    for (const std::size_t blocks : sizes) {
        end -= blocks;
        const auto from = memory.part(at * kBlock, blocks * kBlock), to = shuffled.part(end * kBlock, blocks * kBlock);
        std::copy(from.begin(), from.end(), to.begin());
        pieces.push_back(to);
        at += blocks;
    }
    const auto file = backend_->create(directory_ / "new");
    const auto queue = backend_->make_queue(1);
    queue->write(*file, 0, pieces, 1);
    pieces.assign(4, {});  // the array was copied
    EXPECT_EQ(drain(*queue).front().bytes, 8 * kBlock);
    ASSERT_EQ(kernel_aio.submitted.size(), 1u);
    EXPECT_EQ(kernel_aio.submitted.front().pieces, 4u);
    AlignedMemory in(8 * kBlock);
    queue->read(*file, 0, in.all(), 2);
    drain(*queue);
    EXPECT_EQ(first_difference(in.all(), 0), in.all().size());
}

TEST_F(Libaio, ReadPastTheEndGivesTheUnalignedTail) {
    for (const std::uint64_t size : {std::uint64_t{676}, 3 * kBlock + 100, 4 * kBlock}) {
        const auto file = backend_->open_for_read(pattern_file(size));
        EXPECT_EQ(file->size_bytes(), size);
        AlignedMemory memory(8 * kBlock);
        const auto queue = backend_->make_queue(2);
        queue->read(*file, 0, memory.all(), 5);
        const auto done = drain(*queue);
        ASSERT_EQ(done.size(), 1u);
        EXPECT_EQ(done.front().token, 5u);
        EXPECT_EQ(done.front().bytes, size);
        EXPECT_EQ(first_difference(memory.part(0, size), 0), size);
        EXPECT_EQ(queue->counters().read_bytes, size);
        EXPECT_EQ(queue->counters().short_transfers, 0u);
        queue->read(*file, 16 * kBlock, memory.all(), 6);
        EXPECT_EQ(drain(*queue).front().bytes, 0u) << "wholly past the end";
    }
}

TEST_F(Libaio, PaddedTailIsCutOffByTruncateAndStays) {
    AlignedMemory memory(2 * kBlock);
    fill_pattern(memory.all(), 0);
    const auto file = backend_->create(directory_ / "new");
    const auto queue = backend_->make_queue(1);
    const std::span<const std::byte> whole = memory.all();
    queue->write(*file, 0, std::span(&whole, 1), 0);
    drain(*queue);
    file->truncate(kBlock + 100);
    queue->sync(*file, 1);
    EXPECT_EQ(drain(*queue).front().token, 1u);
    file->close_checked();
    EXPECT_EQ(std::filesystem::file_size(directory_ / "new"), kBlock + 100);
}

TEST_F(Libaio, MisalignedRequestsOnDirectFilesAreCaughtBeforeTheKernel) {
    const auto file = backend_->open_for_update(pattern_file(4 * kBlock));
    const auto queue = backend_->make_queue(2);
    AlignedMemory memory(4 * kBlock);
    EXPECT_EQ(error_of([&] { queue->read(*file, 100, memory.part(0, kBlock), 0); }).code, 1);
    EXPECT_EQ(error_of([&] { queue->read(*file, 0, memory.part(0, 100), 0); }).code, 1);
    EXPECT_EQ(error_of([&] { queue->read(*file, 0, memory.part(512, kBlock), 0); }).code, 1);
    const std::span<const std::byte> odd = memory.part(0, 102'400 % kBlock + 1);
    EXPECT_EQ(error_of([&] { queue->write(*file, 0, std::span(&odd, 1), 0); }).code, 1);
    EXPECT_TRUE(kernel_aio.submitted.empty());
    EXPECT_EQ(queue->in_flight(), 0u);
    // None of them used up a place.
    queue->read(*file, 0, memory.part(0, kBlock), 1);
    queue->read(*file, kBlock, memory.part(kBlock, kBlock), 2);
    EXPECT_EQ(error_of([&] { queue->read(*file, 0, memory.part(0, kBlock), 3); }).code, 1) << "deeper than the queue";
    EXPECT_EQ(drain(*queue).size(), 2u);
}

TEST_F(Libaio, ShortReadIsContinuedFromWhereItStopped) {
    const auto file = backend_->open_for_read(pattern_file(8 * kBlock));
    for (const std::int64_t given : {3 * static_cast<std::int64_t>(kBlock), std::int64_t{2 * kBlock + 100}}) {
        kernel_aio.submitted.clear();
        bool first = true;
        kernel_aio.on_event = [&](io_event& event) {
            if (std::exchange(first, false)) event.res = static_cast<unsigned long>(given);
        };
        AlignedMemory memory(8 * kBlock);
        const auto queue = backend_->make_queue(1);
        queue->read(*file, 0, memory.all(), 9);
        // What the short read did not bring is not there, as on a real disk.
        const auto done = [&] {
            std::vector<IoCompletion> list;
            queue->wait(1, list);
            return list;
        }();
        ASSERT_EQ(done.size(), 1u);
        EXPECT_EQ(done.front().bytes, 8 * kBlock);
        ASSERT_EQ(kernel_aio.submitted.size(), 2u);
        const long long resumed = given / static_cast<long long>(kBlock) * static_cast<long long>(kBlock);
        EXPECT_EQ(kernel_aio.submitted[1].offset, resumed) << "from a whole block";
        EXPECT_EQ(kernel_aio.submitted[1].bytes, 8 * kBlock - static_cast<std::uint64_t>(resumed));
        EXPECT_EQ(first_difference(memory.all(), 0), memory.all().size());
        EXPECT_EQ(queue->counters().short_transfers, 1u);
        EXPECT_EQ(queue->counters().read_bytes, 8 * kBlock) << "no byte counted twice";
        EXPECT_EQ(queue->counters().read_requests, 1u);
    }
}

TEST_F(Libaio, ShortVectoredWriteIsContinuedInsideAPiece) {
    AlignedMemory memory(8 * kBlock);
    fill_pattern(memory.all(), 0);
    const std::vector<std::span<const std::byte>> pieces{
        memory.part(0, 2 * kBlock), memory.part(2 * kBlock, 4 * kBlock), memory.part(6 * kBlock, 2 * kBlock)};
    const auto file = backend_->create(directory_ / "new");
    int events = 0;
    kernel_aio.on_event = [&](io_event& event) {
        if (events++ == 0) event.res = 3 * kBlock;  // ends inside the second piece
    };
    const auto queue = backend_->make_queue(1);
    queue->write(*file, kBlock, pieces, 0);
    std::vector<IoCompletion> done;
    queue->wait(1, done);
    EXPECT_EQ(done.front().bytes, 8 * kBlock);
    ASSERT_EQ(kernel_aio.submitted.size(), 2u);
    EXPECT_EQ(kernel_aio.submitted[1].offset, static_cast<long long>(4 * kBlock));
    EXPECT_EQ(kernel_aio.submitted[1].bytes, 5 * kBlock);
    EXPECT_EQ(kernel_aio.submitted[1].pieces, 2u);
    AlignedMemory in(8 * kBlock);
    queue->read(*file, kBlock, in.all(), 1);
    drain(*queue);
    EXPECT_EQ(first_difference(in.all(), 0), in.all().size());
}

TEST_F(Libaio, TransfersThatNeverAdvanceEndAsADeviceError) {
    const auto file = backend_->open_for_read(pattern_file(8 * kBlock));
    for (const unsigned long given : {0ul, 512ul}) {
        kernel_aio.submitted.clear();
        kernel_aio.on_event = [&](io_event& event) { event.res = given; };
        AlignedMemory memory(8 * kBlock);
        const auto queue = backend_->make_queue(1);
        queue->read(*file, 0, memory.all(), 0);
        std::vector<IoCompletion> done;
        const Caught caught = error_of([&] { queue->wait(1, done); });
        EXPECT_EQ(caught.code, 5);
        EXPECT_TRUE(caught.mentions("data")) << caught.text;
        EXPECT_EQ(kernel_aio.submitted.size(), 2u) << "continued once";
    }
}

TEST_F(Libaio, FailedRequestNamesCallFileOffsetAndLengthAndSparesTheOthers) {
    const auto file = backend_->open_for_read(pattern_file(64 * kBlock));
    for (const int error : {EIO, ENOSPC}) {
        const auto queue = backend_->make_queue(4);
        int events = 0;
        kernel_aio.gather = 4;  // all four in one batch, the first of them bad
        kernel_aio.on_event = [&](io_event& event) {
            if (events++ == 0) event.res = static_cast<unsigned long>(-static_cast<long>(error));
        };
        AlignedMemory memory(64 * kBlock);
        for (std::uint64_t i = 0; i < 4; ++i)
            queue->read(*file, i * 16 * kBlock, memory.part(i * 16 * kBlock, 16 * kBlock), i);
        std::vector<IoCompletion> done;
        const Caught caught = error_of([&] { queue->wait(1, done); });
        EXPECT_EQ(caught.code, error == ENOSPC ? 9 : 5);
        EXPECT_TRUE(caught.mentions("read '" + file->path() + "' at ")) << caught.text;
        EXPECT_TRUE(caught.mentions("65536 bytes")) << caught.text;
        EXPECT_EQ(done.size(), 3u) << "what came with it is not lost";
        EXPECT_EQ(queue->in_flight(), 0u) << "so the destructor waits for nothing";
        kernel_aio.gather = 0;
        kernel_aio.on_event = nullptr;
        queue->read(*file, 0, memory.part(0, kBlock), 7);
        EXPECT_EQ(drain(*queue).size(), 1u) << "the queue stays usable";
    }
}

TEST_F(Libaio, SeveralFailuresInOneBatchGiveTheFirst) {
    const auto file = backend_->open_for_read(pattern_file(4 * kBlock));
    const auto queue = backend_->make_queue(2);
    kernel_aio.gather = 2;
    int events = 0;
    kernel_aio.on_event = [&](io_event& event) {
        event.res = static_cast<unsigned long>(events++ == 0 ? -long{ENOSPC} : -long{EIO});
    };
    AlignedMemory memory(4 * kBlock);
    queue->read(*file, 0, memory.part(0, kBlock), 0);
    queue->read(*file, kBlock, memory.part(kBlock, kBlock), 1);
    std::vector<IoCompletion> done;
    EXPECT_EQ(error_of([&] { queue->wait(1, done); }).code, 9);
    EXPECT_EQ(queue->in_flight(), 0u);
}

TEST_F(Libaio, InterruptedAndRefusedCallsAreRepeated) {
    const auto file = backend_->open_for_read(pattern_file(2 * kBlock));
    const auto queue = backend_->make_queue(1);
    kernel_aio.submit = {-EINTR, -EAGAIN, 0, -EAGAIN};  // 0: the kernel took none
    kernel_aio.getevents = {-EINTR, -EINTR};
    AlignedMemory memory(2 * kBlock);
    queue->read(*file, 0, memory.all(), 3);
    EXPECT_EQ(drain(*queue).front().bytes, 2 * kBlock);
    EXPECT_EQ(first_difference(memory.all(), 0), memory.all().size());
}

TEST_F(Libaio, SubmitErrorIsThrownAtOnceAndLeavesNothingInFlight) {
    const auto file = backend_->open_for_read(pattern_file(2 * kBlock));
    const auto queue = backend_->make_queue(1);
    AlignedMemory memory(2 * kBlock);
    kernel_aio.submit = {-EIO};
    EXPECT_EQ(error_of([&] { queue->read(*file, 0, memory.all(), 0); }).code, 5);
    EXPECT_EQ(queue->in_flight(), 0u);
    queue->read(*file, 0, memory.all(), 1);
    EXPECT_EQ(drain(*queue).size(), 1u);
}

TEST_F(Libaio, SyncThatTheKernelHasNotIsDoneOnTheSpot) {
    kernel_aio.refuse_sync = true;
    const auto file = backend_->create(directory_ / "new");
    AlignedMemory memory(kBlock);
    {
        const auto queue = backend_->make_queue(2);
        queue->sync(*file, 4);
        queue->read(*file, 0, memory.all(), 5);
        EXPECT_EQ(queue->in_flight(), 2u);
        EXPECT_EQ(error_of([&] { queue->sync(*file, 6); }).code, 1) << "it counts towards the depth";
        const auto done = drain(*queue);
        EXPECT_EQ(done.size(), 2u);
        queue->sync(*file, 7);
    }  // a sync nobody waited for does not hold the destructor up
}

TEST_F(Libaio, FailedSyncOnTheSpotLeavesNothingInFlight) {
    kernel_aio.refuse_sync = true;
    const auto file = backend_->create(directory_ / "new");
    file->close_checked();  // so that fdatasync fails
    const auto queue = backend_->make_queue(1);
    EXPECT_EQ(error_of([&] { queue->sync(*file, 0); }).code, 5);
    EXPECT_EQ(queue->in_flight(), 0u);
}

TEST_F(Libaio, ExhaustedAioLimitNamesTheNumbersAndTheRemedy) {
    kernel_aio.setup = {-EAGAIN};
    const Caught caught = error_of([&] { backend_->make_queue(64); });
    EXPECT_EQ(caught.code, 3);
    std::string limit;
    std::ifstream("/proc/sys/fs/aio-max-nr") >> limit;
    EXPECT_TRUE(caught.mentions("64 requests")) << caught.text;
    EXPECT_TRUE(caught.mentions("aio-max-nr " + limit)) << caught.text;
    EXPECT_TRUE(caught.mentions("io.depth")) << caught.text;
}

TEST_F(Libaio, DestructorWaitsForWhatIsInFlight) {
    const auto file = backend_->open_for_read(pattern_file(64 * kBlock));
    AlignedMemory memory(64 * kBlock);
    { backend_->make_queue(1)->read(*file, 0, memory.all(), 0); }
    EXPECT_EQ(first_difference(memory.all(), 0), memory.all().size());
}

TEST_F(Libaio, WaitingIsBookedOnTheWorker) {
    const auto file = backend_->open_for_read(pattern_file(64 * kBlock));
    AlignedMemory memory(64 * kBlock);
    WorkerMetrics metrics;
    set_this_worker(&metrics);
    const auto queue = backend_->make_queue(1);
    queue->read(*file, 0, memory.all(), 0);
    drain(*queue);
    set_this_worker(nullptr);
    EXPECT_GT(metrics.wait_io_ns.get(), 0u);
}

TEST_F(Libaio, PollingAnIdleQueueReturnsAtOnce) {
    const auto queue = backend_->make_queue(4);
    std::vector<IoCompletion> done;
    queue->wait(0, done);
    EXPECT_TRUE(done.empty());
    EXPECT_EQ(error_of([&] { queue->wait(1, done); }).code, 1) << "would wait for ever";
}

TEST_F(Libaio, PreallocationBeyondTheDiskTakesNothingAndNamesNeededAndFreeBytes) {
    const auto file = backend_->create(directory_ / "new");
    const Caught caught = error_of([&] { file->preallocate(std::uint64_t{1} << 53); });
    EXPECT_EQ(caught.code, 9);
    EXPECT_TRUE(caught.mentions("8PiB needed")) << caught.text;
    EXPECT_FALSE(caught.mentions(" 0 B free")) << caught.text;
    EXPECT_EQ(file->size_bytes(), 0u);
    file->preallocate(0);
    EXPECT_EQ(file->size_bytes(), 0u);
    file->preallocate(10 * kBlock);
    EXPECT_EQ(file->size_bytes(), 10 * kBlock);
    EXPECT_EQ(error_of([&] { file->preallocate(std::uint64_t{1} << 63); }).code, 9);
}

}  // namespace
}  // namespace sluice::testing
