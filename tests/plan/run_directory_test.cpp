#include "plan/run_directory.hpp"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include "io/data_set.hpp"
#include "plan/one_rank_job.hpp"
#include "simulated/memory_backend.hpp"

namespace sluice::testing {
namespace {

namespace fs = std::filesystem;
using Outcome = LockAttempt::Outcome;

OwnerRecord record_of_a_run() {
    OwnerRecord record;
    record.run_id = "0123456789abcdef0123456789abcdef";
    record.verb = "sort";
    record.state = OwnerState::writing;
    record.patterns = {"part-#"};
    return record;
}

/// Marking a copy's record must not reach the original through a hard link, and nobody may come between.
TEST(MarkRemoving, RecordWithOtherNamesIsReplacedUnderALock) {
    OneRankJob here;
    here.put("copy/OWNER.json", to_block(record_of_a_run()));
    fs::create_hard_link(here.path("copy/OWNER.json"), here.path("original.json"));
    const auto directory = here.files->open_directory(here.path("copy"));
    LockAttempt attempt = directory->lock(kOwnerName, LockMode::exclusive);
    ASSERT_EQ(attempt.outcome, Outcome::taken);
    mark_removing(*directory, attempt.lock);
    EXPECT_EQ(read_owner(*directory)->state, OwnerState::removing);
    fs::create_directory(here.path("look"));
    fs::create_hard_link(here.path("original.json"), here.path("look/OWNER.json"));
    EXPECT_EQ(read_owner(*here.files->open_directory(here.path("look")))->state, OwnerState::writing);
    EXPECT_EQ(directory->lock(kOwnerName, LockMode::shared).outcome, Outcome::held);
    attempt.lock.reset();
    EXPECT_EQ(directory->lock(kOwnerName, LockMode::shared).outcome, Outcome::taken);
}

/// A full disk with copy on write has no room even for the mark; what is being removed makes some.
TEST(MarkRemoving, FullDiskIsNoReasonToKeepWhatFillsIt) {
    ThreadExecutor executor;
    MemoryDisk disk(executor);
    disk.directories["/disk"] = disk.directories["/disk/set"] = true;
    const auto files = make_memory_file_system(disk);
    const auto directory = files->open_directory("/disk/set");
    directory->write_durably(kOwnerName, to_block(record_of_a_run()));
    directory->write_durably("part-000000", "records");
    LockAttempt attempt = directory->lock(kOwnerName, LockMode::exclusive);
    ASSERT_EQ(attempt.outcome, Outcome::taken);
    Errc refusal = Errc::space;
    std::uint64_t refused = 0;
    disk.before_change = [&](const char* what, const std::string&) {
        if (std::string(what) != "write in place") return;
        ++refused;
        throw Error(refusal, "no mark on this disk");
    };
    EXPECT_NO_THROW(mark_removing(*directory, attempt.lock));
    EXPECT_EQ(refused, 1u);
    ASSERT_TRUE(attempt.lock);
    const auto parent = files->open_directory("/disk");
    const Removal removal = remove_directory_of_ours(
        *parent, "set", [](const std::string&) { return true; }, [&] { attempt.lock.reset(); });
    EXPECT_EQ(removal.files, 1u);
    EXPECT_FALSE(disk.has_directory("/disk/set"));

    disk.directories["/disk/set"] = true;
    const auto again = files->open_directory("/disk/set");
    again->write_durably(kOwnerName, to_block(record_of_a_run()));
    attempt = again->lock(kOwnerName, LockMode::exclusive);
    refusal = Errc::device;
    EXPECT_EQ(refusal_of([&] { mark_removing(*again, attempt.lock); }).code, static_cast<int>(Errc::device));
}

}  // namespace
}  // namespace sluice::testing
