#include "io/extent_log.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <thread>
#include <utility>
#include <vector>

#include "io/extent_index_file.hpp"
#include "io/io_fixture.hpp"
#include "runtime/rng.hpp"
#include "simulated/memory_backend.hpp"

namespace sluice::testing {
namespace {

constexpr std::uint64_t kBlock = kDirectIoAlign;

TEST(ExtentLog, GrowsInStepsWhileTheDiskHasRoomAndThenByWhatIsNeeded) {
    constexpr std::uint64_t kStart = 64 * kBlock, kDisk = std::uint64_t{20} << 20;
    std::vector<std::uint64_t> asked;
    ThreadExecutor executor;
    ExtentLog log(executor, "/disk/log-0", kStart, [&](std::uint64_t bytes) {
        asked.push_back(bytes);
        if (bytes > kDisk) throw Error(Errc::space, "the disk has 20 MiB");
    });
    EXPECT_EQ(log.allocate(kStart).offset, 0u);
    EXPECT_TRUE(asked.empty());
    EXPECT_EQ(log.allocate(kBlock).offset, kStart);
    ASSERT_EQ(asked.size(), 1u);
    EXPECT_GE(asked[0], kStart + kBlock);
    EXPECT_EQ(log.allocate(asked[0] - kStart - kBlock).offset, kStart + kBlock) << "what was grown needs no asking";
    ASSERT_EQ(asked.size(), 1u);
    log.allocate(kBlock);  // the next whole step is more than the disk has
    ASSERT_EQ(asked.size(), 3u);
    EXPECT_EQ(asked[2], asked[0] + kBlock);
    const Caught full = error_of([&] { log.allocate(kDisk); });
    EXPECT_EQ(full.code, 9);
    EXPECT_TRUE(full.mentions("/disk/log-0") && full.mentions("the disk has 20 MiB") &&
                full.mentions("keys are not uniform: sample"))
        << full.text;
}

TEST(ExtentLog, PlacesExtentsOneAfterTheOtherUpToItsCapacity) {
    ThreadExecutor executor;
    ExtentLog log(executor, "/disk/log-0", 10 * kBlock);
    EXPECT_EQ(log.allocate(4 * kBlock).offset, 0u);
    EXPECT_EQ(log.allocate(6 * kBlock).offset, 4 * kBlock);
    EXPECT_EQ(log.used_bytes(), 10 * kBlock);
    const Caught full = error_of([&] { log.allocate(kBlock); });
    EXPECT_EQ(full.code, 9);
    EXPECT_TRUE(full.mentions("/disk/log-0") && full.mentions("keys are not uniform: sample")) << full.text;
    EXPECT_EQ(log.used_bytes(), 10 * kBlock);
    EXPECT_EQ(error_of([&] { log.allocate(~std::uint64_t{0} - 4095); }).code, 9) << "no sum wraps around";
    EXPECT_EQ(error_of([&] { log.allocate(100); }).code, 1) << "the next extent would not be aligned";
}

TEST(ExtentLog, SeveralWritersNeverGetTheSamePlace) {
    constexpr std::uint64_t kEach = 2000, kWriters = 4;
    ThreadExecutor executor;
    ExtentLog log(executor, "/disk/log-0", kEach * kWriters * 3 * kBlock);
    std::vector<std::vector<std::pair<ExtentLog::Place, std::uint64_t>>> got(kWriters);
    std::vector<std::thread> writers;
    for (std::uint64_t writer = 0; writer < kWriters; ++writer) {
        writers.emplace_back([&, writer] {
            for (std::uint64_t i = 0; i < kEach; ++i) {
                const std::uint64_t bytes = (1 + (i + writer) % 3) * kBlock;
                got[writer].emplace_back(log.allocate(bytes), bytes);
            }
        });
    }
    for (auto& writer : writers) writer.join();
    std::vector<std::pair<ExtentLog::Place, std::uint64_t>> all;
    for (const auto& mine : got) all.insert(all.end(), mine.begin(), mine.end());
    std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.first.offset < b.first.offset; });
    std::uint64_t at = 0, number = 0;
    for (const auto& [place, bytes] : all) {
        ASSERT_EQ(place.offset, at);
        ASSERT_EQ(place.sequence, number++) << "numbered as they lie";
        at += bytes;
    }
    EXPECT_EQ(log.used_bytes(), at);
}

