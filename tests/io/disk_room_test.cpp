#include "io/disk_room.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include "io/io_fixture.hpp"

namespace sluice::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST(DiskRoom, BytesAndInodesAreAnswered) {
    TempDirectory directory;
    const DiskRoom room = room_on_disk(directory.path());
    EXPECT_GT(room.free_bytes, 0u);
    EXPECT_LE(room.files_free, room.files_total);
    EXPECT_THROW(room_on_disk(directory / "none"), Error);
}

TEST(DiskRoom, TheLargestFileOfTheFileSystemIsKnown) {
    TempDirectory directory;
    EXPECT_THAT(problem_of_file_size(directory.path(), 1 << 20), IsEmpty());
    EXPECT_THAT(problem_of_file_size(directory.path(), std::uint64_t{1} << 62), HasSubstr("EFBIG"));
}

[[noreturn]] void ask_with_a_limit(const std::string& directory) {
    const rlimit size{10 << 20, 10 << 20};
    if (::setrlimit(RLIMIT_FSIZE, &size) != 0) ::_exit(90);
    if (!problem_of_file_size(directory, 10 << 20).empty()) ::_exit(91);
    const std::string problem = problem_of_file_size(directory, (10 << 20) + 1);
    ::_exit(problem.find("10MiB") != std::string::npos && problem.find("ulimit -f") != std::string::npos ? 0 : 92);
}

TEST(DiskRoomDeathTest, TheLimitOfTheProcessIsNamed) {
    TempDirectory directory;
    EXPECT_EXIT(ask_with_a_limit(directory.path()), ::testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace sluice::testing
