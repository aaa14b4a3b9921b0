#include "runtime/run_status.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

namespace sluice {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class RunStatusFiles : public ::testing::Test {
protected:
    RunStatusFiles() {
        char name[] = "/tmp/sluice-status.XXXXXX";
        directory_ = ::mkdtemp(name);
        fs::create_directory(directory_ + "/launch");
    }
    ~RunStatusFiles() override { fs::remove_all(directory_); }
    std::string text(const std::string& name) const {
        std::stringstream text;
        text << std::ifstream(directory_ + name).rdbuf();
        return text.str();
    }
    std::string directory_;
};

TEST_F(RunStatusFiles, DeathBeforeTheResultsFolderIsKnownLeavesItsErrorWithTheLauncher) {
    RunStatus status;
    status.open("", directory_ + "/launch", {"job", "h1", "sort", 3, 4});
    status.change("running", "MPI_Init");
    status.fail("failed", {7, "peer", "MPI_Init", "rank 1 never started"});
    ASSERT_TRUE(status.flush(5000));
    EXPECT_THAT(text("/launch/error-r00003.json"), HasSubstr("rank 1 never started"));
    EXPECT_EQ(std::distance(fs::directory_iterator(directory_), {}), 1) << "nothing but the launcher's directory";
}

TEST_F(RunStatusFiles, SecondOpenNamesTheFolderAndRemoveTakesItAway) {
    RunStatus status;
    status.open("", directory_ + "/launch", {"job", "h1", "sort", 0, 1});
    status.open(directory_ + "/results", directory_ + "/launch", {"job", "h1", "sort", 0, 1});
    ASSERT_TRUE(status.flush(5000));
    EXPECT_THAT(text("/results/run-job/status-r00000.json"), HasSubstr("running"));
    status.remove();
    EXPECT_FALSE(fs::exists(directory_ + "/results/run-job"));
    EXPECT_TRUE(fs::is_empty(directory_ + "/launch"));
}

TEST_F(RunStatusFiles, DeathWithoutAStatusLeavesItsErrorOnceAndNoneWithoutALauncher) {
    leave_early_error(Error(Errc::environment, "cannot start a thread"));
    EXPECT_TRUE(fs::is_empty(directory_ + "/launch"));
    ::setenv("SLUICE_LAUNCH_STATUS", (directory_ + "/launch").c_str(), 1);
    leave_early_error(Error(Errc::environment, "cannot start a thread"));
    leave_early_error(Error(Errc::internal, "a consequence"));
    ::unsetenv("SLUICE_LAUNCH_STATUS");
    EXPECT_THAT(text("/launch/error-r00000.json"), HasSubstr("\"exit_code\": 3"));
    EXPECT_THAT(text("/launch/error-r00000.json"), HasSubstr("cannot start a thread"));
    EXPECT_EQ(std::distance(fs::directory_iterator(directory_ + "/launch"), {}), 1);
}

TEST_F(RunStatusFiles, ChangesOfStepHoldNoBeatUp) {
    RunStatus status;
    status.open(directory_, "", {"job", "h1", "sort", 0, 1});
    std::atomic<int> beats = 0;
    const auto beating = status.keep_beating([&beats] { ++beats; });
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    for (int step = 0; beats < 2 && std::chrono::steady_clock::now() < deadline; ++step) {
        status.change("running", "step " + std::to_string(step));
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    EXPECT_GE(beats, 2);
}

}  // namespace
}  // namespace sluice
