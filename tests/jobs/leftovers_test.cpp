#include "plan/leftovers.hpp"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "jobs/output_set.hpp"
#include "plan/one_rank_job.hpp"
#include "simulated/memory_backend.hpp"

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
    for (const char* name : {"/notes.txt", "/part-000002", "/part-000003"})
        EXPECT_TRUE(here.there(there + name)) << name;
    EXPECT_FALSE(here.there(there + "/OWNER.json")) << "its patterns would take for ours what is not";
    EXPECT_FALSE(here.there(there + "/part-000001"));
    EXPECT_TRUE(here.there("precious"));
}

TEST_F(LeftoversOnDisk, NothingIsRemovedUnderALiveNameEvenWhereRenamesHaveNoFlags) {
    // As NFS and FUSE. An earlier removal left others' files under the first name for what is being removed.
    ThreadExecutor executor;
    MemoryDisk disk(executor);
    disk.lacks_rename_flags = true;
    auto files = make_memory_file_system(disk);
    const std::string partial = here.path(".partial-" + kDead), removed = here.path(".removed-" + kDead);
    for (const std::string& directory : {partial, removed}) files->make_directories(directory);
    files->open_directory(partial)->write_durably("OWNER.json", to_block(record_of(".partial-" + kDead)));
    files->open_directory(partial)->write_durably("part-000001", "1234567890");
    files->open_directory(removed)->write_durably("notes.txt", "mine");
    std::vector<std::string> gone;
    disk.before_change = [&](const char* what, const std::string& path) {
        if (std::string(what) == "unlink") gone.push_back(path);
    };
    here.config.disks = {{here.disk, DiskRole::output}};
    std::swap(here.files, files);
    remove("all");
    std::swap(here.files, files);
    EXPECT_EQ(gone, (std::vector<std::string>{removed + "-1/part-000001", removed + "-1/OWNER.json"}));
    EXPECT_FALSE(disk.has_directory(partial) || disk.has_directory(removed + "-1"));
    EXPECT_TRUE(disk.has_file(removed + "/notes.txt"));
}

TEST_F(LeftoversOnDisk, WhatMayNotBeRemovedStaysAndTheRestGoes) {
    ThreadExecutor executor;
    MemoryDisk disk(executor);
    auto files = make_memory_file_system(disk);
    const std::string partial = here.path(".partial-" + kDead);
    files->make_directories(partial);
    const auto directory = files->open_directory(partial);
    directory->write_durably("OWNER.json", to_block(record_of(".partial-" + kDead)));
    for (const char* name : {"part-000001", "part-000002", "part-000003"}) directory->write_durably(name, "1");
    bool is_immutable = true;
    disk.before_change = [&](const char* what, const std::string& path) {
        if (is_immutable && std::string(what) == "unlink" && path.find("part-000002") != std::string::npos)
            throw Error(Errc::environment, "unlink '" + path + "': EPERM");
    };
    here.config.disks = {{here.disk, DiskRole::output}};
    std::swap(here.files, files);
    const Leftovers left = remove("all");
    EXPECT_EQ(left.removal.files, 2u);
    ASSERT_EQ(left.removal.kept.size(), 1u);
    EXPECT_NE(left.removal.kept.front().find("EPERM"), std::string::npos) << left.removal.kept.front();
    is_immutable = false;
    EXPECT_EQ(remove("all").removal.files, 1u) << "its record is still there to tell whose it is";
    std::swap(here.files, files);
    EXPECT_TRUE(disk.files.empty());
}

TEST_F(LeftoversOnDisk, ACopyMadeOfHardLinksStaysWhatItIs) {
    fs::create_directories(here.path("copy"));
    for (const char* name : {"/OWNER.json", "/part-000001"})
        fs::create_hard_link(here.path(".partial-" + kDead + name), here.path(std::string("copy") + name));
    here.put(".partial-" + kDead + "/notes.txt");  // keeps the directory, not the record
    remove(kDead);
    EXPECT_EQ(record_of("copy").state, OwnerState::writing);
    EXPECT_TRUE(here.there("copy/part-000001"));
}

TEST_F(LeftoversOnDisk, ProbesOfKilledRunsGoAndOthersFilesOfTheKindStay) {
    for (const char* name : {".sluice-probe-12-34567", ".sluice-probe-notes", ".sluice-probe-1-2"}) here.put(name, "");
    here.put(".sluice-probe-1-2", "text");
    remove("all");
    EXPECT_FALSE(here.there(".sluice-probe-12-34567"));
    EXPECT_TRUE(here.there(".sluice-probe-notes") && here.there(".sluice-probe-1-2"));
}

TEST_F(LeftoversOnDisk, ALinkWithTheNameOfARunsDirectoryIsNoneOfOurs) {
    const std::string run = std::string(32, 'a');
    here.put("elsewhere/part-000001");
    fs::create_symlink(here.path("elsewhere"), here.path(".partial-" + run));
    fs::create_symlink(here.path("elsewhere"), here.path("sluice-" + run + "-logs"));
    const Leftovers left = remove("all");
    EXPECT_TRUE(here.there("elsewhere/part-000001") && here.there(".partial-" + run));
    EXPECT_EQ(left.removal.kept.size(), 2u) << "each is said";
    EXPECT_NE(left.removal.kept.front().find("is a link"), std::string::npos) << left.removal.kept.front();
}

