#include "io/directory.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "io/as_nobody.hpp"
#include "io/file_system.hpp"
#include "io/io_fixture.hpp"
#include "io/owner_record.hpp"
#include "simulated/memory_backend.hpp"

namespace sluice::testing {
namespace {

namespace fs = std::filesystem;
using Outcome = LockAttempt::Outcome;
using Renamed = Directory::Renamed;

/// One body, both kinds: the simulated cluster relies on what holds on real disks.
class AnyDirectory : public ::testing::TestWithParam<bool> {
protected:
    AnyDirectory() : root_(GetParam() ? scratch_.path() : "/disk") {
        files_ = GetParam() ? make_real_file_system() : make_memory_file_system(disk_);
        files_->make_directories(root_);
        directory_ = files_->open_directory(root_);
    }
    TempDirectory scratch_;
    ThreadExecutor executor_;
    MemoryDisk disk_{executor_};
    std::string root_;
    std::unique_ptr<FileSystem> files_;
    std::unique_ptr<Directory> directory_;
};
INSTANTIATE_TEST_SUITE_P(Each, AnyDirectory, ::testing::Bool(),
                         [](const auto& which) { return which.param ? "Real" : "Memory"; });

TEST_P(AnyDirectory, MakesOpensListsAndRemoves) {
    EXPECT_EQ(directory_->path(), root_);
    EXPECT_TRUE(directory_->make("b"));
    EXPECT_FALSE(directory_->make("b"));
    directory_->write_durably("a", "text");
    EXPECT_FALSE(directory_->make("a"));
    EXPECT_EQ(directory_->names(), (std::vector<std::string>{"a", "b"}));
    ASSERT_TRUE(directory_->look("a") && directory_->look("b"));
    EXPECT_EQ(directory_->look("a")->kind, EntryInfo::Kind::file);
    EXPECT_EQ(directory_->look("a")->size_bytes, 4u);
    EXPECT_EQ(directory_->look("b")->kind, EntryInfo::Kind::directory);
    EXPECT_FALSE(directory_->look("none"));
    EXPECT_EQ(directory_->open("none"), nullptr);
    EXPECT_EQ(directory_->open("a"), nullptr);
    const auto child = directory_->open("b");
    ASSERT_NE(child, nullptr);
    child->write_durably("inside", "x");
    EXPECT_EQ(child->path(), root_ + "/b");
    EXPECT_NE(error_of([&] { directory_->remove_directory("b"); }).code, 0);
    child->remove_file("inside");
    child->remove_file("inside");  // gone already
    directory_->remove_directory("b");
    directory_->remove_directory("b");  // somebody else was quicker
    directory_->remove_file("a");
    EXPECT_TRUE(directory_->names().empty());
}

TEST_P(AnyDirectory, TextsAreReplacedWholeAndBounded) {
    const std::string binary("a\0b\xff\n", 5);
    directory_->write_durably("text", "first, and longer");
    directory_->write_durably("text", binary);
    EXPECT_EQ(directory_->read_text("text", 5), binary);
    EXPECT_EQ(error_of([&] { directory_->read_text("text", 4); }).code, 4);
    EXPECT_EQ(error_of([&] { directory_->read_text("none", 4); }).code, 4);
    EXPECT_EQ(directory_->names(), std::vector<std::string>{"text"}) << "no temporary file stays";
}

TEST_P(AnyDirectory, AFileInPiecesIsSeenWholeUnderItsNameAlsoOnceTheDirectoryHasAnother) {
    directory_->make("before");
    const auto before = directory_->open("before");
    before->write_durably("text", "older");
    const auto file = before->begin_file("text");
    file->append("first ");
    file->append("");
    EXPECT_EQ(before->read_text("text", 100), "older");
    EXPECT_EQ(before->names().size(), 2u);
    EXPECT_TRUE(matches_pattern(before->names().back(), "text.tmp-#")) << before->names().back();
    file->append("and second");
    file->sync();
    directory_->rename_over("before", "after");
    const auto after = directory_->open("after");
    after->give_name(*file, "text");
    EXPECT_EQ(after->read_text("text", 100), "first and second");
    EXPECT_EQ(after->names(), std::vector<std::string>{"text"});
}

TEST_P(AnyDirectory, AFileThatGetsNoNameGoesAndOneThatHasItStays) {
    {
        const auto file = directory_->begin_file("text");
        file->append("of no use");
        EXPECT_EQ(directory_->names().size(), 1u);
    }
    EXPECT_TRUE(directory_->names().empty());
    {
        const auto named = directory_->begin_file("text");
        directory_->give_name(*named, "text");
    }
    EXPECT_EQ(directory_->read_text("text", 1), "") << "it stays when nobody writes to it any more";
}

TEST_P(AnyDirectory, NamesWithSlashesAreABugOfTheCaller) {
    for (const char* name : {"", ".", "..", "a/b", "/etc"})
        EXPECT_EQ(error_of([&] { directory_->look(name); }).code, 1);
}

TEST_P(AnyDirectory, RenamesNeverReplaceAndExchangeIsOneStep) {
    directory_->make("one");
    directory_->open("one")->write_durably("file", "1");
    directory_->make("two");
    EXPECT_EQ(directory_->rename_no_replace("one", "two"), Renamed::exists);
    EXPECT_EQ(directory_->rename_no_replace("one", "three"), Renamed::done);
    EXPECT_EQ(directory_->exchange("three", "two"), Renamed::done);
    EXPECT_EQ(directory_->open("two")->read_text("file", 1), "1");
    EXPECT_TRUE(directory_->open("three")->names().empty());
    directory_->rename_over("two", "three");
    EXPECT_EQ(directory_->open("three")->read_text("file", 1), "1");
    EXPECT_EQ(directory_->names(), std::vector<std::string>{"three"});
    EXPECT_NE(error_of([&] { directory_->rename_no_replace("none", "x"); }).code, 0);
}

TEST_P(AnyDirectory, SharedLocksMeetExclusiveOnesDoNot) {
    auto first = directory_->write_locked("record", "text", LockMode::shared);
    ASSERT_EQ(first.outcome, Outcome::taken);
    auto second = directory_->lock("record", LockMode::shared);
    EXPECT_EQ(second.outcome, Outcome::taken);
    EXPECT_EQ(directory_->lock("record", LockMode::exclusive).outcome, Outcome::held);
    first.lock.reset();
    EXPECT_EQ(directory_->lock("record", LockMode::exclusive).outcome, Outcome::held);
    second.lock.reset();
    const auto alone = directory_->lock("record", LockMode::exclusive);
    ASSERT_EQ(alone.outcome, Outcome::taken);
    EXPECT_EQ(directory_->lock("record", LockMode::shared).outcome, Outcome::held);
    EXPECT_EQ(directory_->lock("none", LockMode::shared).outcome, Outcome::absent);
    alone.lock->write_at(1, "EX");
    EXPECT_EQ(alone.lock->read(100), "tEXt");
    EXPECT_EQ(directory_->read_text("record", 4), "tEXt");
    EXPECT_TRUE(directory_->look("record")->same_file(alone.lock->info()));
}

TEST(RealDirectory, AnOwnersWriteProtectionIsNoObstacleToHisOwnRecord) {
    TempDirectory scratch;
    const auto directory = make_real_file_system()->open_directory(scratch / ".");
    fs::permissions(scratch / ".", fs::perms::all);
    const AsNobody nobody;  // root may write to anything
    write_text_file(scratch / "record", "state: old");
    fs::permissions(scratch / "record", fs::perms::owner_read);
    auto attempt = directory->lock("record", LockMode::exclusive);
    ASSERT_EQ(attempt.outcome, Outcome::taken);
    attempt.lock->write_at(7, "new");
    EXPECT_EQ(directory->read_text("record", 100), "state: new");
    EXPECT_EQ(directory->lock("record", LockMode::exclusive).outcome, Outcome::held) << "the lock is still held";
}

TEST(RealDirectory, WhatCannotGetAnotherNameIsToldBeforehand) {
    TempDirectory scratch;
    for (const char* name : {"old", "full"}) fs::create_directory(scratch / name);
    write_text_file(scratch / "full/file", "1");
    const auto directory = make_real_file_system()->open_directory(scratch / ".");
    EXPECT_EQ(directory->why_not_renamable("old", "full"), "");
    EXPECT_TRUE(fs::exists(scratch / "old") && fs::exists(scratch / "full/file"));
    fs::permissions(scratch / ".", fs::perms::all | fs::perms::sticky_bit);  // others' names are not ours to change
    const AsNobody nobody;
    EXPECT_NE(directory->why_not_renamable("old", "full").find("EPERM"), std::string::npos);
}

TEST(RealDirectory, NothingIsReachedThroughALink) {
    TempDirectory scratch;
    fs::create_directory(scratch / "target");
    write_text_file(scratch / "target/file", "precious");
    fs::create_directory(scratch / "ours");
    fs::create_symlink(scratch / "target", scratch / "ours/link");
    fs::create_symlink(scratch / "target/file", scratch / "ours/file");
    const auto directory = make_real_file_system()->open_directory(scratch / "ours");
    EXPECT_EQ(directory->open("link"), nullptr);
    EXPECT_EQ(directory->look("link")->kind, EntryInfo::Kind::link);
    EXPECT_EQ(directory->lock("file", LockMode::exclusive).outcome, Outcome::absent);
    EXPECT_NE(error_of([&] { directory->read_text("file", 100); }).code, 0);
    directory->write_durably("file", "ours");  // takes the link's name, not its target
    directory->remove_file("link");
    EXPECT_EQ(directory->read_text("file", 100), "ours");
    EXPECT_EQ(fs::file_size(scratch / "target/file"), 8u);
    EXPECT_TRUE(fs::exists(scratch / "target"));
}

TEST(RealDirectory, StaysTheSameWhenItsPathLeadsElsewhere) {
    TempDirectory scratch;
    fs::create_directory(scratch / "ours");
    const auto directory = make_real_file_system()->open_directory(scratch / "ours");
    fs::rename(scratch / "ours", scratch / "moved");
    fs::create_directory(scratch / "ours");
    write_text_file(scratch / "ours/victim", "theirs");
    directory->write_durably("victim", "ours");
    directory->remove_file("victim");
    EXPECT_TRUE(fs::exists(scratch / "ours/victim"));
    EXPECT_FALSE(fs::exists(scratch / "moved/victim"));
}

TEST(RealDirectory, WhatItMakesIsForTheOwnerWhateverTheUmask) {
    TempDirectory scratch;
    const auto directory = make_real_file_system()->open_directory(scratch.path());
    const mode_t before = ::umask(0277);
    directory->make("d");
    directory->write_durably("f", "x");
    ::umask(before);
    EXPECT_EQ(directory->look("d")->mode & 0777, 0700u);
    EXPECT_EQ(directory->look("f")->mode & 0777, 0600u);
    EXPECT_EQ(directory->owner_of_new_files(), ::geteuid());
    EXPECT_EQ(directory->names(), (std::vector<std::string>{"d", "f"})) << "asking for the owner leaves nothing";
}

TEST(RealDirectory, LockOnAFileThatWasReplacedIsNotTakenForOneOnTheNew) {
    TempDirectory scratch;
    const auto directory = make_real_file_system()->open_directory(scratch.path());
    const auto old = directory->write_locked("record", "old", LockMode::shared);
    directory->remove_file("record");
    directory->write_durably("record", "new");
    const auto attempt = directory->lock("record", LockMode::exclusive);
    ASSERT_EQ(attempt.outcome, Outcome::taken);
    EXPECT_EQ(attempt.lock->read(10), "new");
    EXPECT_FALSE(directory->look("record")->same_file(old.lock->info()));
}

TEST(RealDirectory, AFifoIsNeverOpenedForLong) {
    TempDirectory scratch;
    ASSERT_EQ(::mkfifo((scratch / "fifo").c_str(), 0600), 0);
    const auto directory = make_real_file_system()->open_directory(scratch.path());
    EXPECT_EQ(error_of([&] { directory->read_text("fifo", 100); }).code, 4);
    EXPECT_EQ(directory->lock("fifo", LockMode::shared).outcome, Outcome::absent);
}

}  // namespace
}  // namespace sluice::testing
