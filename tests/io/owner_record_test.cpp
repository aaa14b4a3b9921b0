#include "io/owner_record.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "runtime/fake_processes.hpp"
#include "runtime/rng.hpp"

namespace sluice::testing {
namespace {

const std::string kRun = "0123456789abcdef0123456789abcdef";

OwnerRecord example() {
    OwnerRecord record;
    record.run_id = kRun;
    record.verb = "sort";
    record.target = "sorted";
    record.process = FakeProcesses("node01", 17).self();
    record.disk = 3;
    record.disks = 8;
    record.manifest_host = "node00";
    record.patterns = {"part-#", "part-#.#", "MANIFEST.json"};
    record.reads = {kRun};
    record.state = OwnerState::publishing;
    record.counter = 77;
    return record;
}

TEST(OwnerRecord, IsOneBlockOfJsonThatReadsBack) {
    const std::string block = to_block(example());
    EXPECT_EQ(block.size(), kOwnerBytes);
    EXPECT_TRUE(nlohmann::json::accept(block));
    const auto back = parse_owner(block);
    ASSERT_TRUE(back);
    EXPECT_EQ(to_block(*back), block);
    EXPECT_EQ(back->target, "sorted");
    EXPECT_EQ(back->disk, 3u);
    EXPECT_EQ(back->state, OwnerState::publishing);
    EXPECT_EQ(back->counter, 77u);
    EXPECT_EQ(back->process.start_ticks, 1017u);
}

TEST(OwnerRecord, StateAndCounterAreWrittenInPlaceWithinOneSector) {
    std::string block = to_block(example());
    for (const OwnerState state : {OwnerState::claiming, OwnerState::writing, OwnerState::publishing,
                                   OwnerState::published, OwnerState::removing}) {
        for (const OwnerPatch& patch : {owner_state_patch(state), owner_counter_patch(0xfedcba9876543210u)}) {
            ASSERT_LE(patch.offset + patch.bytes.size(), kOwnerBytes);
            EXPECT_EQ(patch.offset / 512, (patch.offset + patch.bytes.size() - 1) / 512);
            block.replace(patch.offset, patch.bytes.size(), patch.bytes);
        }
        const auto back = parse_owner(block);
        ASSERT_TRUE(back);
        EXPECT_EQ(back->state, state);
        EXPECT_EQ(back->counter, 0xfedcba9876543210u);
    }
}

TEST(OwnerRecord, TornAndDamagedBlocksAreNoRecord) {
    const std::string block = to_block(example());
    for (std::size_t cut = 0; cut < 3630; cut += 7) {  // what follows are blanks
        EXPECT_FALSE(parse_owner(block.substr(0, cut)));
        EXPECT_FALSE(parse_owner(block.substr(0, cut) + std::string(block.size() - cut, '\0'))) << cut;
    }
    Rng rng(3);
    for (int round = 0; round < 3000; ++round) {
        std::string damaged = block;
        const std::size_t at = rng.below(damaged.size());
        damaged[at] = static_cast<char>(damaged[at] ^ (1 << rng.below(8)));
        const auto read = parse_owner(damaged);
        if (read) {
            EXPECT_EQ(read->run_id, kRun);  // only a counter or a state may differ
        }
    }
    EXPECT_FALSE(parse_owner(std::string(kOwnerBytes, '[')));
}

TEST(OwnerRecord, WhoseTargetIsNoBareNameIsNone) {
    const auto with_target = [](const std::string& target) {
        OwnerRecord record = example();
        record.target = target;
        return parse_owner(to_block(record)).has_value();
    };
    for (const char* name : {"sorted", "", "..sorted", "s\u00f6rted", ".partial"})
        EXPECT_TRUE(with_target(name)) << name;
    for (const std::string& name :
         {std::string("../x"), std::string(".."), std::string("."), std::string("/etc"), std::string("a/b"),
          std::string("x\n"), std::string("x\0", 2), std::string(256, 'x')})
        EXPECT_FALSE(with_target(name)) << name;
}

TEST(OwnerRecord, KnowsItsFilesByPatternsAndNothingElse) {
    const OwnerRecord record = example();
    for (const char* name :
         {"part-000001", "part-1", "part-000007.000002", "MANIFEST.json", "OWNER.json", "OWNER.json.tmp-123"})
        EXPECT_TRUE(record.matches(name)) << name;
    for (const char* name : {"part-", "part-1x", "xpart-1", "part-1.", "part-1.2.3", "MANIFEST.json2", "notes.txt", "",
                             "part-1/..", "OWNER.json.tmp-", "part--1", "part-٣"})
        EXPECT_FALSE(record.matches(name)) << name;
}

TEST(RunDirectoryNames, OnlyOurOwnPatternBelongsToARun) {
    using Kind = RunDirectoryKind;
    for (const Kind kind : {Kind::partial, Kind::replaced, Kind::removed, Kind::scratch}) {
        const auto parsed = parse_run_directory(run_directory_name(kind, kRun, kind == Kind::scratch ? "logs" : ""));
        ASSERT_TRUE(parsed);
        EXPECT_EQ(parsed->kind, kind);
        EXPECT_EQ(parsed->run_id, kRun);
    }
    EXPECT_TRUE(parse_run_directory("sluice-" + kRun + "-copy-r12-out"));
    EXPECT_TRUE(parse_run_directory(run_directory_name(Kind::removed, kRun, "12")));
    for (const std::string& name :
         {std::string("sluice-notes.txt"), "sluice-" + kRun, ".partial-" + kRun + "x", "sluice-" + kRun + "x-logs",
          std::string(".partial-0123456789ABCDEF0123456789abcdef"), "x" + kRun, std::string(".partial-"),
          "sluice-" + kRun + "-log-r0-0", std::string("part-000001"), "sluice-" + kRun + "-copy-r-out",
          ".partial-" + kRun + "-1", ".removed-" + kRun + "-", ".removed-" + kRun + "-x"})
        EXPECT_FALSE(parse_run_directory(name)) << name;
}

TEST(OwnerLife, DeadIsOnlyWhoCannotHoldItAgain) {
    FakeProcesses here("node01", 50);
    OwnerRecord record = example();
    EXPECT_TRUE(judge_life(record, true, here).dead) << "same boot, the process is gone";
    EXPECT_FALSE(judge_life(record, false, here).dead) << "somebody holds the lock";
    here.live.insert({17, 1017});
    EXPECT_FALSE(judge_life(record, true, here).dead) << "it lives, about to take its lock";
    here.live = {{17, 9999}};
    EXPECT_TRUE(judge_life(record, true, here).dead) << "another process has its number";
    record.process.boot = "booted-before";
    EXPECT_TRUE(judge_life(record, true, here).dead) << "the machine was started anew";
    EXPECT_FALSE(judge_life(record, false, here).dead);
}

TEST(OwnerLife, WhoCannotBeAskedMayLive) {
    FakeProcesses here("node01", 50);
    const auto with = [&](auto change) {
        OwnerRecord record = example();
        change(record.process);
        return judge_life(record, true, here).dead;
    };
    EXPECT_FALSE(with([](ProcessIdentity& p) { p.pid_namespace = 2; })) << "another container";
    EXPECT_FALSE(with([](ProcessIdentity& p) { p.pid_namespace = 0; })) << "no /proc there";
    EXPECT_FALSE(with([](ProcessIdentity& p) { p.start_ticks = 0; }));
    EXPECT_FALSE(with([](ProcessIdentity& p) { p.boot = ""; }));
    EXPECT_FALSE(with([](ProcessIdentity& p) { p.boot = "b", p.host = "node02"; })) << "another host";
    EXPECT_FALSE(with([](ProcessIdentity& p) { p.boot = "b", p.machine = "cloned elsewhere"; }));
    EXPECT_FALSE(with([](ProcessIdentity& p) { p.boot = "b", p.machine = ""; }));
    here.mine().boot = "";
    EXPECT_FALSE(with([](ProcessIdentity&) {})) << "no /proc here";
}

}  // namespace
}  // namespace sluice::testing
