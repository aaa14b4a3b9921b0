#include "jobs/leftovers.hpp"

#include <gtest/gtest.h>
#include <stdlib.h>

#include "jobs/one_rank_job.hpp"
#include "jobs/output_set.hpp"

namespace sluice::testing {
namespace {

namespace fs = std::filesystem;
const std::string kDead = "0123456789abcdef0123456789abcdef", kLive = "ffffffffffffffffffffffffffffffff";

/// A disk with what a dead and a live run left, and a stranger's files beside it.
struct LeftoversOnDisk : ::testing::Test {
    LeftoversOnDisk() {
        for (const std::string& run : {kDead, kLive}) {
            FakeProcesses process("here", run == kDead ? 70 : 80);
            OwnerRecord record;
            record.run_id = run;
            record.verb = "sort";
            record.process = process.self();
            record.patterns = {"log-r#-#"};
            put_record("sluice-" + run + "-logs", record);
            here.put("sluice-" + run + "-logs/log-r0-0");
            record.target = "sorted";
            record.patterns = {"part-#", "probe-#"};
            put_record(".partial-" + run, record);
            here.put(".partial-" + run + "/part-000001");
        }
        here.processes.live = {{80, 1080}};
        here.put("sluice-notes.txt");
        here.put("sorted/part-000001");
    }
    void put_record(const std::string& directory, const OwnerRecord& record) const {
        here.put(directory + "/OWNER.json", to_block(record));
    }
    OwnerRecord record_of(const std::string& directory) const {
        return *read_owner(*here.files->open_directory(here.path(directory)));
    }
    Leftovers remove(const std::string& run_id, bool force = false) {
        JobContext job = here.job();
        return remove_leftovers(job, leftovers_of(run_id, force));
    }
    mutable OneRankJob here;
};

TEST_F(LeftoversOnDisk, DeadRunGoesLiveRunAndStrangersStay) {
    const Leftovers left = remove("all");
    EXPECT_EQ(left.removal.files, 2u);
    EXPECT_EQ(left.removal.bytes, 20u);
    EXPECT_EQ(left.runs.size(), 1u);
    EXPECT_FALSE(here.there("sluice-" + kDead + "-logs") || here.there(".partial-" + kDead));
    EXPECT_TRUE(here.there("sluice-" + kLive + "-logs/log-r0-0") && here.there(".partial-" + kLive + "/part-000001"));
    EXPECT_TRUE(here.there("sluice-notes.txt") && here.there("sorted/part-000001"));
    for (const std::string& name : here.names()) EXPECT_NE(name.rfind(".removed-", 0), 0u) << name;
}

TEST_F(LeftoversOnDisk, LiveRunIsRefusedByNameAlsoByForceWhileItHoldsItsLock) {
    const auto directory = here.files->open_directory(here.path(".partial-" + kLive));
    auto held = directory->lock(kOwnerName, LockMode::shared);
    for (const bool force : {false, true}) {
        const Refusal refusal = refusal_of([&] { remove(kLive, force); });
        EXPECT_EQ(refusal.code, 10);
        EXPECT_TRUE(refusal.mentions(kLive) && refusal.mentions("pid 80 on host here")) << refusal.text;
    }
    EXPECT_TRUE(here.there(".partial-" + kLive + "/part-000001"));
    held.lock.reset();
    EXPECT_EQ(refusal_of([&] { remove(kLive); }).code, 10) << "its process is there";
    here.processes.live.clear();
    EXPECT_EQ(remove(kLive).removal.files, 2u);
    EXPECT_TRUE(here.there(".partial-" + kDead));
}

TEST_F(LeftoversOnDisk, WhoCannotBeAskedIsAliveUnlessForced) {
    OwnerRecord record = record_of(".partial-" + kDead);
    record.process.host = record.process.machine = "elsewhere";
    record.process.boot = "another";
    put_record(".partial-" + kDead, record);
    EXPECT_EQ(remove("all").removal.files, 0u) << "one directory whose run may live speaks for all of them";
    const Refusal refusal = refusal_of([&] { remove(kDead); });
    EXPECT_EQ(refusal.code, 10);
    EXPECT_TRUE(refusal.mentions("--force") && refusal.mentions("elsewhere")) << refusal.text;
    EXPECT_EQ(remove(kDead, true).removal.files, 2u);
    EXPECT_FALSE(here.there(".partial-" + kDead));
}

TEST_F(LeftoversOnDisk, StrangersFilesLinksAndDirectoriesStayAndAreSaid) {
    const std::string partial = ".partial-" + kDead;
    here.put(partial + "/notes.txt");
    here.put("precious");
    fs::create_symlink(here.path("precious"), here.path(partial + "/part-000002"));
    fs::create_directories(here.path(partial + "/part-000003"));
    const Leftovers left = remove(kDead);
    EXPECT_EQ(left.removal.kept.size(), 3u);
    const std::string there = here.there(partial) ? partial : ".removed-" + kDead;
    for (const char* name : {"/notes.txt", "/part-000002", "/part-000003", "/OWNER.json"})
        EXPECT_TRUE(here.there(there + name)) << name;
    EXPECT_FALSE(here.there(there + "/part-000001"));
    EXPECT_TRUE(here.there("precious"));
}

TEST_F(LeftoversOnDisk, ALinkWithTheNameOfARunsDirectoryIsNoneOfOurs) {
    const std::string run = std::string(32, 'a');
    here.put("elsewhere/part-000001");
    fs::create_symlink(here.path("elsewhere"), here.path(".partial-" + run));
    fs::create_symlink(here.path("elsewhere"), here.path("sluice-" + run + "-logs"));
    remove("all");
    EXPECT_TRUE(here.there("elsewhere/part-000001") && here.there(".partial-" + run));
}

TEST_F(LeftoversOnDisk, EmptyDirectoriesAndTornRecordsOfARunsNameAreRemovable) {
    const std::string empty = std::string(32, '1'), torn = std::string(32, '2'), full = std::string(32, '3');
    fs::create_directories(here.path(".partial-" + empty));
    here.put(".partial-" + torn + "/OWNER.json", "half a rec");
    here.put("sluice-" + torn + "-logs/OWNER.json.tmp-17", "");
    here.put(".partial-" + full + "/OWNER.json", "half a rec");
    here.put(".partial-" + full + "/part-000001");
    const Leftovers left = remove("all");
    EXPECT_FALSE(here.there(".partial-" + empty) || here.there(".partial-" + torn) ||
                 here.there("sluice-" + torn + "-logs"));
    EXPECT_TRUE(here.there(".partial-" + full + "/part-000001")) << "nobody knows whose it is";
    EXPECT_EQ(left.removal.kept.size(), 1u);
}

TEST_F(LeftoversOnDisk, WhatIsNoRunIdIsRefused) {
    for (const std::string& id : {std::string("../x"), std::string(""), kDead.substr(1), std::string("*")})
        EXPECT_EQ(refusal_of([&] { remove(id); }).code, 2) << id;
    EXPECT_TRUE(here.there("sluice-" + kDead + "-logs/log-r0-0"));
}

// ------------------------------------------------------------------------------------------------------------ claims

struct Claims : ::testing::Test {
    std::unique_ptr<OutputSet> set(JobContext& job, const std::string& run_id) {
        return std::make_unique<OutputSet>(
            job, OutputSetOptions{DiskRole::output, "sorted", run_id, "sort", {"part-#"}, {}});
    }
    OneRankJob here;
};

TEST_F(Claims, TheSecondRunForOneNameEndsWithTheFirstOnesNumber) {
    JobContext job = here.job();
    const auto first = set(job, kLive);
    first->claim();
    const auto second = set(job, kDead);
    const Refusal refusal = refusal_of([&] { second->claim(); });
    EXPECT_EQ(refusal.code, 10);
    EXPECT_TRUE(refusal.mentions(kLive)) << refusal.text;
    EXPECT_TRUE(here.there(".partial-" + kLive + "/OWNER.json"));
    EXPECT_FALSE(here.there(".partial-" + kDead)) << "who is refused leaves nothing";
}

TEST_F(Claims, AClaimThatWasNotPublishedLeavesNothing) {
    {
        JobContext job = here.job();
        const auto first = set(job, kLive);
        first->claim();
        EXPECT_EQ(here.names(), std::vector<std::string>{".partial-" + kLive});
        EXPECT_EQ(here.names(".partial-" + kLive), std::vector<std::string>{"OWNER.json"}) << "trials leave nothing";
    }
    EXPECT_TRUE(here.names().empty());
}

TEST_F(Claims, PublishingLooksWhetherItIsStillOurs) {
    JobContext job = here.job();
    const auto first = set(job, kLive);
    first->claim();
    fs::rename(here.path(".partial-" + kLive), here.path(".removed-" + kLive));  // as a clean --run --force does
    fs::create_directories(here.path(".partial-" + kLive));
    const Refusal refusal = refusal_of([&] { first->publish("{}"); });
    EXPECT_EQ(refusal.code, 10);
    EXPECT_FALSE(here.there("sorted"));
}

TEST_F(Claims, WhatIsInTheWayIsRefusedBeforeAnythingIsMade) {
    const std::vector<std::pair<std::string, std::function<void()>>> ways = {
        {"without an owner record", [&] { here.put("sorted/mine.txt"); }},
        {"no directory", [&] { here.put("sorted"); }},
        {"is a link", [&] { fs::create_symlink(here.path("nowhere"), here.path("sorted")); }},
        {"without an owner record", [&] { fs::create_directories(here.path("sorted")); }},
    };
    for (const Overwrite overwrite : {Overwrite::no, Overwrite::yes, Overwrite::first}) {
        here.config.run.overwrite = overwrite;
        for (const auto& [words, put] : ways) {
            put();
            JobContext job = here.job();
            const Refusal refusal = refusal_of([&] { set(job, kLive)->claim(); });
            EXPECT_EQ(refusal.code, 2) << words;
            EXPECT_TRUE(refusal.mentions(words)) << refusal.text;
            EXPECT_EQ(here.names(), std::vector<std::string>{"sorted"});
            fs::remove_all(here.path("sorted"));
        }
    }
}

TEST_F(Claims, ASetThatIsReadCannotBeReplaced) {
    JobContext job = here.job();
    {
        const auto first = set(job, kDead);
        first->claim();
        first->publish("{}");
        first->remove_replaced();
    }
    here.config.run.overwrite = Overwrite::yes;
    const auto directory = here.files->open_directory(here.path("sorted"));
    auto reader = directory->lock(kOwnerName, LockMode::shared);
    here.put("sorted/MANIFEST.json", DataSet().to_text());
    const Refusal refusal = refusal_of([&] { set(job, kLive)->claim(); });
    EXPECT_EQ(refusal.code, 10) << refusal.text;
    EXPECT_TRUE(refusal.mentions("is in use by")) << refusal.text;
    EXPECT_EQ(here.names(), std::vector<std::string>{"sorted"});
}

}  // namespace
}  // namespace sluice::testing
