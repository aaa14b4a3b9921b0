// Readers close each file behind its last read: so few are open at a time, however many there are.
#include "stages/reader.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <thread>

#include "runtime/executor.hpp"
#include "simulated/memory_backend.hpp"
#include "stages/sample_reader.hpp"
#include "stages/stage_fixture.hpp"

namespace sluice {
namespace {

constexpr std::uint64_t kFileBytes = 8192;

/// Files of zeros that count how many of them are open; reads complete when they are waited for.
class CountingBackend final : public IoBackend {
public:
    std::unique_ptr<IoFile> open_for_read(const std::string& path) override {
        return std::make_unique<File>(*this, path);
    }
    std::unique_ptr<IoFile> create(const std::string&) override { return nullptr; }
    std::unique_ptr<IoFile> open_for_update(const std::string&) override { return nullptr; }
    std::unique_ptr<IoQueue> make_queue(unsigned depth) override { return std::make_unique<Queue>(depth); }
    const char* name() const override { return "counting"; }

    unsigned open = 0, most_open = 0, opened = 0;

private:
    class File final : public IoFile {
    public:
        File(CountingBackend& backend, std::string path) : backend_(backend), path_(std::move(path)) {
            ++backend_.opened;
            backend_.most_open = std::max(backend_.most_open, ++backend_.open);
        }
        ~File() override { --backend_.open; }
        const std::string& path() const override { return path_; }
        std::uint64_t size_bytes() const override { return kFileBytes; }
        FileIdentity identity() const override { return {}; }
        void preallocate(std::uint64_t) override {}
        void truncate(std::uint64_t) override {}
        void sync_data() override {}
        void close_checked() override {}
        bool is_direct() const override { return true; }

    private:
        CountingBackend& backend_;
        std::string path_;
    };
    class Queue final : public IoQueue {
    public:
        explicit Queue(unsigned depth) : depth_(depth) {}
        void read(IoFile&, std::uint64_t, std::span<std::byte> memory, std::uint64_t token) override {
            done_.push_back({token, memory.size()});
        }
        void write(IoFile&, std::uint64_t, std::span<const std::span<const std::byte>>, std::uint64_t) override {}
        void sync(IoFile&, std::uint64_t) override {}
        void wait(unsigned minimum, std::vector<IoCompletion>& done) override {
            const auto end = done_.begin() + minimum;
            done.insert(done.end(), done_.begin(), end);
            done_.erase(done_.begin(), end);
        }
        unsigned in_flight() const override { return static_cast<unsigned>(done_.size()); }
        unsigned depth() const override { return depth_; }
        IoCounters counters() const override { return {}; }

