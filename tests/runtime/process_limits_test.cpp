#include "runtime/process_limits.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

namespace sluice {
namespace {

TEST(ProcessLimits, OpenFilesAreCounted) {
    const std::uint64_t before = count_open_files();
    const int one = ::open("/dev/null", O_RDONLY), two = ::open("/dev/null", O_RDONLY);
    EXPECT_EQ(count_open_files(), before + 2);
    ::close(one);
    ::close(two);
    EXPECT_EQ(count_open_files(), before);
}

[[noreturn]] void try_limits() {
    const rlimit files{64, 96}, size{4096, 4096};
    if (::setrlimit(RLIMIT_NOFILE, &files) != 0 || ::setrlimit(RLIMIT_FSIZE, &size) != 0) ::_exit(90);
    take_process_limits();
    rlimit raised{};
    ::getrlimit(RLIMIT_NOFILE, &raised);
    if (raised.rlim_cur != 96) ::_exit(91);
    if (file_size_limit_bytes() != 4096) ::_exit(92);
    const int file = ::open("/var/tmp", O_TMPFILE | O_RDWR, 0600);
    if (file >= 0 && (::pwrite(file, "x", 1, 4096) != -1 || errno != EFBIG)) ::_exit(93);
    ::_exit(0);
}

/// In a process of its own: limits cannot be put back.
TEST(ProcessLimitsDeathTest, TheSoftLimitOfOpenFilesIsRaisedAndATooLargeFileIsAnError) {
    EXPECT_EXIT(try_limits(), ::testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace sluice