TEST(ExtentIndex, PaddedExtentComesLastAndDisksAreReadForward) {
    ThreadExecutor executor;
    ExtentIndex index(executor, 3);
    index.add(1, {0, 8 * kBlock, 4 * kBlock, 4 * kBlock, 2, 0});
    index.add(1, {1, 0, 2 * kBlock, kBlock + 100, 0, 0});  // the short last chunk
    index.add(1, {1, 4 * kBlock, 4 * kBlock, 4 * kBlock, 1, 0});
    index.add(1, {0, 0, 4 * kBlock, 4 * kBlock, 0, 0});
    index.add(2, {0, 4 * kBlock, 4 * kBlock, 4 * kBlock, 1, 0});
    const auto list = index.extents(1);
    ASSERT_EQ(list.size(), 4u);
    EXPECT_EQ(list.back().payload_bytes, kBlock + 100);
    std::uint64_t last[2] = {0, 0};
    for (std::size_t i = 0; i + 1 < list.size(); ++i) {
        EXPECT_EQ(list[i].payload_bytes, list[i].written_bytes);
        EXPECT_LE(last[list[i].disk], list[i].offset);
        last[list[i].disk] = list[i].offset;
    }
    EXPECT_TRUE(index.extents(0).empty());
    EXPECT_EQ(index.bytes(1), 13 * kBlock + 100);
    EXPECT_EQ(index.total_bytes(), 17 * kBlock + 100);
    EXPECT_EQ(index.padding_bytes(), kBlock - 100);
    EXPECT_EQ(index.largest_padded_bytes(), 14 * kBlock);
    EXPECT_EQ(index.extent_count(), 5u);
    EXPECT_EQ(error_of([&] { index.add(3, {}); }).code, 1);
}

TEST(ExtentIndex, ManyWritersAddAtTheSameTime) {
    ThreadExecutor executor;
    ExtentIndex index(executor, 4);
    std::vector<std::unique_ptr<Task>> tasks;
    for (std::uint32_t disk = 0; disk < 4; ++disk) {
        tasks.push_back(executor.spawn("writer", [&, disk] {
            for (std::uint64_t i = 0; i < 500; ++i)
                index.add(static_cast<std::uint32_t>(i % 4), {disk, i * kBlock, kBlock, kBlock, i, 0});
        }));
    }
    for (auto& task : tasks) task->join();
    EXPECT_EQ(index.extent_count(), 2000u);
    EXPECT_EQ(index.total_bytes(), 2000 * kBlock);
    EXPECT_EQ(index.bytes(3), 500 * kBlock);
}

