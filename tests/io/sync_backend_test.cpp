#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <csignal>
#include <filesystem>

#include "io/io_backend.hpp"
#include "io/io_fixture.hpp"

namespace sluice::testing {
namespace {

constexpr std::size_t kBlock = kDirectIoAlign;

class SyncBackend : public ::testing::TestWithParam<DirectIo> {
protected:
    std::unique_ptr<IoBackend> backend_ = make_sync_backend(GetParam());
    TempDirectory directory_;
};
INSTANTIATE_TEST_SUITE_P(Each, SyncBackend, ::testing::Values(DirectIo::on, DirectIo::off),
                         [](const auto& which) { return which.param == DirectIo::on ? "Direct" : "Cached"; });

TEST_P(SyncBackend, VectoredWriteReadsBackAndCompletesAtWait) {
    AlignedMemory out(6 * kBlock), in(6 * kBlock);
    fill_pattern(out.all(), 0);
    const std::vector<std::span<const std::byte>> pieces{out.part(0, kBlock), out.part(kBlock, 3 * kBlock),
                                                         out.part(4 * kBlock, 2 * kBlock)};
    const auto file = backend_->create(directory_ / "new");
    EXPECT_EQ(file->is_direct(), GetParam() == DirectIo::on);
    const auto queue = backend_->make_queue(3);
    queue->write(*file, 2 * kBlock, pieces, 1);
    queue->read(*file, 2 * kBlock, in.all(), 2);
    queue->sync(*file, 3);
    EXPECT_EQ(queue->in_flight(), 3u);
    EXPECT_EQ(error_of([&] { queue->sync(*file, 4); }).code, 1) << "deeper than the queue";
    std::vector<IoCompletion> done;
    queue->wait(1, done);
    ASSERT_EQ(done.size(), 3u);
    EXPECT_EQ(done[0].bytes, 6 * kBlock);
    EXPECT_EQ(done[1].bytes, 6 * kBlock);
    EXPECT_EQ(first_difference(in.all(), 0), in.all().size());
    EXPECT_EQ(queue->counters().written_bytes, 6 * kBlock);
    EXPECT_EQ(queue->counters().write_requests, 1u);
    EXPECT_EQ(queue->counters().read_bytes, 6 * kBlock);
    EXPECT_EQ(queue->counters().max_in_flight, 1u);
}

TEST_P(SyncBackend, ReadPastTheEndGivesTheUnalignedTail) {
    write_pattern_file(directory_ / "data", 2 * kBlock + 676);
    const auto file = backend_->open_for_read(directory_ / "data");
    const auto queue = backend_->make_queue(1);
    AlignedMemory memory(4 * kBlock);
    std::vector<IoCompletion> done;
    queue->read(*file, kBlock, memory.all(), 0);
    queue->wait(1, done);
    EXPECT_EQ(done.front().bytes, kBlock + 676);
    EXPECT_EQ(first_difference(memory.part(0, kBlock + 676), kBlock), kBlock + 676);
}

TEST_P(SyncBackend, MisalignmentMattersOnDirectFilesOnly) {
    write_pattern_file(directory_ / "data", 4 * kBlock);
    const auto file = backend_->open_for_read(directory_ / "data");
    const auto queue = backend_->make_queue(1);
    AlignedMemory memory(2 * kBlock);
    const Caught caught = error_of([&] { queue->read(*file, 100, memory.part(3, 200), 0); });
    EXPECT_EQ(caught.code, GetParam() == DirectIo::on ? 1 : 0);
    EXPECT_EQ(queue->in_flight(), GetParam() == DirectIo::on ? 0u : 1u);
}

/// The kernel ends writes at this many bytes with EFBIG and cuts the one that crosses it short, as a full disk does.
class FileSizeLimit {
public:
    explicit FileSizeLimit(rlim_t bytes) {
        std::signal(SIGXFSZ, SIG_IGN);
        ::getrlimit(RLIMIT_FSIZE, &before_);
        const rlimit limit{bytes, before_.rlim_max};
        ::setrlimit(RLIMIT_FSIZE, &limit);
    }
    ~FileSizeLimit() {
        ::setrlimit(RLIMIT_FSIZE, &before_);
        std::signal(SIGXFSZ, SIG_DFL);
    }
    FileSizeLimit(const FileSizeLimit&) = delete;

private:
    rlimit before_{};
};

TEST_P(SyncBackend, WriteCutShortByTheKernelIsContinuedUntilItsErrorShows) {
    AlignedMemory memory(8 * kBlock);
    fill_pattern(memory.all(), 0);
    const auto file = backend_->create(directory_ / "new");
    const auto queue = backend_->make_queue(1);
    const FileSizeLimit limit(3 * kBlock);
    const std::vector<std::span<const std::byte>> pieces{memory.part(0, 2 * kBlock),
                                                         memory.part(2 * kBlock, 6 * kBlock)};
    const Caught caught = error_of([&] { queue->write(*file, 0, pieces, 0); });
    EXPECT_EQ(caught.code, 9);
    EXPECT_TRUE(caught.mentions("at 12288, 20480 bytes: File too large (EFBIG 27)")) << caught.text;
    EXPECT_EQ(queue->counters().short_transfers, 1u) << "the first three blocks went in";
    EXPECT_EQ(queue->in_flight(), 0u);
    EXPECT_EQ(error_of([&] { file->preallocate(4 * kBlock); }).code, 9);
    EXPECT_EQ(std::filesystem::file_size(file->path()), 3 * kBlock)
        << "a failed preallocation leaves the file as it was";
}

TEST(PosixFiles, WhatStandsInThePlaceOfAFileIsRefusedAtOnce) {
    const TempDirectory scratch;
    write_text_file(scratch / "file", "x");
    std::filesystem::create_symlink(scratch / "file", scratch / "link");
    ASSERT_EQ(::mkfifo((scratch / "fifo").c_str(), 0600), 0);
    const auto expect_input = [&](const char* name, auto open) {
        try {
            open(scratch / name);
            ADD_FAILURE() << name << " was opened";
        } catch (const Error& error) {
            EXPECT_EQ(error.code(), Errc::input) << error.what();
            EXPECT_NE(std::string(error.what()).find(scratch / name), std::string::npos) << error.what();
        }
    };
    for (const auto& io : {make_sync_backend(DirectIo::attempt), make_libaio_backend(DirectIo::attempt)}) {
        EXPECT_EQ(io->open_written(scratch / "file")->size_bytes(), 1u);
        EXPECT_EQ(io->open_for_read(scratch / "link")->size_bytes(), 1u) << "input may be named by links";
        expect_input("link", [&](const std::string& path) { io->open_written(path); });
        expect_input("fifo", [&](const std::string& path) { io->open_written(path); });
        expect_input("fifo", [&](const std::string& path) { io->open_for_read(path); });
        expect_input("", [&](const std::string& path) { io->open_for_read(path); });
    }
}

TEST_P(SyncBackend, ErrorsOfTheFileItselfAreReported) {
    const auto file = backend_->create(directory_ / "new");
    const auto queue = backend_->make_queue(1);
    file->close_checked();
    AlignedMemory memory(kBlock);
    EXPECT_EQ(error_of([&] { queue->read(*file, 0, memory.all(), 0); }).code, 5);
    EXPECT_EQ(error_of([&] { queue->sync(*file, 0); }).code, 5);
    EXPECT_EQ(error_of([&] { file->close_checked(); }).code, 5);
    EXPECT_EQ(error_of([&] { file->truncate(1); }).code, 5);
    EXPECT_EQ(queue->in_flight(), 0u);
}

}  // namespace
}  // namespace sluice::testing
