#include "runtime/launch_marks.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

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
              "; all ranks have started: one of them does not get through MPI_Init");
}

TEST_F(LaunchMarks, WithoutADirectoryNothingIsSaid) {
    EXPECT_EQ(who_never_started("", 2, "h1"), "");
    EXPECT_EQ(who_never_started(directory_ + "/gone", 2, "h1"), "");
    leave_start_mark(directory_ + "/gone", 0, "h1");
    EXPECT_FALSE(std::filesystem::exists(directory_ + "/gone"));
}

}  // namespace
}  // namespace sluice
