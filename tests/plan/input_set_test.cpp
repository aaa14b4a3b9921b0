#include "plan/input_set.hpp"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <thread>

#include "io/as_nobody.hpp"
#include "plan/file_view.hpp"
#include "plan/input_proof.hpp"
#include "plan/one_rank_job.hpp"
#include "plan/problem_texts.hpp"

namespace sluice::testing {
namespace {

namespace fs = std::filesystem;
using Texts = std::vector<std::string>;

/// Collective.
void require_unchanged(JobContext& job, const InputSet& input, const std::vector<InputSlice>& read) {
    const InputChanges found = look_for_changes(job, input, read);
    say_notes(job, found.notes);
    fail_if_any(job, found.problems);
}

struct InputPaths : ::testing::Test {
    /// Finds the named files, as input.paths would name them.
    Texts problems_of(const std::vector<std::string>& names) {
        here.config.input.paths.clear();
        for (const std::string& name : names) here.config.input.paths.push_back(here.path(name));
        JobContext job = here.job();
        Problems problems;
        found = find_input(job, problems);
        return texts_of(problems);
    }
    void expect_one(const Texts& problems, const std::string& code, const std::string& what) {
        ASSERT_EQ(problems.size(), 1u);
        EXPECT_EQ(problems[0].rfind("[" + code + "] ", 0), 0u) << problems[0];
        EXPECT_NE(problems[0].find(what), std::string::npos) << problems[0];
    }
    void put(const std::string& name, std::size_t bytes) { here.put(name, std::string(bytes, 'x')); }
    OneRankJob here;
    InputSet found;
};

TEST_F(InputPaths, WholeRecordsAndEmptyFilesAreFine) {
    put("a", 1000);
    put("empty", 0);
    EXPECT_TRUE(problems_of({"a", "empty"}).empty());
    ASSERT_EQ(found.files.size(), 2u);
    EXPECT_EQ(found.files[0].identity.size_bytes, 1000u);
    EXPECT_FALSE(found.sums_are_known);
    EXPECT_EQ(found.listed.files, 2u);
    EXPECT_EQ(found.listed.bytes, 1000u);
}

TEST_F(InputPaths, TornRecordNamesFileSizeRemainderAndOffset) {  // F1
    for (std::size_t extra = 1; extra < 100; ++extra) {
        put("torn", 300 + extra);
        expect_one(problems_of({"torn"}), "4",
                   here.path("torn") + "' on host here: " + std::to_string(300 + extra) +
                       " bytes is no multiple of the record size 100: " + std::to_string(extra) +
                       " bytes of a torn record at offset 300");
    }
}

TEST_F(InputPaths, WhatIsNoRegularFileIsRefused) {  // F11
    fs::create_directory(here.path("directory"));
    ASSERT_EQ(::mkfifo(here.path("fifo").c_str(), 0600), 0);
    fs::create_symlink("/dev/null", here.path("device"));
    for (const char* name : {"directory", "fifo", "device"}) expect_one(problems_of({name}), "4", "no regular file");
    fs::create_symlink(here.path("none"), here.path("dangling"));
    fs::create_symlink(here.path("circle"), here.path("circle"));
    for (const char* name : {"none", "dangling", "circle"}) expect_one(problems_of({name}), "4", "not there");
}

TEST_F(InputPaths, UnreadableFileAndUnsearchableDirectoryAreRefused) {  // F11
    fs::permissions(here.disk, fs::perms::owner_all | fs::perms::others_read | fs::perms::others_exec);
    for (const char* name : {"secret", "closed/file"}) put(name, 100);
    fs::permissions(here.path("secret"), fs::perms::none);
    fs::permissions(here.path("closed"), fs::perms::none);
    {
        const AsNobody nobody;
        for (const char* name : {"secret", "closed/file"}) expect_one(problems_of({name}), "4", here.path(name));
    }
    fs::permissions(here.path("closed"), fs::perms::owner_all);
}

TEST_F(InputPaths, SameFileTwiceIsRefusedUnlessAllowed) {  // F12
    put("a", 1000);
    fs::create_hard_link(here.path("a"), here.path("hard"));
    fs::create_symlink(here.path("a"), here.path("soft"));
    for (const char* other : {"a", "hard", "soft"}) {
        here.config.run.allow_duplicate_input = false;
        expect_one(problems_of({"a", other}), "2", "is the same file as '" + here.path("a") + "'");
        here.config.run.allow_duplicate_input = true;
        EXPECT_TRUE(problems_of({"a", other}).empty());
    }
}

TEST_F(InputPaths, AllProblemsAreListedAtOnceAndManyAreCounted) {
    put("torn", 150);
    put("good", 200);
    fs::create_directory(here.path("directory"));
    EXPECT_EQ(problems_of({"torn", "good", "none", "directory", "good"}).size(), 4u);
    std::vector<std::string> names;
    for (int i = 0; i < 50; ++i) names.push_back("none" + std::to_string(i));
    const Texts problems = problems_of(names);
    EXPECT_EQ(problems.size(), 21u);
    EXPECT_NE(problems.back().find("30 more files"), std::string::npos) << problems.back();
}

TEST_F(InputPaths, PathThatNoSystemTakesIsAProblemNotACrash) {  // F30
    expect_one(problems_of({std::string(5000, 'x')}), "4", "File name too long");
}

TEST_F(InputPaths, ChangesSincePreflightAreFoundAndNamed) {  // F9
    const std::vector<std::pair<std::string, std::function<void(const std::string&)>>> changes = {
        {"has 900 bytes, and had 1000", [](const std::string& path) { fs::resize_file(path, 900); }},
        {"has 1100 bytes", [](const std::string& path) { fs::resize_file(path, 1100); }},
        {"is another file now",
         [](const std::string& path) {
             fs::copy_file(path, path + "2");
             fs::rename(path + "2", path);
         }},
        {"was written to",
         [](const std::string& path) {
             fs::last_write_time(path, fs::last_write_time(path) + std::chrono::seconds(5));
         }},
        {"is gone", [](const std::string& path) { fs::remove(path); }},
    };
    for (const auto& [words, change] : changes) {
        put("a", 1000);
        put("b", 500);
        ASSERT_TRUE(problems_of({"a", "b"}).empty());
        JobContext job = here.job();
        const auto slices = found.slices_of(job.place, 0, 1);
        require_unchanged(job, found, slices);
        change(here.path("a"));
        const Refusal refusal = refusal_of([&] { require_unchanged(job, found, slices); });
        EXPECT_EQ(refusal.code, 4) << words;
        EXPECT_TRUE(refusal.mentions(words) && refusal.mentions(here.path("a")) && !refusal.mentions(here.path("b")))
            << refusal.text;
    }
}

TEST_F(InputPaths, AChangeTimeThatMovedAloneIsOnlySaid) {
    put("a", 1000);
    ASSERT_TRUE(problems_of({"a"}).empty());
    JobContext job = here.job();
    std::this_thread::sleep_for(std::chrono::milliseconds(20));  // the kernel's clock for files is coarse
    fs::permissions(here.path("a"), fs::perms::owner_read);
    require_unchanged(job, found, found.slices_of(job.place, 0, 1));
    EXPECT_NE(here.said.find("WARNING input '" + here.path("a") + "'"), std::string::npos) << here.said;
}

// -------------------------------------------------------------------------------------------------- several ranks

/// Ranks in one process, each with a host name and a boot id of its choosing, on one file system.
struct Ranks {
    struct Rank {
        std::string host, boot;
        std::function<void(FileView&)> sees = nullptr;  ///< else the file system as it is
    };
    explicit Ranks(std::vector<Rank> list) : ranks(std::move(list)) {}
    Texts find(const std::function<Config(std::uint32_t)>& config) {
        const auto count = static_cast<std::uint32_t>(ranks.size());
        InProcessCluster cluster(executor, count);
        std::vector<std::thread> threads;
        std::vector<Problems> problems(count);
        sets.resize(count);
        slices.resize(count);
        for (std::uint32_t rank = 0; rank < count; ++rank) {
            threads.emplace_back([&, rank] {
                const Config mine = config(rank);
                const auto io = make_sync_backend(DirectIo::off);
                FileView files;
                if (ranks[rank].sees) ranks[rank].sees(files);
                FakeProcesses processes(ranks[rank].host, rank + 1);
                processes.mine().boot = ranks[rank].boot;
                Communicator& communicator = cluster.communicator(rank);
                JobContext job{.executor = executor,
                               .communicator = communicator,
                               .doorbell = cluster.doorbell(rank),
                               .io = *io,
                               .files = files,
                               .processes = processes,
                               .config = mine,
                               .place = find_place(communicator, ranks[rank].host),
                               .make_transport = {},
                               .make_arena = {},
                               .bind = {},
                               .backoff = IdleBackoff(Polling::adaptive),
                               .say = {}};
                sets[rank] = find_input(job, problems[rank]);
                slices[rank] = sets[rank].slices_of(job.place, rank, count);
                prove_disks(job, {DiskRole::output}, problems[rank]);
                if (then) then(job, rank);
            });
        }
        for (std::thread& thread : threads) thread.join();
        std::vector<HostInput> listed;
        for (const InputSet& set : sets) listed.push_back(set.listed);
        by_host = merge_hosts(std::move(listed));
        Texts all;
        for (const Problems& each : problems) {
            const Texts texts = texts_of(each);
            all.insert(all.end(), texts.begin(), texts.end());
        }
        return all;
    }
    std::uint64_t bytes_of(std::uint32_t rank) const {
        std::uint64_t bytes = 0;
        for (const InputSlice& slice : slices[rank]) bytes += slice.bytes;
        return bytes;
    }
    std::function<void(JobContext& job, std::uint32_t rank)> then;
    ThreadExecutor executor;
    std::vector<Rank> ranks;
    std::vector<InputSet> sets;
    std::vector<HostInput> by_host;  // as rank 0 hears it
    std::vector<std::vector<InputSlice>> slices;
};

struct InputOfRanks : ::testing::Test {
    InputOfRanks() {
        for (const char* name : {"in0", "in1", "shared/a", "shared/b"}) here.put(name, std::string(40'960 * 25, 'x'));
    }
    std::function<Config(std::uint32_t)> paths(const std::string& pattern, bool shared = false) {
        return [this, pattern, shared](std::uint32_t) {
            Config config;
            config.input.paths = {here.path(pattern)};
            if (shared) config.disks = {{here.path("shared"), DiskRole::input, DiskScope::shared}};
            return config;
        };
    }
    OneRankJob here;
};

void expect_code_two(const Texts& problems, std::initializer_list<std::string> words) {
    ASSERT_FALSE(problems.empty());
    EXPECT_EQ(problems[0].rfind("[2] ", 0), 0u) << problems[0];
    for (const std::string& word : words) EXPECT_NE(problems[0].find(word), std::string::npos) << problems[0];
}

TEST_F(InputOfRanks, OneFileSeenByTwoHostsNeedsAWordAboutSharing) {
    Ranks hosts({{"h1", "boot"}, {"h2", "boot"}});
    expect_code_two(hosts.find(paths("in0")), {"host h1", "host h2", "same file", "scope = \"shared\""});
}

TEST_F(InputOfRanks, LocalFilesOfTwoMachinesAreDistinctWhateverTheirInodes) {
    Ranks hosts({{"h1", "boot-1"}, {"h2", "boot-2"}});
    EXPECT_TRUE(hosts.find(paths("in0")).empty());
    EXPECT_EQ(hosts.bytes_of(0), hosts.bytes_of(1)) << "each reads its own";
    EXPECT_EQ(hosts.bytes_of(0), 40'960u * 25);
}

/// As a host sees a server's files: by a device number of its own.
std::function<void(FileView&)> mounted(const std::string& source, std::uint64_t device) {
    return [source, device](FileView& files) {
        files.mount = [source](const std::string&) { return MountInfo{"nfs4", source, true, source != "fuse"}; };
        files.change = [device](const std::string&, FileInfo& info) { info.device = device; };
    };
}

TEST_F(InputOfRanks, AServersFileIsOneFileUnderWhateverDirectoryOfItIsMounted) {
    Ranks hosts({{"h1", "boot-1", mounted("filer:/export", 52)}, {"h2", "boot-2", mounted("filer:/export/sub", 61)}});
    expect_code_two(hosts.find(paths("in0")), {"host h1", "host h2", "same file", "scope = \"shared\""});
    Ranks others({{"h1", "boot-1", mounted("filer:/export", 52)}, {"h2", "boot-2", mounted("other:/export", 52)}});
    EXPECT_TRUE(others.find(paths("in0")).empty()) << "two servers";
}

TEST_F(InputOfRanks, WithinOneBootTheDeviceTellsAlsoWhatServersCallAlike) {
    Ranks hosts({{"h1", "boot", mounted("fuse", 52)}, {"h2", "boot", mounted("fuse", 61)}});
    EXPECT_TRUE(hosts.find(paths("in0")).empty());
    Ranks same({{"h1", "boot", mounted("fuse", 52)}, {"h2", "boot", mounted("fuse", 52)}});
    expect_code_two(same.find(paths("in0")), {"same file"});
}

TEST_F(InputOfRanks, ADirectoryThatTwoHostsWouldTakeForTheirOwnIsRefused) {
    for (const char* name : {"out", "out-h1", "out-h2"}) fs::create_directories(here.path(name));
    const auto with_output = [&](const std::string& path, DiskScope scope) {
        return [this, path, scope](std::uint32_t) {
            Config config;
            config.input.paths = {here.path("in0")};
            config.run.allow_duplicate_input = true;
            config.disks = {{here.path(path), DiskRole::output, scope}};
            return config;
        };
    };
    Ranks hosts({{"h1", "boot-1", mounted("filer:/export", 52)}, {"h2", "boot-2", mounted("filer:/export", 61)}});
    const Texts problems = hosts.find(with_output("out", DiskScope::host));
    const auto said = std::find_if(problems.begin(), problems.end(), [](const std::string& problem) {
        return problem.find("output disk") != std::string::npos;
    });
    ASSERT_NE(said, problems.end());
    for (const char* word : {"[2] ", "host h1", "host h2", "the same directory", "scope = \"shared\""})
        EXPECT_NE(said->find(word), std::string::npos) << *said;
    Ranks fuse({{"h1", "boot-1", mounted("fuse", 52)}, {"h2", "boot-2", mounted("fuse", 61)}});
    for (const std::string& problem : fuse.find(with_output("out", DiskScope::host)))
        EXPECT_EQ(problem.find("output disk"), std::string::npos) << "its numbers say nothing: " << problem;
    Ranks local({{"h1", "boot-1"}, {"h2", "boot-2"}});
    EXPECT_TRUE(local.find(with_output("out", DiskScope::host)).empty()) << "each its own";
    EXPECT_TRUE(local.find(with_output("out-{host}", DiskScope::host)).empty());
    EXPECT_TRUE(local.find(with_output("out", DiskScope::shared)).empty());
}

TEST_F(InputOfRanks, AnEmptyFileOfAnyRankThatGrowsIsFound) {
    for (const char* name : {"by-0/empty", "by-1/empty"}) here.put(name, "");
    for (const char* name : {"by-0/full", "by-1/full"}) here.put(name, std::string(1000, 'x'));
    for (const std::uint32_t grows : {0u, 1u}) {
        Ranks ranks({{"h1", "boot"}, {"h1", "boot"}});
        std::vector<std::string> texts(2);
        ranks.then = [&](JobContext& job, std::uint32_t rank) {
            job.communicator.barrier();
            if (rank == grows) here.put("by-" + std::to_string(grows) + "/empty", std::string(100, 'x'));
            job.communicator.barrier();
            texts[rank] = refusal_of([&] { require_unchanged(job, ranks.sets[rank], ranks.slices[rank]); }).text;
            job.communicator.barrier();
            if (rank == grows) here.put("by-" + std::to_string(grows) + "/empty", "");
        };
        EXPECT_TRUE(ranks.find(paths("by-{rank}/*")).empty());
        for (const std::string& text : texts)
            EXPECT_NE(text.find("by-" + std::to_string(grows) + "/empty"), std::string::npos) << text;
    }
}

TEST_F(InputOfRanks, SharedFilesAreDividedAmongAllRanksOfAllHosts) {
    Ranks hosts({{"h1", "boot"}, {"h1", "boot"}, {"h2", "boot"}});
    EXPECT_TRUE(hosts.find(paths("shared/*", true)).empty());
    EXPECT_EQ(hosts.bytes_of(0) + hosts.bytes_of(1) + hosts.bytes_of(2), 2u * 40'960 * 25);
    for (std::uint32_t rank = 0; rank < 3; ++rank) EXPECT_GT(hosts.bytes_of(rank), 400'000u);
    ASSERT_EQ(hosts.by_host.size(), 2u);
    EXPECT_EQ(hosts.by_host[0].files, 2u);
    EXPECT_EQ(hosts.by_host[1].files, 0u);
}

TEST_F(InputOfRanks, SharedFilesThatOnlySomeHostsSeeAreRefused) {
    Ranks hosts({{"h1", "boot"}, {"h2", "boot"}});
    const auto of = [&](std::uint32_t rank) { return paths(rank == 0 ? "shared/*" : "shared/a", true)(rank); };
    expect_code_two(hosts.find(of), {"shared/b", "h1", "only 1 of 2 hosts"});
}

TEST_F(InputOfRanks, SharedFilesInAnotherOrderOnAnotherHostAreRefused) {
    fs::create_directories(here.path("shared/of-h1"));
    fs::create_directories(here.path("shared/of-h2"));
    fs::create_hard_link(here.path("shared/a"), here.path("shared/of-h1/1"));
    fs::create_hard_link(here.path("shared/b"), here.path("shared/of-h1/2"));
    fs::create_hard_link(here.path("shared/b"), here.path("shared/of-h2/1"));
    fs::create_hard_link(here.path("shared/a"), here.path("shared/of-h2/2"));
    Ranks hosts({{"h1", "boot"}, {"h2", "boot"}});
    expect_code_two(hosts.find(paths("shared/of-{host}/*", true)),
                    {"host h1", "host h2", "file 1", "file 2", "places"});
}

TEST_F(InputOfRanks, ASharedDiskIsTheSameHoweverItIsSpelt) {
    Ranks hosts({{"h1", "boot"}, {"h2", "boot"}});
    const auto of = [&](std::uint32_t rank) {
        Config config = paths("shared/../shared/*", true)(rank);
        config.disks[0].path += "/";
        return config;
    };
    EXPECT_TRUE(hosts.find(of).empty());
    EXPECT_EQ(hosts.bytes_of(0) + hosts.bytes_of(1), 2u * 40'960 * 25);
}

TEST_F(InputOfRanks, AFileOnOneRanksDiskThatIsNamedForTheHostIsReadOnce) {
    Ranks ranks({{"h1", "boot"}, {"h1", "boot"}});
    const auto of = [&](std::uint32_t rank) {
        Config config = paths("in0")(rank);
        config.disks = {{here.path("{rank}"), DiskRole::output, DiskScope::host}};
        return config;
    };
    EXPECT_TRUE(ranks.find(of).empty());
    EXPECT_EQ(ranks.bytes_of(0) + ranks.bytes_of(1), 40'960u * 25);
}

TEST_F(InputOfRanks, EachRanksOwnFilesAreReadWholeByIt) {
    Ranks ranks({{"h1", "boot"}, {"h1", "boot"}});
    EXPECT_TRUE(ranks.find(paths("in{rank}")).empty());
    for (std::uint32_t rank = 0; rank < 2; ++rank) {
        ASSERT_EQ(ranks.slices[rank].size(), 1u);
        EXPECT_EQ(ranks.slices[rank][0].path, here.path("in" + std::to_string(rank)));
        EXPECT_EQ(ranks.bytes_of(rank), 40'960u * 25);
    }
    EXPECT_EQ(ranks.by_host.at(0).files, 2u);
}

TEST_F(InputOfRanks, TwoRanksThatOwnTheSameFileAreRefused) {
    fs::create_symlink(here.path("in0"), here.path("link1"));
    fs::create_symlink(here.path("in0"), here.path("link0"));
    Ranks ranks({{"h1", "boot"}, {"h1", "boot"}});
    expect_code_two(ranks.find(paths("link{rank}")), {"is the same file as"});
}

TEST_F(InputOfRanks, TwoMachinesThatBearOneNameAreRefused) {
    Ranks by_boot({{"node", "boot-1"}, {"node", "boot-2"}});
    expect_code_two(by_boot.find(paths("in0")), {"'node'", "ranks 0 and 1", "boot ids", "two machines bear one name"});
    // No path is the same for both, and there is still the boot id.
    fs::create_directories(here.path("of-rank-0"));
    fs::create_directories(here.path("of-rank-1"));
    here.put("of-rank-0/a", std::string(100, 'x'));
    here.put("of-rank-1/a", std::string(100, 'x'));
    expect_code_two(by_boot.find(paths("of-rank-{rank}/*")), {"'node'", "boot ids"});
    // One kernel, two containers: the same path is another directory.
    const auto elsewhere = [](FileView& files) {
        files.change = [](const std::string&, FileInfo& info) { info.inode += info.is_directory ? 1 : 0; };
    };
    Ranks by_directory({{"node", "boot"}, {"node", "boot", elsewhere}});
    expect_code_two(by_directory.find(paths("in0")), {"'node'", "is not the same directory there", "two machines"});
    Ranks one_host({{"node", "boot"}, {"node", "boot"}});
    EXPECT_TRUE(one_host.find(paths("in0")).empty()) << "the same directory is one host";
}

}  // namespace
}  // namespace sluice::testing