    private:
        unsigned depth_;
        std::vector<IoCompletion> done_;
    };
};

std::vector<ReadRange> many_files(unsigned count) {
    std::vector<ReadRange> ranges;
    for (unsigned i = 0; i < count; ++i) {
        // Two ranges a file: they share it.
        ranges.push_back({"f" + std::to_string(i), 0, kFileBytes / 2, i});
        ranges.push_back({"f" + std::to_string(i), kFileBytes / 2, kFileBytes / 2, i});
    }
    return ranges;
}

TEST(Reader, HasNoMoreFilesOpenThanReadsInFlight) {
    ThreadExecutor executor;
    CountingBackend backend;
    std::vector<std::byte> memory(8 * kFileBytes + 4096);
    std::byte* const begin = memory.data();
    BufferPool pool(executor, "read", std::span(begin, 8 * kFileBytes), kFileBytes, 8);
    WorkQueue<Buffer> output(executor, 8, 1);
    Reader reader(backend, many_files(1000), 3, pool, output, 128);
    std::uint64_t bytes = 0;
    std::thread consumer([&] {
        while (auto buffer = output.pop()) bytes += buffer->size();
    });
    reader.run();
    consumer.join();
    EXPECT_EQ(bytes, 1000 * kFileBytes);
    EXPECT_EQ(backend.opened, 1000u) << "neighbours in one file share it";
    EXPECT_LE(backend.most_open, 4u);
    EXPECT_EQ(backend.open, 0u);
}

/// 1,001-byte records lie across blocks: each read begins at the block before its first record.
TEST(Reader, HandsOnWholeRecordsOfItsRangesWithTheirFile) {
    ThreadExecutor executor;
    MemoryDisk disk(executor);
    disk.directories["/d"] = true;
    const RecordFormat odd{1001, 0, 10};
    const auto one = testing::random_records(50, 1, odd), two = testing::random_records(9, 2, odd);
    for (const auto& [path, bytes] : {std::pair("/d/1", &one), std::pair("/d/2", &two)})
        disk.put(path, {reinterpret_cast<const char*>(bytes->data()), bytes->size()});
    const auto io = make_memory_backend(executor, disk, 3, 0);
    testing::OwnPool pool(executor, "read", 3 * 4096, 64);
    WorkQueue<Buffer> output(executor, 64, 1);
    Reader reader(*io, {{"/d/1", 7 * 1001, 30 * 1001, 5}, {"/d/2", 0, 9 * 1001, 6}}, 4, pool.pool, output, 1001);
    reader.run();
    std::vector<std::byte> of_one, of_two;
    while (auto buffer = output.pop()) {
        EXPECT_EQ(buffer->size() % 1001, 0u);
        auto& of = buffer->source() == 5 ? of_one : of_two;
        of.insert(of.end(), buffer->data().begin(), buffer->data().end());
    }
    EXPECT_EQ(testing::sorted_texts(of_one, odd),
              testing::sorted_texts(std::span(one).subspan(7 * 1001, 30 * 1001), odd));
    EXPECT_EQ(testing::sorted_texts(of_two, odd), testing::sorted_texts(two, odd));
}

TEST(Reader, AFileThatEndsEarlyOrIsAnotherOneIsNamed) {
    ThreadExecutor executor;
    MemoryDisk disk(executor);
    disk.directories["/d"] = true;
    disk.put("/d/1", std::string(8000, 'x'));
    const auto io = make_memory_backend(executor, disk, 3, 0);
    const auto read = [&](const ReadRange& range) {
        testing::OwnPool pool(executor, "read", 8192, 4);
        WorkQueue<Buffer> output(executor, 4, 1);
        return testing::error_of([&] { Reader(*io, {range}, 2, pool.pool, output, 128).run(); });
    };
    EXPECT_EQ(read({"/d/1", 0, 7936, 0}).code, 0);
    const auto cut = read({"/d/1", 0, 8064, 0});
    EXPECT_EQ(cut.code, 4);
    EXPECT_TRUE(cut.mentions("'/d/1': the file ended 64 bytes early")) << cut.text;
    const FileIdentity now = io->open_for_read("/d/1")->identity();
    EXPECT_EQ(read({"/d/1", 0, 7936, 0, &now}).code, 0);
    disk.put("/d/1", std::string(8000, 'y'));
    const auto other = read({"/d/1", 0, 7936, 0, &now});
    EXPECT_EQ(other.code, 4);
    EXPECT_TRUE(other.mentions("not as it was when it was listed")) << other.text;
}

TEST(SampleReader, HasNoMoreFilesOpenThanReadsInFlight) {
    CountingBackend backend;
    const auto ranges = many_files(1000);
    Rng rng(1);
    auto spans = plan_sample_spans({ranges}, 128, 0, 1, rng).front();
    std::uint64_t total = 0;
    for (const SampleSpan& span : spans) total += span.bytes;
    const std::uint64_t buffer_bytes = largest_span_read_bytes(spans);
    std::vector<std::byte> buffers(5 * buffer_bytes), output(total);
    SampleReader reader(backend, ranges, std::move(spans), {buffers, buffer_bytes, 5}, output);
    reader.run();
    EXPECT_EQ(backend.opened, 1000u);
    EXPECT_LE(backend.most_open, 6u);
}

}  // namespace
}  // namespace sluice
