#include "plan/preflight_paths.hpp"

#include <gtest/gtest.h>

#include <ctime>

#include "plan/directory_tree.hpp"
#include "plan/file_view.hpp"
#include "plan/one_rank_job.hpp"
#include "plan/preflight_disks.hpp"
#include "plan/problem_texts.hpp"
#include "plan/role_disks.hpp"

namespace sluice::testing {
namespace {

namespace fs = std::filesystem;
using Texts = std::vector<std::string>;

/// Disks of this host, each a directory, in the three roles.
struct Paths : ::testing::Test {
    Paths() {
        auto view = std::make_unique<FileView>();
        files = view.get();
        here.files = std::move(view);
        here.config.disks.clear();
    }
    void disk(const std::string& name, DiskRole role, DiskScope scope = DiskScope::host) {
        if (name.find('{') == std::string::npos) fs::create_directories(here.path(name));
        here.config.disks.push_back({here.path(name), role, scope});
    }
    void list(const std::string& name, SeenBy seen_by = SeenBy::one_host) {
        InputFile file;
        file.path = here.path(name);
        file.seen_by = seen_by;
        if (const auto info = here.files->info(file.path)) file.identity = *info;
        input.files.push_back(file);
        if (here.config.input.paths.empty()) here.config.input.paths.push_back(here.path("*"));
    }
    Texts problems() {
        JobContext job = here.job();
        Problems found;
        std::vector<std::string> notes;
        check_paths(job, input, found, notes);
        return texts_of(found);
    }
    std::string output(const std::string& disk) const { return "[2] output '" + here.path(disk) + "/sorted': "; }
    OneRankJob here;
    FileView* files = nullptr;
    InputSet input;
};

double process_cpu_s() {
    timespec t{};
    ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9;
}

TEST_F(Paths, OutputIsSeenInTheInputAndTheInputInIt) {
    disk("a", DiskRole::input);
    disk("a/input/deep", DiskRole::output);
    disk("b", DiskRole::output);
    disk("b/sorted/below", DiskRole::input);
    disk("c", DiskRole::output);
    disk("c/sorted/scratch", DiskRole::intermediate);
    disk("other", DiskRole::intermediate);
    const std::string elsewhere = "; choose another output.name or disk";
    EXPECT_EQ(
        problems(),
        (Texts{output("a/input/deep") + "lies in the input '" + here.path("a/input") + "'" + elsewhere,
               output("b") + "would hold the input '" + here.path("b/sorted/below/input") + "'" + elsewhere,
               output("c") + "the intermediate disk '" + here.path("c/sorted/scratch") + "' lies in it" + elsewhere}));
}

TEST_F(Paths, NamesThatOnlyBeginAlikeAreTwo) {
    disk("a", DiskRole::input);
    disk("a2", DiskRole::output);
    fs::create_directories(here.path("a/input"));
    fs::create_directories(here.path("a2/sorted"));
    disk("a2/sorted2", DiskRole::intermediate);
    EXPECT_EQ(problems(), Texts());
}

TEST_F(Paths, LinksAndBindMountsAreSeenThrough) {
    disk("a", DiskRole::input);
    fs::create_directories(here.path("a/input/within"));
    fs::create_symlink(here.path("a/input/within"), here.path("link"));
    here.config.disks.push_back({here.path("link"), DiskRole::output});
    disk("bound", DiskRole::output);
    // As mount --bind a/input bound/mounted: one directory under two names.
    const auto bound = here.files->info(here.path("a/input"));
    fs::create_directories(here.path("bound/mounted"));
    here.config.output.name = "mounted/sorted";
    files->change = [&, path = fs::canonical(here.path("bound/mounted")).string()](const std::string& asked,
                                                                                   FileInfo& info) {
        if (asked == path) info.inode = bound->inode;
    };
    const Texts found = problems();
    ASSERT_EQ(found.size(), 2u);
    EXPECT_NE(found[0].find(here.path("link") + "/mounted/sorted': lies in the input"), std::string::npos) << found[0];
    EXPECT_NE(found[1].find(here.path("bound") + "/mounted/sorted': lies in the input"), std::string::npos) << found[1];
}

TEST_F(Paths, AnInputFileInTheOutputIsNamedThoughALinkLeadsThere) {
    disk("tmp", DiskRole::intermediate);
    for (const char* name : {"o1", "o2", "o3", "o4", "o5"}) disk(name, DiskRole::output);
    for (const char* name : {"in/file", "in/other", "o1/sorted/file", "o2/sorted/deep/file", "o3/sorted/file"})
        here.put(name);
    fs::create_symlink(here.path("o2/sorted/deep"), here.path("in/link"));
    fs::create_symlink(here.path("o3/sorted/file"), here.path("in/soft"));
    fs::create_hard_link(here.path("in/other"), here.path("o4/sorted"));
    fs::create_directories(here.path("o5/sorted"));
    for (const char* name : {"in/file", "in/soft", "in/link/file", "o1/sorted/file", "in/other"}) list(name);
    const auto named = [&](const char* disk, const char* file) {
        return output(disk) + "the input file '" + here.path(file) + "' lies in it; choose another output.name";
    };
    EXPECT_EQ(problems(), (Texts{named("o1", "o1/sorted/file"), named("o2", "in/link/file"), named("o3", "in/soft"),
                                 named("o4", "in/other")}));
}

struct ManyDisks : Paths {
    static constexpr unsigned kDisks = 200, kFiles = 10'000;
    /// What one check may ask of each disk: as itself, as what is to lie in it, and for its permissions.
    static constexpr std::uint64_t kMostLooks = 3 * kDisks * 8;
    ManyDisks() {
        for (unsigned i = 0; i < kDisks; ++i) {
            disk("mnt/in" + std::to_string(i) + "/data", DiskRole::input);
            disk("mnt/tmp" + std::to_string(i) + "/data", DiskRole::intermediate);
            disk("mnt/out" + std::to_string(i) + "/data", DiskRole::output);
        }
    }
    void expect_cheap(const std::function<void()>& check) {
        files->looks.clear();
        const double begin_s = process_cpu_s();
        check();
        const double took_s = process_cpu_s() - begin_s;
        std::printf("%llu looks, %.3f CPU s\n", static_cast<unsigned long long>(files->looks_in_all()), took_s);
        EXPECT_LE(files->looks_in_all(), kMostLooks);
        EXPECT_LT(took_s, 0.2);
    }
};

TEST_F(ManyDisks, EachIsLookedAtAFewTimesNotOnceForEachOther) {
    expect_cheap([&] { EXPECT_EQ(problems(), Texts()); });
}

TEST_F(ManyDisks, TenThousandFilesAreToldByTheirDirectories) {
    for (unsigned i = 0; i < kDisks; ++i)
        fs::create_directories(here.path("mnt/out" + std::to_string(i) + "/data/sorted"));
    for (unsigned i = 0; i < kFiles; ++i)
        here.put("mnt/in" + std::to_string(i / (kFiles / kDisks)) + "/data/file" + std::to_string(i), "");
    const std::string last = "mnt/in199/data/file9999";
    fs::remove(here.path(last));
    here.put("mnt/out3/data/sorted/file");
    fs::create_symlink(here.path("mnt/out3/data/sorted/file"), here.path(last));
    for (unsigned i = 0; i < kFiles; ++i)
        list("mnt/in" + std::to_string(i / (kFiles / kDisks)) + "/data/file" + std::to_string(i));
    expect_cheap([&] {
        EXPECT_EQ(problems(), Texts{output("mnt/out3/data") + "the input file '" + here.path(last) +
                                    "' lies in it; choose another output.name"});
    });
    expect_cheap([&] {
        JobContext job = here.job();
        PathScopes scopes(job);
        for (const InputFile& file : input.files) EXPECT_EQ(scopes.of(file.path), SeenBy::one_host);
    });
}

TEST_F(ManyDisks, FilesOfADirectoryAreOneQuestionForDirectIo) {
    here.config.io.direct = DirectIo::off;
    for (unsigned i = 0; i < kFiles; ++i) {
        const std::string name = "mnt/in" + std::to_string(i % kDisks) + "/data/file" + std::to_string(i);
        here.put(name, "");
        list(name);
    }
    files->mount = [](const std::string&) { return MountInfo{"ext4", "/dev/sda"}; };
    JobContext job = here.job();
    Problems found;
    std::vector<std::string> cached;
    expect_cheap([&] { check_input_directories(job, input, found, cached); });
    EXPECT_EQ(texts_of(found), Texts());
    EXPECT_EQ(cached.size(), kDisks);
    EXPECT_EQ(files->proofs.size(), kDisks);
}

/// The ranks of one host, one after the other: nothing here is collective.
struct RanksOfAHost : Paths {
    static constexpr std::uint32_t kRanks = 4;
    void each(const std::function<void(JobContext&)>& action) {
        JobContext job = here.job();
        job.place.local_ranks = kRanks;
        for (std::uint32_t rank = 0; rank < kRanks; ++rank) {
            job.place.local_rank = rank;
            action(job);
        }
    }
};

TEST_F(RanksOfAHost, OneAsksTheFilesThatAllSee) {
    disk("in", DiskRole::input);
    for (int i = 0; i < 50; ++i) {
        here.put("in/file" + std::to_string(i));
        list("in/file" + std::to_string(i));
    }
    files->mount = [](const std::string&) { return MountInfo{"overlay", "overlay"}; };
    here.config.io.direct = DirectIo::off;
    each([&](JobContext& job) {
        Problems found;
        std::vector<std::string> cached;
        check_input_directories(job, input, found, cached);
        EXPECT_EQ(cached, std::vector<std::string>{here.path("in")}) << "each rank plans by it";
    });
    EXPECT_EQ(files->proofs.size(), 50u);
    for (const auto& [file, count] : files->proofs)
        EXPECT_EQ(count, file == here.path("in/file0") ? kRanks : 1u) << file;
}

TEST_F(RanksOfAHost, OneSpeaksOfPermissionsEachOfItsOwn) {
    disk("all", DiskRole::output);
    disk("{rank}", DiskRole::output);
    for (const char* name : {"all", "0"}) {
        fs::create_directories(here.path(name));
        fs::permissions(here.path(name), fs::perms::group_write, fs::perm_options::add);
    }
    std::vector<std::string> notes;
    each([&](JobContext& job) {
        Problems found;
        check_permissions(job, DiskRole::output, found, notes);
    });
    EXPECT_EQ(std::count_if(notes.begin(), notes.end(),
                            [&](const std::string& note) { return note.find(here.path("all")) != std::string::npos; }),
              1);
    EXPECT_EQ(notes.size(), 1u + kRanks);
}

TEST(DisksByPath, TheInnermostIsFoundAndNameThatOnlyBeginsAlikeIsNone) {
    OneRankJob here;
    here.config.disks = {{"/mnt/a", DiskRole::input}, {"/mnt/a/b", DiskRole::output}, {"/mnt/c/", DiskRole::input}};
    const DisksByPath disks(here.job());
    EXPECT_EQ(disks.disk_of("/mnt/a/x/y"), "/mnt/a");
    EXPECT_EQ(disks.disk_of("/mnt/a/b/y"), "/mnt/a/b");
    EXPECT_EQ(disks.disk_of("/mnt/ab/y"), "/mnt/ab/y");
    EXPECT_EQ(disks.disk_of("/mnt/a"), "/mnt/a");
    EXPECT_EQ(disks.disk_of("/x"), "/x");
}

}  // namespace
}  // namespace sluice::testing
