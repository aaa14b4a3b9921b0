#include "runtime/launch_marks.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>

#include "runtime/error.hpp"

namespace sluice {
namespace {

class LaunchMarks : public ::testing::Test {
protected:
    LaunchMarks() {
        char name[] = "/tmp/sluice-marks.XXXXXX";
        directory_ = ::mkdtemp(name);
    }
    ~LaunchMarks() override { std::filesystem::remove_all(directory_); }
    void plan(const std::string& lines) { std::ofstream(directory_ + "/hosts") << lines; }
    std::string directory_;
};

TEST_F(LaunchMarks, RankWithoutAMarkIsNamedWithItsPlannedHost) {
    plan("0 h1\n1 h2\n2 h3\n");
    leave_start_mark(directory_, 0, "h1");
    leave_start_mark(directory_, 2, "h3");
    EXPECT_EQ(who_never_started(directory_, 3, "h1"), "; never started: rank 1 on h2");
}

TEST_F(LaunchMarks, OnOneHostEveryRankWithoutAMarkIsMissing) {
    plan("0 h1\n1 h1\n2 h1\n");
    leave_start_mark(directory_, 1, "h1");
    EXPECT_EQ(who_never_started(directory_, 3, "h1"), "; never started: rank 0 on h1, rank 2 on h1");
}

TEST_F(LaunchMarks, DirectoryThatOtherHostsDoNotShareAccusesNobody) {
    plan("0 h1\n1 h2\n");
    leave_start_mark(directory_, 0, "h1");
    EXPECT_EQ(
        who_never_started(directory_, 2, "h1"),
        "; no start mark here of rank 1 on h2, but only ranks of this host seem to leave theirs in " + directory_);
}

TEST_F(LaunchMarks, WithAllMarksNobodyIsMissing) {
    leave_start_mark(directory_, 0, "h1");
    leave_start_mark(directory_, 1, "h2");
    EXPECT_EQ(who_never_started(directory_, 2, "h1"),
              "; all ranks have started: one of them does not get through MPI_Init" + advice_on_networks());
}

TEST_F(LaunchMarks, WithoutADirectoryNothingIsSaid) {
    EXPECT_EQ(who_never_started("", 2, "h1"), "");
    EXPECT_EQ(who_never_started(directory_ + "/gone", 2, "h1"), "");
    leave_start_mark(directory_ + "/gone", 0, "h1");
    EXPECT_FALSE(std::filesystem::exists(directory_ + "/gone"));
}

/// The launchers' variables as a test wants them; what was there comes back.
class LauncherEnvironment : public ::testing::Test {
protected:
    LauncherEnvironment() {
        for (const char* name : kNames) {
            if (const char* value = std::getenv(name)) before_[name] = value;
            ::unsetenv(name);
        }
    }
    ~LauncherEnvironment() override {
        for (const char* name : kNames) ::unsetenv(name);
        for (const auto& [name, value] : before_) ::setenv(name.c_str(), value.c_str(), 1);
    }
    static constexpr std::array kNames = {"OMPI_COMM_WORLD_SIZE",
                                          "OMPI_COMM_WORLD_RANK",
                                          "PMI_SIZE",
                                          "PMI_RANK",
                                          "PMIX_RANK",
                                          "SLURM_NTASKS",
                                          "SLURM_PROCID",
                                          "SLURM_STEP_NUM_TASKS",
                                          "SLUICE_LAUNCH_STATUS"};
    std::map<std::string, std::string> before_;
};

TEST_F(LauncherEnvironment, OnlyTheLauncherOfThisProcessIsEvidence) {
    ::setenv("SLURM_NTASKS", "64", 1);
    ::setenv("SLURM_STEP_NUM_TASKS", "64", 1);
    ::setenv("PMI_SIZE", "8", 1);
    EXPECT_FALSE(launcher_ranks()) << "a size without a rank is left over";
    EXPECT_EQ(launch_place().ranks, 0u);
    ::setenv("PMI_RANK", "3", 1);
    ASSERT_TRUE(launcher_ranks());
    EXPECT_EQ(launcher_ranks()->variable, "PMI_SIZE");
    EXPECT_EQ(launcher_ranks()->ranks, 8u);
    EXPECT_EQ(launch_place().rank, 3u);
    ::setenv("OMPI_COMM_WORLD_SIZE", "2", 1);
    ::setenv("OMPI_COMM_WORLD_RANK", "1", 1);
    EXPECT_EQ(launcher_ranks()->ranks, 2u);
    EXPECT_EQ(launch_place().rank, 1u);
}

TEST_F(LauncherEnvironment, TaskOfSrunWithPmixHasItsPlaceFromIt) {
    ::setenv("PMIX_RANK", "5", 1);
    ::setenv("SLURM_STEP_NUM_TASKS", "6", 1);
    EXPECT_FALSE(launcher_ranks());
    EXPECT_EQ(launch_place().rank, 5u);
    EXPECT_EQ(launch_place().ranks, 6u);
}

TEST_F(LaunchMarks, RankIsMarkedForAsLongAsItIsInInit) {
    ::setenv("SLUICE_LAUNCH_STATUS", directory_.c_str(), 1);
    {
        const InitMark mark;
        EXPECT_TRUE(std::filesystem::exists(directory_ + "/in-init-r00000"));
    }
    ::unsetenv("SLUICE_LAUNCH_STATUS");
    EXPECT_TRUE(std::filesystem::is_empty(directory_));
}

TEST_F(LauncherEnvironment, WhatIsNoNumberIsQuoted) {
    for (const char* text : {"abc", "2x", "-1", " 2", "4294967296"}) {
        ::setenv("OMPI_COMM_WORLD_SIZE", text, 1);
        try {
            launcher_ranks();
            ADD_FAILURE() << text << " was taken for a number";
        } catch (const Error& error) {
            EXPECT_EQ(error.code(), Errc::config);
            EXPECT_THAT(error.what(), ::testing::HasSubstr("OMPI_COMM_WORLD_SIZE='" + std::string(text) + "'"));
        }
    }
    ::unsetenv("OMPI_COMM_WORLD_SIZE");
    ::setenv("PMI_SIZE", "x", 1);
    EXPECT_FALSE(launcher_ranks()) << "a size without a rank is left over, whatever it says";
    ::setenv("PMI_RANK", "y", 1);
    EXPECT_THROW(launch_place(), Error);
}

TEST_F(LaunchMarks, PublishedSetLeavesItsResultLine) {
    ::setenv("SLUICE_LAUNCH_STATUS", directory_.c_str(), 1);
    announce_published("RESULT status=VALID");
    ::unsetenv("SLUICE_LAUNCH_STATUS");
    std::string line;
    std::ifstream file(directory_ + "/published");
    ASSERT_TRUE(std::getline(file, line));
    EXPECT_EQ(line, "RESULT status=VALID");
    EXPECT_FALSE(std::filesystem::exists(directory_ + "/published.tmp"));
}

}  // namespace
}  // namespace sluice