/// Counts in a record, as the status thread of a live run does.
class Beating {
public:
    explicit Beating(std::string record)
        : thread_([this, record = std::move(record)] {
              for (std::uint64_t count = 1; !stop_; ++count) {
                  const OwnerPatch patch = owner_counter_patch(count);
                  std::fstream file(record, std::ios::in | std::ios::out | std::ios::binary);
                  file.seekp(static_cast<std::streamoff>(patch.offset)) << patch.bytes << std::flush;
                  std::this_thread::sleep_for(std::chrono::milliseconds(5));
              }
          }) {}
    ~Beating() {
        stop_ = true;
        thread_.join();
    }
    Beating(const Beating&) = delete;

private:
    std::atomic<bool> stop_{false};
    std::thread thread_;
};

TEST_F(LeftoversOnDisk, ByRecordOnlyACounterThatStandsStillIsDead) {
    here.config.run.locks = Locks::record;
    here.processes.live.clear();
    for (const std::string& run : {kDead, kLive}) {
        for (const std::string& name : {".partial-" + run, "sluice-" + run + "-logs"}) {
            OwnerRecord record = record_of(name);
            record.process.host = record.process.machine = record.process.boot = "elsewhere";
            record.beat_ms = 100;
            put_record(name, record);
        }
    }
    {
        const Beating partial(here.path(".partial-" + kLive + "/OWNER.json"));
        const Beating logs(here.path("sluice-" + kLive + "-logs/OWNER.json"));
        EXPECT_EQ(remove("all").removal.files, 2u);
        const Refusal refusal = refusal_of([&] { remove(kLive); });
        EXPECT_EQ(refusal.code, 10);
        EXPECT_TRUE(refusal.mentions("counter moves")) << refusal.text;
    }
    EXPECT_FALSE(here.there(".partial-" + kDead));
    EXPECT_TRUE(here.there(".partial-" + kLive + "/part-000001"));
    EXPECT_EQ(remove(kLive).removal.files, 2u);
}

TEST_F(LeftoversOnDisk, ByRecordALockThatIsHeldIsLifeAllTheSame) {
    here.config.run.locks = Locks::record;
    OwnerRecord record = record_of(".partial-" + kDead);
    record.beat_ms = 10;
    put_record(".partial-" + kDead, record);
    const auto held = here.files->open_directory(here.path(".partial-" + kDead))->lock(kOwnerName, LockMode::shared);
    EXPECT_EQ(refusal_of([&] { remove(kDead); }).code, 10);
    EXPECT_TRUE(here.there(".partial-" + kDead + "/part-000001"));
}

