#include "runtime/process_table.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>

namespace sluice {
namespace {

TEST(ProcessTable, KnowsThisProcessAndItsChildrenUntilTheyAreGone) {
    const auto table = make_process_table("here");
    const ProcessIdentity self = table->self();
    EXPECT_EQ(self.host, "here");
    EXPECT_EQ(self.pid, static_cast<std::uint64_t>(::getpid()));
    EXPECT_EQ(self.boot.size(), 36u);
    EXPECT_NE(self.pid_namespace, 0u);
    EXPECT_TRUE(table->lives(self.pid, self.start_ticks));
    EXPECT_FALSE(table->lives(self.pid, self.start_ticks + 1)) << "another process of that number";
    const pid_t child = ::fork();
    if (child == 0) {
        ::pause();
        ::_exit(0);
    }
    // Its start time is not before ours, and somewhere near.
    std::uint64_t start = self.start_ticks;
    while (start < self.start_ticks + 1'000'000 && !table->lives(static_cast<std::uint64_t>(child), start)) ++start;
    EXPECT_LT(start, self.start_ticks + 1'000'000);
    ::kill(child, SIGKILL);
    siginfo_t info{};
    ASSERT_EQ(::waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOWAIT), 0);
    EXPECT_FALSE(table->lives(static_cast<std::uint64_t>(child), start)) << "a zombie works no more";
    ::waitpid(child, nullptr, 0);
    EXPECT_FALSE(table->lives(static_cast<std::uint64_t>(child), start));
}

TEST(ProcessTable, WithoutProcNothingIsKnownAndNothingThrown) {
    const auto table = make_process_table("here", "/nonexistent");
    EXPECT_EQ(table->self().boot, "");
    EXPECT_EQ(table->self().start_ticks, 0u);
    EXPECT_FALSE(table->lives(1, 1));
}

TEST(ProcessTable, NamesWhoHoldsALock) {
    std::FILE* file = std::tmpfile();
    ASSERT_NE(file, nullptr);
    const int fd = ::fileno(file);
    struct stat s {};
    ASSERT_EQ(::fstat(fd, &s), 0);
    const auto table = make_process_table("here");
    EXPECT_FALSE(table->lock_holder(s.st_dev, s.st_ino));
    ASSERT_EQ(::flock(fd, LOCK_SH), 0);
    EXPECT_FALSE(table->lock_holder(s.st_dev, s.st_ino)) << "nobody else";
    const pid_t child = ::fork();
    if (child == 0) {
        const std::string path = "/proc/self/fd/" + std::to_string(fd);
        const int own = ::open(path.c_str(), O_RDONLY);
        ::raise(own >= 0 && ::flock(own, LOCK_SH) == 0 ? SIGSTOP : SIGKILL);
        ::_exit(0);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, WUNTRACED), child);
    ASSERT_TRUE(WIFSTOPPED(status));
    const auto holder = table->lock_holder(s.st_dev, s.st_ino);
    ASSERT_TRUE(holder);
    EXPECT_NE(holder->find("(pid " + std::to_string(child) + ")"), std::string::npos) << *holder;
    EXPECT_NE(holder->find("runtime_tests"), std::string::npos) << *holder;
    ::kill(child, SIGKILL);
    ::waitpid(child, &status, 0);
    std::fclose(file);
}

}  // namespace
}  // namespace sluice
