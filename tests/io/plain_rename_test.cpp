#include "io/plain_rename.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cerrno>
#include <filesystem>
#include <fstream>

#include "io_fixture.hpp"

namespace sluice {
namespace {

namespace fs = std::filesystem;

void put(const fs::path& path, const std::string& text) { std::ofstream(path) << text; }

std::string text_of(const fs::path& path) {
    std::ifstream file(path);
    return {std::istreambuf_iterator<char>(file), {}};
}

TEST(PlainRename, MovesADirectoryToANewNameOnly) {
    const testing::TempDirectory scratch;
    fs::create_directories(scratch / "one/deep");
    put(scratch / "one/file", "1");
    fs::create_directory(scratch / "taken");
    EXPECT_EQ(rename_plainly(scratch / "one", scratch / "taken"), EEXIST) << "an empty directory of another's";
    EXPECT_EQ(rename_plainly(scratch / "one", scratch / "new"), 0);
    EXPECT_EQ(text_of(scratch / "new/file"), "1");
    EXPECT_TRUE(fs::exists(scratch / "new/deep"));
    EXPECT_FALSE(fs::exists(scratch / "one"));
}

TEST(PlainRename, MovesAFileToANewNameOnly) {
    const testing::TempDirectory scratch;
    put(scratch / "one", "1");
    put(scratch / "two", "2");
    fs::create_symlink("nowhere", scratch / "dangling");
    EXPECT_EQ(rename_plainly(scratch / "one", scratch / "two"), EEXIST);
    EXPECT_EQ(rename_plainly(scratch / "one", scratch / "dangling"), EEXIST);
    EXPECT_EQ(text_of(scratch / "two"), "2");
    EXPECT_EQ(rename_plainly(scratch / "one", scratch / "three"), 0);
    EXPECT_EQ(text_of(scratch / "three"), "1");
    EXPECT_FALSE(fs::exists(scratch / "one"));
    EXPECT_EQ(rename_plainly(scratch / "none", scratch / "x"), ENOENT);
}

TEST(PlainRename, LeavesNothingWhereTheRenameItselfFails) {
    const testing::TempDirectory scratch;
    fs::create_directory(scratch / "one");
    EXPECT_EQ(rename_plainly(scratch / "one", scratch / "one/inside"), EINVAL);
    EXPECT_FALSE(fs::exists(scratch / "one/inside"));
}

}  // namespace
}  // namespace sluice
