// A run's claim to the name of a data set, and what it does to whatever has the name: before, and when it publishes.
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

#include "io/data_set.hpp"
#include "io/owner_record.hpp"
#include "jobs/output_set.hpp"
#include "plan/old_data_set.hpp"
#include "plan/one_rank_job.hpp"

namespace sluice::testing {
namespace {

namespace fs = std::filesystem;
const std::string kDead = "0123456789abcdef0123456789abcdef", kLive = "ffffffffffffffffffffffffffffffff";

void publish(OutputSet& set, const std::string& manifest) {
    set.write_manifest(manifest);
    set.publish();
}

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

TEST_F(Claims, TheManifestGoesToTheFirstDiskInWhateverOrderTheConfigHasThem) {
    for (const char* name : {"by-rank-0", "local", "shared"}) fs::create_directories(here.path(name));
    here.config.disks = {{here.path("by-rank-{rank}"), DiskRole::output},
                         {here.path("local"), DiskRole::output},
                         {here.path("shared"), DiskRole::output, DiskScope::shared}};
    JobContext job = here.job();
    const auto first = set(job, kLive);
    first->claim();
    publish(*first, "{}");
    for (const char* name : {"by-rank-0", "local", "shared"}) {
        const auto record = read_owner(*here.files->open_directory(here.path(std::string(name) + "/sorted")));
        ASSERT_TRUE(record) << name;
        EXPECT_EQ(here.there(std::string(name) + "/sorted/MANIFEST.json"), record->disk == 0) << name;
    }
}

TEST_F(Claims, PublishingLooksWhetherItIsStillOurs) {
    JobContext job = here.job();
    const auto first = set(job, kLive);
    first->claim();
    fs::rename(here.path(".partial-" + kLive), here.path(".removed-" + kLive));  // as a clean --run --force does
    fs::create_directories(here.path(".partial-" + kLive));
    const Refusal refusal = refusal_of([&] { publish(*first, "{}"); });
    EXPECT_EQ(refusal.code, 10);
    EXPECT_FALSE(here.there("sorted"));
}

TEST_F(Claims, NoManifestIsWrittenWhereSomebodyIsRemovingOrHasTornTheRecord) {
    for (const bool is_torn : {false, true}) {
        JobContext job = here.job();
        const auto first = set(job, kLive);
        first->claim();
        const std::string path = here.path(".partial-" + kLive + "/OWNER.json");
        OwnerRecord record = *read_owner(*here.files->open_directory(here.path(".partial-" + kLive)));
        record.state = OwnerState::removing;
        std::ofstream(path, std::ios::in) << to_block(record);  // in place: the same file
        if (is_torn) fs::resize_file(path, 0);
        EXPECT_EQ(refusal_of([&] { first->require_ours(); }).code, 10);
        EXPECT_EQ(refusal_of([&] { publish(*first, "{}"); }).code, 10);
        EXPECT_FALSE(here.there("sorted"));
        fs::remove_all(here.path(".partial-" + kLive));
    }
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

/// An older set, and a run that is about to take its place when somebody works on the disk.
struct Overwriting : Claims {
    Overwriting() {
        {
            const auto first = set(job, kDead);
            first->claim();
            here.put(".partial-" + kDead + "/part-000000", std::string(100, 'o'));
            publish(*first, manifest_of(kDead));
            first->remove_replaced();
        }
        here.config.run.overwrite = Overwrite::yes;
        next = set(job, kLive);
        next->claim();
        here.put(".partial-" + kLive + "/part-000000", std::string(100, 'n'));
    }
    static std::string manifest_of(const std::string& run) {
        DataSet made;
        made.kind = SetKind::sorted;
        made.run_id = run;
        made.disks = {{"here", ""}};
        made.files = {{0, "part-000000", 100, RecordSum{1, 7}, 0}};
        made.total = made.input_total = RecordSum{1, 7};
        return made.to_text();
    }
    /// Whole, and as a set that nobody is removing.
    void expect_set_of(const std::string& run, const std::string& name) {
        ASSERT_TRUE(here.there(name + "/part-000000") && here.there(name + "/MANIFEST.json")) << name;
        const auto record = read_owner(*here.files->open_directory(here.path(name)));
        ASSERT_TRUE(record) << name;
        EXPECT_EQ(record->run_id, run);
        EXPECT_EQ(record->state, OwnerState::published) << name;
    }
    JobContext job = here.job();
    std::unique_ptr<OutputSet> next;
};

TEST_F(Overwriting, ASetThatWasMovedOrRemovedMeanwhileLeavesItsNameFree) {
    fs::rename(here.path("sorted"), here.path("keep"));
    publish(*next, manifest_of(kLive));
    EXPECT_TRUE(next->remove_replaced().empty());
    expect_set_of(kLive, "sorted");
    expect_set_of(kDead, "keep");
    EXPECT_EQ(here.names(), (std::vector<std::string>{"keep", "sorted"}));
}

TEST_F(Overwriting, WhatElseHasTheNameByNowIsNotReplacedAndTheRunsFilesStay) {
    fs::rename(here.path("sorted"), here.path("keep"));
    here.put("sorted/part-000000", "mine");
    const Refusal refusal = refusal_of([&] { publish(*next, manifest_of(kLive)); });
    next.reset();
    EXPECT_EQ(refusal.code, 2) << refusal.text;
    EXPECT_TRUE(refusal.mentions(".partial-" + kLive + "'") && refusal.mentions("move it to another name"))
        << refusal.text;
    EXPECT_EQ(here.names("sorted"), std::vector<std::string>{"part-000000"});
    expect_set_of(kDead, "keep");
    EXPECT_TRUE(here.there(".partial-" + kLive + "/part-000000"));
}

TEST_F(Overwriting, WhatHasComeInThePlaceOfTheReplacedSetStays) {
    publish(*next, manifest_of(kLive));
    const std::string aside = ".partial-" + kLive;
    expect_set_of(kDead, aside);
    fs::rename(here.path(aside), here.path("keep"));
    here.put(aside + "/part-000000", "mine");
    const auto notes = next->remove_replaced();
    ASSERT_EQ(notes.size(), 1u);
    EXPECT_NE(notes.front().find(aside), std::string::npos) << notes.front();
    expect_set_of(kLive, "sorted");
    expect_set_of(kDead, "keep");
    EXPECT_TRUE(here.there(aside + "/part-000000"));
}

TEST_F(Overwriting, ASetThatIsToBeRemovedAndWasMovedMeanwhileStays) {
    next.reset();  // nothing of it has been written under a name that is looked at
    OldDataSet old(job, DiskRole::output, "sorted");
    Problems problems;
    old.lock(problems);
    ASSERT_TRUE(problems.empty()) << problems.front().text;
    fs::rename(here.path("sorted"), here.path("keep"));
    EXPECT_TRUE(old.remove().kept.empty());
    here.put("sorted/part-000000", "mine");
    EXPECT_EQ(old.remove().kept.size(), 1u);
    expect_set_of(kDead, "keep");
    EXPECT_TRUE(here.there("sorted/part-000000"));
}

TEST_F(Claims, ASetThatIsReadCannotBeReplaced) {
    JobContext job = here.job();
    {
        const auto first = set(job, kDead);
        first->claim();
        publish(*first, "{}");
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

TEST_F(Claims, ASetThatALiveRunsRecordReadsCannotBeReplacedThoughItsLockCanBeHad) {
    JobContext job = here.job();
    {
        const auto first = set(job, kDead);
        first->claim();
        publish(*first, "{}");
        first->remove_replaced();
    }
    here.put("sorted/MANIFEST.json", DataSet().to_text());
    OwnerRecord reader;  // on a host whose locks are not seen here
    reader.run_id = std::string(32, 'e');
    reader.verb = "sort";
    reader.process.host = "elsewhere";
    reader.reads = {kDead};
    here.put("sluice-" + reader.run_id + "-logs/OWNER.json", to_block(reader));
    here.config.run.overwrite = Overwrite::yes;
    const Refusal refusal = refusal_of([&] { set(job, kLive)->claim(); });
    EXPECT_EQ(refusal.code, 10) << refusal.text;
    EXPECT_TRUE(refusal.mentions(reader.run_id)) << refusal.text;
    EXPECT_TRUE(here.there("sorted/MANIFEST.json"));
}

}  // namespace
}  // namespace sluice::testing