class IndexFile : public ::testing::Test {
protected:
    IndexFile() {
        Rng rng(11);
        for (std::uint64_t i = 0; i < 50; ++i) {
            const std::uint64_t blocks = 1 + rng.below(100);
            index_.add(static_cast<std::uint32_t>(rng.below(7)),
                       {static_cast<std::uint32_t>(rng.below(3)), i * 100 * kBlock, blocks * kBlock, blocks * kBlock, i,
                        static_cast<std::uint32_t>(rng.next())});
        }
        index_.add(6, {2, 5000 * kBlock, kBlock, 300, 50, 1});
        bytes_ = serialize_extents(index_, owner_);
    }
    Caught load(const std::string& bytes, const ExtentIndexOwner& owner, std::uint32_t logical_disks = 7) {
        ExtentIndex loaded(executor_, logical_disks);
        const Caught caught = error_of([&] { deserialize_extents(bytes, "/disk/index", owner, loaded); });
        if (caught.code != 0) {
            EXPECT_EQ(loaded.extent_count(), 0u);
        }
        return caught;
    }
    ThreadExecutor executor_;
    ExtentIndex index_{executor_, 7};
    ExtentIndexOwner owner_{"7f3a00000000000000000000000000aa", 3, 0x1234'5678'9abc'def0};
    std::string bytes_;
};

TEST_F(IndexFile, SavedIndexLoadsToTheSameExtents) {
    MemoryDisk disk(executor_);
    const auto files = make_memory_file_system(disk);
    files->make_directories("/disk");
    save_extent_index(*files, "/disk/index", index_, owner_);
    ExtentIndex loaded(executor_, 7);
    load_extent_index(*files, "/disk/index", owner_, loaded);
    EXPECT_EQ(loaded.extent_count(), 51u);
    for (std::uint32_t d = 0; d < 7; ++d) {
        const auto expected = index_.extents(d), got = loaded.extents(d);
        ASSERT_EQ(got.size(), expected.size());
        for (std::size_t i = 0; i < got.size(); ++i) {
            EXPECT_EQ(got[i].disk, expected[i].disk);
            EXPECT_EQ(got[i].offset, expected[i].offset);
            EXPECT_EQ(got[i].written_bytes, expected[i].written_bytes);
            EXPECT_EQ(got[i].payload_bytes, expected[i].payload_bytes);
            EXPECT_EQ(got[i].sequence, expected[i].sequence);
            EXPECT_EQ(got[i].checksum, expected[i].checksum);
        }
    }
    EXPECT_EQ(serialize_extents(loaded, owner_), bytes_);
    ExtentIndex none(executor_, 7);
    EXPECT_EQ(error_of([&] { load_extent_index(*files, "/disk/none", owner_, none); }).code, 11);
}

TEST_F(IndexFile, EmptyIndexIsAFileToo) {
    EXPECT_EQ(load(serialize_extents(ExtentIndex(executor_, 7), owner_), owner_).code, 0);
}

TEST_F(IndexFile, AnotherRunRankConfigOrPlanCannotResume) {
    const auto expect_resume = [&](const Caught& caught, const char* what) {
        EXPECT_EQ(caught.code, 11) << caught.text;
        EXPECT_TRUE(caught.mentions(what) && caught.mentions("/disk/index")) << caught.text;
    };
    expect_resume(load(bytes_, {"another", 3, owner_.config_hash}), "run");
    expect_resume(load(bytes_, {owner_.run_id, 4, owner_.config_hash}), "rank 3");
    expect_resume(load(bytes_, {owner_.run_id, 3, 1}), "config");
    expect_resume(load(bytes_, owner_, 8), "logical disks");
    std::string swapped = bytes_;
    std::reverse(swapped.begin() + 8, swapped.begin() + 12);
    expect_resume(load(swapped, owner_), "byte order");
    std::string newer = bytes_;
    newer[12] = 2;
    expect_resume(load(newer, owner_), "version 2");
}

TEST_F(IndexFile, EveryCutAndEveryFlippedBitIsRefused) {
    for (std::size_t length = 0; length < bytes_.size(); ++length)
        EXPECT_EQ(load(bytes_.substr(0, length), owner_).code, 6) << "cut to " << length;
    EXPECT_EQ(load(bytes_ + '\0', owner_).code, 6);
    for (std::size_t bit = 0; bit < bytes_.size() * 8; ++bit) {
        std::string damaged = bytes_;
        damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << bit % 8));
        const int code = load(damaged, owner_).code;
        const bool in_mark_or_version = bit / 8 >= 8 && bit / 8 < 16;
        EXPECT_EQ(code, in_mark_or_version ? 11 : 6) << "bit " << bit;
    }
}

}  // namespace
}  // namespace sluice::testing
