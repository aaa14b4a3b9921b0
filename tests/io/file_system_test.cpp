#include "io/file_system.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>

#include "io/io_fixture.hpp"
#include "simulated/memory_backend.hpp"

namespace sluice::testing {
namespace {

/// One body, both file systems: what the simulated cluster relies on must hold on real disks as well.
class AnyFileSystem : public ::testing::TestWithParam<bool> {
protected:
    AnyFileSystem() : root_(GetParam() ? directory_.path() : "/disk") {
        files_ = GetParam() ? make_real_file_system() : make_memory_file_system(disk_);
        files_->make_directories(root_);
    }
    std::string operator/(const std::string& name) const { return root_ + "/" + name; }
    TempDirectory directory_;
    ThreadExecutor executor_;
    MemoryDisk disk_{executor_};
    std::string root_;
    std::unique_ptr<FileSystem> files_;
};
INSTANTIATE_TEST_SUITE_P(Each, AnyFileSystem, ::testing::Bool(),
                         [](const auto& which) { return which.param ? "Real" : "Memory"; });

TEST_P(AnyFileSystem, TextWrittenReadsBackAndIsReplacedWhole) {
    const std::string path = *this / "text", binary("a\0b\xff\n", 5);
    files_->write_durably(path, "first, and longer");
    files_->write_durably(path, binary);
    EXPECT_EQ(files_->read_text(path, 1000), binary);
    files_->write_durably(path, "");
    EXPECT_EQ(files_->read_text(path, 1000), "");
    EXPECT_EQ(files_->list(root_), std::vector<std::string>{"text"}) << "no temporary name stays";
    EXPECT_EQ(error_of([&] { files_->read_text(*this / "none", 1000); }).code, 4);
    EXPECT_EQ(error_of([&] { files_->write_durably(*this / "none/text", "x"); }).code, 5);
}

TEST(RealFileSystem, OnlyBoundedRegularFilesAreReadAndNothingIsWaitedFor) {
    const TempDirectory directory;
    const std::string base = directory.path();
    const auto files = make_real_file_system();
    files->write_durably(base + "/text", "12345");
    ASSERT_EQ(::mkfifo((base + "/pipe").c_str(), 0600), 0);
    EXPECT_EQ(files->read_text(base + "/text", 5), "12345");
    const auto why = [&](const std::string& path) {
        const auto error = error_of([&] { files->read_text(path, 4); });
        EXPECT_EQ(error.code, 4) << path;
        return error.text;
    };
    EXPECT_NE(why(base + "/text").find("larger than the 4 bytes"), std::string::npos);
    EXPECT_NE(why(base + "/pipe").find("is a pipe"), std::string::npos);
    EXPECT_NE(why(base).find("is a directory"), std::string::npos);
    EXPECT_NE(why("/dev/zero").find("is a device"), std::string::npos);
    EXPECT_NE(why("/proc/self/maps").find("larger than"), std::string::npos) << "no size is said, but it has one";
}

TEST_P(AnyFileSystem, InfoTellsFilesDirectoriesAndNothingApart) {
    files_->make_directories(*this / "a/b/c");
    files_->write_durably(*this / "a/file", "12345");
    const auto file = files_->info(*this / "a/file"), directory = files_->info(*this / "a/b");
    ASSERT_TRUE(file && directory);
    EXPECT_TRUE(file->is_regular && file->is_readable && !file->is_directory);
    EXPECT_EQ(file->size_bytes, 5u);
    EXPECT_TRUE(directory->is_directory && !directory->is_regular);
    EXPECT_FALSE(files_->info(*this / "none"));
    EXPECT_FALSE(files_->info(*this / "a/file/below"));
    EXPECT_TRUE(files_->is_writable(*this / "a/b"));
    files_->make_directories(*this / "a/b/c");  // there already
    EXPECT_EQ(error_of([&] { files_->make_directories(*this / "a/file/below"); }).code, 3);
}

TEST_P(AnyFileSystem, ModificationTimeGrowsAndInodesDiffer) {
    files_->write_durably(*this / "one", "1");
    const auto before = files_->info(*this / "one");
    files_->write_durably(*this / "two", "2");
    const auto after = files_->info(*this / "two");
    EXPECT_LE(before->modified_ns, after->modified_ns);
    EXPECT_NE(before->inode, after->inode);
    EXPECT_EQ(before->device, after->device);
}

TEST_P(AnyFileSystem, RenameMovesADirectoryWithAllInItAndNeverReplaces) {
    files_->make_directories(*this / ".partial/deep");
    files_->write_durably(*this / ".partial/part-0", "data");
    files_->rename_no_replace(*this / ".partial", *this / "sorted");
    EXPECT_EQ(files_->read_text(*this / "sorted/part-0", 1000), "data");
    EXPECT_TRUE(files_->info(*this / "sorted/deep")->is_directory);
    EXPECT_FALSE(files_->info(*this / ".partial"));
    files_->sync_directory(root_);

    files_->make_directories(*this / "again");
    const Caught taken = error_of([&] { files_->rename_no_replace(*this / "again", *this / "sorted"); });
    EXPECT_EQ(taken.code, 2);
    EXPECT_TRUE(taken.mentions(*this / "sorted") && taken.mentions("exists")) << taken.text;
    files_->write_durably(*this / "file", "1");
    files_->write_durably(*this / "other", "2");
    EXPECT_EQ(error_of([&] { files_->rename_no_replace(*this / "file", *this / "other"); }).code, 2);
    EXPECT_EQ(files_->read_text(*this / "other", 1000), "2");
    EXPECT_EQ(error_of([&] { files_->rename_no_replace(*this / "none", *this / "new"); }).code, 5);
    files_->rename_no_replace(*this / "file", *this / "renamed");
    EXPECT_EQ(files_->read_text(*this / "renamed", 1000), "1");
}

TEST_P(AnyFileSystem, OnlyEmptyDirectoriesGo) {
    files_->make_directories(*this / "full/inner");
    EXPECT_EQ(error_of([&] { files_->remove_empty_directory(*this / "full"); }).code, 5);
    files_->remove_empty_directory(*this / "full/inner");
    files_->write_durably(*this / "full/file", "x");
    EXPECT_EQ(error_of([&] { files_->remove_empty_directory(*this / "full"); }).code, 5);
    files_->remove_file(*this / "full/file");
    files_->remove_empty_directory(*this / "full");
    EXPECT_FALSE(files_->info(*this / "full"));
    EXPECT_EQ(error_of([&] { files_->remove_file(*this / "full/file"); }).code, 5);
    EXPECT_EQ(error_of([&] { files_->remove_empty_directory(*this / "full"); }).code, 5);
}

TEST_P(AnyFileSystem, ListAndGlobAreSortedAndKeepToTheirDirectory) {
    for (const char* name : {"b.dat", "a.dat", "c.txt", ".hidden.dat"}) files_->write_durably(*this / name, "x");
    files_->make_directories(*this / "sub");
    files_->write_durably(*this / "sub/d.dat", "x");
    EXPECT_EQ(files_->list(root_), (std::vector<std::string>{".hidden.dat", "a.dat", "b.dat", "c.txt", "sub"}));
    EXPECT_EQ(error_of([&] { files_->list(*this / "none"); }).code, 5);
    EXPECT_EQ(files_->glob(*this / "*.dat"), (std::vector<std::string>{*this / "a.dat", *this / "b.dat"}));
    EXPECT_EQ(files_->glob(*this / "*/?.dat"), std::vector<std::string>{*this / "sub/d.dat"});
    EXPECT_EQ(files_->glob(*this / "[bc].*"), (std::vector<std::string>{*this / "b.dat", *this / "c.txt"}));
    EXPECT_TRUE(files_->glob(*this / "*.none").empty());
    EXPECT_EQ(files_->glob(*this / "named"), std::vector<std::string>{*this / "named"}) << "for the caller to miss";
}

TEST_P(AnyFileSystem, SpaceAndAlignmentAreAnswered) {
    EXPECT_GT(files_->free_bytes(root_), 0u);
    EXPECT_GT(files_->room(root_).free_bytes, 0u);
    EXPECT_EQ(files_->problem_of_size(root_, 4096), "");
    const std::uint32_t alignment = files_->direct_io_in(root_).alignment;
    EXPECT_LE(alignment, kDirectIoAlign);
    if (alignment > 0) {
        EXPECT_EQ(kDirectIoAlign % alignment, 0u);
    }
    EXPECT_EQ(files_->list(root_).size(), 0u) << "asking leaves nothing behind";
}

TEST(RealFileSystem, NewDirectoriesAndFilesAreForTheOwnerOnly) {
    TempDirectory directory;
    const auto files = make_real_file_system();
    files->make_directories(directory / "a/b");
    files->write_durably(directory / "a/b/text", "x");
    const auto mode_of = [](const std::string& path) {
        struct stat info {};
        return ::stat(path.c_str(), &info) == 0 ? info.st_mode & 07777u : 0u;
    };
    EXPECT_EQ(mode_of(directory / "a"), 0700u);
    EXPECT_EQ(mode_of(directory / "a/b"), 0700u);
    EXPECT_EQ(mode_of(directory / "a/b/text"), 0600u);
}

TEST(RealFileSystem, LinksThatLeadNowhereAreNotThere) {
    TempDirectory directory;
    std::filesystem::create_symlink(directory / "none", directory / "dangling");
    std::filesystem::create_symlink(directory / "circle", directory / "circle");
    const auto files = make_real_file_system();
    EXPECT_FALSE(files->info(directory / "dangling"));
    EXPECT_FALSE(files->info(directory / "circle"));
    EXPECT_EQ(files->glob(directory / "dangling").size(), 1u);
}

TEST(RealFileSystem, FailedDurableWriteLeavesTheOldTextAndNoTemporaryFile) {
    TempDirectory directory;
    const auto files = make_real_file_system();
    files->make_directories(directory / "text/in-the-way");
    EXPECT_EQ(error_of([&] { files->write_durably(directory / "text", "new"); }).code, 5);
    EXPECT_EQ(files->list(directory.path()), std::vector<std::string>{"text"});
    // Somebody else's file of a likely name is not ours to write over.
    write_text_file(directory / "other.tmp", "theirs");
    files->write_durably(directory / "other", "ours");
    EXPECT_EQ(files->read_text(directory / "other.tmp", 1000), "theirs");
}

TEST(RealFileSystem, ReadingADirectoryIsAnError) {
    TempDirectory directory;
    EXPECT_EQ(error_of([&] { make_real_file_system()->read_text(directory.path(), 1000); }).code, 4);
}

}  // namespace
}  // namespace sluice::testing
