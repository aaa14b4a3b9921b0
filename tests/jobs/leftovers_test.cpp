#include "jobs/leftovers.hpp"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>

#include "net/in_process.hpp"
#include "runtime/error.hpp"

namespace sluice {
namespace {

namespace fs = std::filesystem;
const std::string kDead = "0123456789abcdef0123456789abcdef", kLive = "ffffffffffffffffffffffffffffffff";

TEST(Leftovers, OnlyOurOwnPatternBelongsToARun) {
    EXPECT_EQ(run_of_leftover("sluice-" + kDead + "-log-r0-1"), kDead);
    EXPECT_EQ(run_of_leftover(".partial-" + kDead), kDead);
    for (const std::string& name :
         {std::string("sluice-notes.txt"), "sluice-" + kDead, ".partial-" + kDead + "x", "sluice-" + kDead + "x-log",
          std::string(".partial-0123456789ABCDEF0123456789abcdef"), "x" + kDead, std::string(".partial-"),
          std::string("part-000001")})
        EXPECT_EQ(run_of_leftover(name), "") << name;
}

/// A disk with what a dead and a live run left, and a stranger's files beside it.
struct LeftoversOnDisk : ::testing::Test {
    void SetUp() override {
        char name[] = "/var/tmp/sluice-leftovers.XXXXXX";
        ASSERT_NE(::mkdtemp(name), nullptr);
        disk = name;
        for (const std::string& run : {kDead, kLive}) {
            put("sluice-" + run + "-log-r0-0");
            put(".partial-" + run + "/part-000001");
        }
        put("sluice-notes.txt");
        put("sorted/part-000001");
        config.disks = {{disk, DiskRole::intermediate}, {disk, DiskRole::output}};
    }
    void TearDown() override { fs::remove_all(disk); }
    void put(const std::string& name) const {
        fs::create_directories(fs::path(disk + "/" + name).parent_path());
        std::ofstream(disk + "/" + name) << "1234567890";
    }
    bool there(const std::string& name) const { return fs::exists(disk + "/" + name); }
    Leftovers remove(const std::string& run_id) {
        const auto io = make_sync_backend(DirectIo::off);
        JobContext job{executor,
                       cluster.communicator(0),
                       cluster.doorbell(0),
                       *io,
                       *files,
                       config,
                       {"h"},
                       {},
                       {},
                       {},
                       IdleBackoff(IdleBackoff::Mode::adaptive),
                       {}};
        job.place.local_rank = 0;
        return remove_leftovers(job, run_id);
    }
    std::string disk;
    Config config;
    ThreadExecutor executor;
    InProcessCluster cluster{executor, 1};
    std::unique_ptr<FileSystem> files = make_real_file_system();
};

TEST_F(LeftoversOnDisk, DeadRunGoesLiveRunAndStrangersStay) {
    const auto held = files->hold(disk + "/sluice-" + kLive + "-log-r0-0");
    ASSERT_NE(held, nullptr);
    const Leftovers left = remove("all");
    EXPECT_EQ(left.files, 2u);
    EXPECT_EQ(left.bytes, 20u);
    EXPECT_FALSE(there("sluice-" + kDead + "-log-r0-0") || there(".partial-" + kDead));
    EXPECT_TRUE(there("sluice-" + kLive + "-log-r0-0") && there(".partial-" + kLive + "/part-000001"));
    EXPECT_TRUE(there("sluice-notes.txt") && there("sorted/part-000001"));
}

TEST_F(LeftoversOnDisk, LiveRunIsRefusedByName) {
    auto held = files->hold(disk + "/.partial-" + kLive);
    try {
        remove(kLive);
        FAIL() << "removed what is in use";
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), Errc::busy);
    }
    EXPECT_TRUE(there("sluice-" + kLive + "-log-r0-0"));
    held.reset();
    EXPECT_EQ(remove(kLive).files, 2u);
    EXPECT_TRUE(there("sluice-" + kDead + "-log-r0-0"));
}

TEST_F(LeftoversOnDisk, StrangersFileInAPartialDirectoryKeepsIt) {
    put(".partial-" + kDead + "/notes.txt");
    remove(kDead);
    EXPECT_TRUE(there(".partial-" + kDead + "/notes.txt"));
    EXPECT_FALSE(there(".partial-" + kDead + "/part-000001"));
}

TEST_F(LeftoversOnDisk, WhatIsNoRunIdIsRefused) {
    for (const std::string& id : {std::string("../x"), std::string(""), kDead.substr(1), std::string("*")})
        EXPECT_THROW(remove(id), Error) << id;
    EXPECT_TRUE(there("sluice-" + kDead + "-log-r0-0"));
}

}  // namespace
}  // namespace sluice
