#include "runtime/resources.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <new>
#include <system_error>
#include <thread>
#include <vector>

#include "runtime/errno_text.hpp"
#include "runtime/on_threads.hpp"
#include "runtime/units.hpp"

namespace sluice {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

TEST(ErrorOf, LackOfMemoryAndThreadsIsTheMachines) {
    EXPECT_EQ(error_of(std::bad_alloc()).exit_code(), 3);
    const std::system_error no_thread(std::make_error_code(std::errc::resource_unavailable_try_again));
    EXPECT_EQ(error_of(no_thread).exit_code(), 3);
    EXPECT_THAT(error_of(no_thread).what(), AllOf(HasSubstr("thread"), HasSubstr("EAGAIN"), Not(HasSubstr("bug"))));
    EXPECT_EQ(error_of(Error(Errc::space, "x")).exit_code(), 9);
    EXPECT_EQ(error_of(std::logic_error("x")).exit_code(), 1);
    EXPECT_THAT(error_of(std::logic_error("x")).what(), HasSubstr("bug"));
}

TEST(ErrnoText, HasNameAndNumberAndEachFullDiskItsOwnAdvice) {
    EXPECT_EQ(errno_text(EIO), "Input/output error (EIO 5)");
    EXPECT_THAT(errno_advice(ENOSPC), AllOf(HasSubstr("df -i"), HasSubstr("run.overwrite")));
    EXPECT_THAT(errno_advice(EDQUOT), AllOf(HasSubstr("quota of user"), Not(HasSubstr("df -i"))));
    EXPECT_THAT(errno_advice(EFBIG), HasSubstr("large"));
    EXPECT_THAT(errno_advice(EIO), IsEmpty());
    EXPECT_EQ(Error::from_errno(EFBIG, "write", "f").exit_code(), 9);
    EXPECT_EQ(Error::from_errno(EMFILE, "open", "f").exit_code(), 3);
}

TEST(Resources, WhatIsThereIsNoProblem) { EXPECT_THAT(problem_of_resources(8, kMiB), IsEmpty()); }

[[noreturn]] void ask_in_little_space() {
    const rlim_t bytes = 400 << 20;
    const rlimit space{bytes, bytes};
    if (::setrlimit(RLIMIT_AS, &space) != 0) ::_exit(90);
    const std::string memory = problem_of_resources(1, std::uint64_t{1} << 30), threads = problem_of_resources(5000, 0);
    if (memory.find("ulimit -v") == std::string::npos || memory.find("ENOMEM") == std::string::npos) ::_exit(91);
    if (threads.find("5000 threads") == std::string::npos || threads.find("EAGAIN") == std::string::npos) ::_exit(92);
    ::_exit(0);
}

TEST(ResourcesDeathTest, WhatIsNotThereIsNamedWithItsLimit) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    GTEST_SKIP() << "the sanitizer maps more than this limit";
#endif
    EXPECT_EXIT(ask_in_little_space(), ::testing::ExitedWithCode(0), "");
}

void run_out_of_memory() { throw std::bad_alloc(); }

[[noreturn]] void throw_where_nothing_catches() {
    explain_uncaught_exceptions();
    std::thread(run_out_of_memory).join();
    ::_exit(90);
}

TEST(ResourcesDeathTest, AnUncaughtExceptionIsOneLineAndItsCode) {
    EXPECT_EXIT(throw_where_nothing_catches(), ::testing::ExitedWithCode(3),
                "ERROR code=environment\\(3\\): no memory");
}

TEST(OnThreads, EachTurnIsTakenOnceAndTheFirstExceptionComesBack) {
    std::vector<int> taken(100);
    on_threads(taken.size(), [&](std::uint64_t turn) { ++taken[turn]; });
    EXPECT_EQ(taken, std::vector<int>(100, 1));
    EXPECT_THROW(on_threads(3,
                            [](std::uint64_t turn) {
                                if (turn == 1) throw Error(Errc::input, "x");
                            }),
                 Error);
}

}  // namespace
}  // namespace sluice