TEST_F(LeftoversOnDisk, SharedMemoryOfADeadRunGoesUnlessItIsAnothersByNow) {
    const std::string stem = "vader_segment.sluice-test." + std::to_string(::getpid()) + ".";
    const auto shm = here.files->open_directory(kSharedMemoryDirectory);
    OwnerRecord record = record_of(".partial-" + kDead);
    for (const char* rank : {"0", "1", "2"}) {
        std::ofstream(std::string(kSharedMemoryDirectory) + "/" + stem + rank) << "1234567";
        record.process.segments.push_back({stem + rank, shm->look(stem + rank)->inode});
    }
    ++record.process.segments[1].inode;  // the name is another file's
    here.processes.mapped = {stem + "2"};
    record.process.segments.push_back({"notes", 1});
    put_record(".partial-" + kDead, record);
    const Leftovers left = remove(kDead);
    EXPECT_EQ(left.removal.files, 3u);
    EXPECT_EQ(left.removal.bytes, 27u);
    EXPECT_FALSE(shm->look(stem + "0"));
    EXPECT_TRUE(shm->look(stem + "1") && shm->look(stem + "2"));
    for (const char* rank : {"0", "1", "2"}) shm->remove_file(stem + rank);
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

TEST_F(LeftoversOnDisk, WhatHasTheNameOfARecordAndIsNoFileStaysAndIsSaid) {
    const std::string directory = ".partial-" + std::string(32, '5'), link = ".partial-" + std::string(32, '6'),
                      unfinished = "sluice-" + std::string(32, '7') + "-logs";
    here.put("precious");
    fs::create_directories(here.path(directory + "/OWNER.json"));
    fs::create_directories(here.path(link));
    fs::create_symlink(here.path("precious"), here.path(link + "/OWNER.json"));
    here.put(unfinished + "/OWNER.json", "half a rec");
    fs::create_directories(here.path(unfinished + "/OWNER.json.tmp-17"));
    const Leftovers left = remove("all");
    EXPECT_FALSE(here.there(".partial-" + kDead)) << "the rest goes on";
    EXPECT_TRUE(here.there(directory + "/OWNER.json") && here.there(link + "/OWNER.json"));
    EXPECT_TRUE(here.there(unfinished + "/OWNER.json.tmp-17") && here.there("precious"));
    ASSERT_EQ(left.removal.kept.size(), 3u);
    EXPECT_NE(left.removal.kept[0].find(directory + "/OWNER.json': is no regular file"), std::string::npos)
        << left.removal.kept[0];
    EXPECT_NE(left.removal.kept[1].find(link + "/OWNER.json': is a link"), std::string::npos) << left.removal.kept[1];
    EXPECT_NE(left.removal.kept[2].find("OWNER.json.tmp-17': is no regular file"), std::string::npos)
        << left.removal.kept[2];
}

TEST_F(LeftoversOnDisk, ARecordThatWouldLeadElsewhereIsNoneAndStopsNobody) {
    const std::string run = std::string(32, '4'), partial = ".partial-" + run;
    OwnerRecord record = record_of(".partial-" + kDead);
    record.run_id = run;
    record.target = "../x";
    record.state = OwnerState::publishing;  // as of a run that may hold its name by an empty directory
    put_record(partial, record);
    here.put(partial + "/part-000001");
    const Leftovers left = remove("all");
    EXPECT_FALSE(here.there(".partial-" + kDead)) << "the rest goes on";
    EXPECT_TRUE(here.there(partial + "/part-000001"));
    ASSERT_EQ(left.removal.kept.size(), 1u);
    EXPECT_NE(left.removal.kept.front().find(partial + "': has no owner record that can be read"), std::string::npos)
        << left.removal.kept.front();
}

TEST_F(LeftoversOnDisk, AHalfSetUnderANameThatItsRunDidNotGiveIsTheUsers) {
    const auto claim = [&](const std::string& name) {
        JobContext job = here.job();
        OutputSet(job, {DiskRole::output, name, std::string(32, '8'), "sort", {"part-#"}, {}}).claim();
    };
    fs::rename(here.path(".partial-" + kDead), here.path("rescue"));
    EXPECT_EQ(remove("all").removal.files, 1u) << "its log";
    EXPECT_EQ(remove(kDead).removal.files, 0u);
    for (const Overwrite overwrite : {Overwrite::no, Overwrite::yes, Overwrite::first}) {
        here.config.run.overwrite = overwrite;
        const Refusal refusal = refusal_of([&] { claim("rescue"); });
        EXPECT_EQ(refusal.code, 2);
        EXPECT_TRUE(refusal.mentions("rescue' on host here") && refusal.mentions(kDead)) << refusal.text;
    }
    EXPECT_TRUE(here.there("rescue/part-000001") && here.there("rescue/OWNER.json"));
    fs::rename(here.path("sorted"), here.path("mine"));
    fs::rename(here.path("rescue"), here.path("sorted"));
    EXPECT_EQ(remove("all").removal.files, 1u) << "under the name that the run was to give";
    EXPECT_FALSE(here.there("sorted"));
}

TEST_F(LeftoversOnDisk, WhatWasBeingRemovedIsALeftoverUnderAnyName) {
    OwnerRecord record = record_of(".partial-" + kDead);
    record.state = OwnerState::removing;  // as `clean` of a set that had been renamed leaves it when killed
    put_record(".partial-" + kDead, record);
    fs::rename(here.path(".partial-" + kDead), here.path("renamed"));
    remove("all");
    EXPECT_FALSE(here.there("renamed"));
}

TEST_F(LeftoversOnDisk, WhatMayBePublishedWhereNobodyLooksStaysUnlessThatRunIsNamedAndForced) {
    fs::remove_all(here.path("sorted"));
    OwnerRecord record = record_of(".partial-" + kDead);
    record.state = OwnerState::publishing;
    record.disk = 1;
    record.disks = 2;
    record.manifest_host = "elsewhere";
    put_record(".partial-" + kDead, record);
    fs::rename(here.path(".partial-" + kDead), here.path("sorted"));
    for (const bool force : {false, true}) {
        const Leftovers left = remove("all", force);
        EXPECT_TRUE(here.there("sorted/part-000001"));
        EXPECT_TRUE(std::any_of(left.removal.kept.begin(), left.removal.kept.end(), [](const std::string& line) {
            return line.find("MANIFEST is on host elsewhere") != std::string::npos;
        }));
    }
    const Refusal refusal = refusal_of([&] { remove(kDead); });
    EXPECT_EQ(refusal.code, 10);
    EXPECT_TRUE(refusal.mentions("host elsewhere") && refusal.mentions("--force")) << refusal.text;
    EXPECT_EQ(remove(kDead, true).removal.files, 2u) << "its log and its part";
    EXPECT_FALSE(here.there("sorted"));
}

TEST_F(LeftoversOnDisk, WhatIsNoRunIdIsRefused) {
    for (const std::string& id : {std::string("../x"), std::string(""), kDead.substr(1), std::string("*")})
        EXPECT_EQ(refusal_of([&] { remove(id); }).code, 2) << id;
    EXPECT_TRUE(here.there("sluice-" + kDead + "-logs/log-r0-0"));
}

}  // namespace
}  // namespace sluice::testing
