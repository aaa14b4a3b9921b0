#include "runtime/live_jobs.hpp"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>

namespace sluice {
namespace {

namespace fs = std::filesystem;

class LiveJobsTest : public ::testing::Test {
protected:
    LiveJobsTest() {
        char name[] = "/var/tmp/sluice-test.XXXXXX";
        root_ = ::mkdtemp(name);
        directory_ = root_ + "/jobs";
    }
    ~LiveJobsTest() override { fs::remove_all(root_); }
    JobClaim claim_of(const std::string& job) const {
        const ProcessIdentity self = processes_->self();
        JobClaim claim;
        claim.job = job;
        claim.verb = "sort";
        claim.pid = self.pid;
        claim.start_ticks = self.start_ticks;
        claim.cores = {0, 3};
        claim.memory_bytes = std::uint64_t{1} << 40;
        return claim;
    }
    std::string root_, directory_;
    std::unique_ptr<ProcessTable> processes_ = make_process_table("host");
};

TEST_F(LiveJobsTest, OthersAreSeenWithWhatTheyClaimAndUse) {
    LiveJobs first(directory_, *processes_), second(directory_, *processes_);
    {
        const auto turn = first.take_turn(1000);
        first.claim(claim_of("a"));
    }
    const auto seen = second.others("b");
    ASSERT_EQ(seen.size(), 1u);
    EXPECT_EQ(seen[0].job, "a");
    EXPECT_EQ(seen[0].cores, (std::vector<unsigned>{0, 3}));
    EXPECT_EQ(seen[0].memory_bytes, std::uint64_t{1} << 40);
    EXPECT_GT(seen[0].resident_bytes, 0u) << "this process, which is there";
    EXPECT_TRUE(second.others("a").empty()) << "ranks of one job do not count each other";
    EXPECT_TRUE(first.others("b").empty());
    JobClaim less = claim_of("a");
    less.memory_bytes = 7;
    first.claim(less);
    EXPECT_EQ(second.others("b").at(0).memory_bytes, 7u);
}

TEST_F(LiveJobsTest, WhatIsNoClaimOfOursIsNeitherBelievedNorRemoved) {
    LiveJobs first(directory_, *processes_), second(directory_, *processes_);
    first.take_turn(1000);
    first.claim(claim_of("a"));
    const auto put = [](const std::string& path) { std::ofstream(path) << "mine"; };
    for (const char* name : {"job-list.txt", "job-2026.csv", "job-7-8.bak", "job--1", "job-9-9"})
        put(directory_ + "/" + name);
    fs::create_symlink(root_ + "/elsewhere", directory_ + "/job-1-2");
    put(root_ + "/elsewhere");
    EXPECT_EQ(second.others("b").size(), 1u);
    for (const char* name : {"job-list.txt", "job-2026.csv", "job-7-8.bak", "job--1", "job-9-9", "../elsewhere"})
        EXPECT_TRUE(fs::exists(directory_ + "/" + name)) << name;
    // A directory that others may write to, or that a link leads to, is none of ours, whatever is in it.
    for (const char* way : {"open", "link"}) {
        fs::permissions(directory_, fs::perms::owner_all | (way[0] == 'o' ? fs::perms::others_all : fs::perms::none));
        const std::string path = way[0] == 'o' ? directory_ : root_ + "/link";
        if (way[0] == 'l') fs::create_directory_symlink(directory_, path);
        EXPECT_TRUE(LiveJobs(path, *processes_).others("b").empty()) << way;
        EXPECT_TRUE(fs::exists(directory_ + "/job-9-9")) << way;
    }
}

TEST_F(LiveJobsTest, TheLastOneLeavesNothing) {
    {
        LiveJobs jobs(directory_, *processes_);
        const auto turn = jobs.take_turn(1000);
        jobs.claim(claim_of("a"));
        EXPECT_TRUE(fs::exists(directory_));
    }
    EXPECT_FALSE(fs::exists(directory_));
}

TEST_F(LiveJobsTest, ADeadOnesClaimIsRemoved) {
    const pid_t child = ::fork();
    if (child == 0) {
        LiveJobs jobs(directory_, *processes_);
        const auto turn = jobs.take_turn(1000);
        jobs.claim(claim_of("dead"));
        ::_exit(0);  // no destructor runs, as after a kill
    }
    ::waitpid(child, nullptr, 0);
    ASSERT_FALSE(fs::is_empty(directory_)) << "the fault has not happened";
    LiveJobs jobs(directory_, *processes_);
    EXPECT_TRUE(jobs.others("b").empty());
    EXPECT_TRUE(fs::is_empty(directory_));
}

TEST_F(LiveJobsTest, OneAtATimeButNobodyWaitsForEver) {
    LiveJobs first(directory_, *processes_), second(directory_, *processes_);
    auto held = first.take_turn(1000);
    const auto begin = std::chrono::steady_clock::now();
    const auto none = second.take_turn(50);
    EXPECT_GE(std::chrono::steady_clock::now() - begin, std::chrono::milliseconds(50));
    held.reset();
    const auto after = second.take_turn(10'000);
    EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(5));
}

TEST_F(LiveJobsTest, ADirectoryThatOthersMayWriteIsNotUsed) {
    fs::create_directory(directory_);
    fs::permissions(directory_, fs::perms::all);
    LiveJobs jobs(directory_, *processes_);
    const auto turn = jobs.take_turn(50);
    jobs.claim(claim_of("a"));
    EXPECT_TRUE(fs::is_empty(directory_));
}

TEST_F(LiveJobsTest, WithoutAPlaceNothingHappens) {
    LiveJobs jobs("", *processes_);
    const auto turn = jobs.take_turn(10'000);
    jobs.claim(claim_of("a"));
    EXPECT_TRUE(jobs.others("b").empty());
}

}  // namespace
}  // namespace sluice
