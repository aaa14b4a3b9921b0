// Every verb that changes a disk, stopped dead before each of its changes: the input stays, nothing is half published,
// and one command leads out of whatever state was left.
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "jobs/clean_job.hpp"
#include "jobs/data_jobs.hpp"
#include "jobs/output_set.hpp"
#include "jobs/simulated_cluster.hpp"
#include "jobs/sort_job.hpp"
#include "plan/found_set.hpp"
#include "plan/leftovers.hpp"
#include "simulated/memory_backend.hpp"

namespace sluice::testing {
namespace {

/// Sanitizers, which run a share of the seeds only, look at each third point.
constexpr std::uint64_t kEvery = SLUICE_SEEDS_PERCENT < 100 ? 3 : 1;

/// What a killed process does: nothing more. Whoever swallows it only meets the next one.
struct Crash : std::exception {};

/// Hosts whose disks outlive their processes.
class World {
public:
    World(std::uint32_t ranks, bool two_hosts) : ranks_(ranks) {
        for (std::uint32_t host = 0; host < (two_hosts ? ranks : 1); ++host) {
            disks_.push_back(std::make_unique<MemoryDisk>(executor_));
            for (const char* path : {"/in", "/out1", "/out2"}) disks_.back()->directories[path] = true;
            disks_.back()->before_change = [this](const char* what, const std::string& path) { change(what, path); };
        }
    }
    /// The disks of another world as they are, without its processes and their locks.
    explicit World(const World& other) : World(other.ranks_, other.disks_.size() > 1) {
        for (std::size_t host = 0; host < disks_.size(); ++host) {
            MemoryDisk& mine = *disks_[host];
            const MemoryDisk& theirs = *other.disks_[host];
            mine.directories = theirs.directories;
            mine.lacks_rename_flags = theirs.lacks_rename_flags;
            mine.hides_what_is_open = theirs.hides_what_is_open;
            mine.changes = theirs.changes;
            for (const auto& [path, content] : theirs.files) {
                if (content->is_unlinked) continue;  // went with the last process that had it open
                mine.files[path] = std::make_shared<MemoryDisk::Content>();
                mine.files[path]->bytes = content->bytes;
                mine.files[path]->modified_ns = content->modified_ns;
            }
        }
        first_pid_ = other.first_pid_;
        second_scope_ = other.second_scope_;
    }
    /// A disk that is its host's, listed before the one that all hosts see.
    void mix_scopes() { second_scope_ = DiskScope::shared; }
    void be_as_nfs() {
        for (auto& disk : disks_) disk->lacks_rename_flags = disk->hides_what_is_open = true;
    }

    struct Ended {
        bool crashed = false;
        int code = 0;
        std::string text, said, last_change;
    };
    /// Runs `body` on all ranks as new processes; with `crash_at`, all are dead before that change.
    Ended run(const std::function<void(JobContext&)>& body, Overwrite overwrite,
              std::uint64_t crash_at = ~std::uint64_t{0}) {
        return run_ranks(0, ranks_, body, overwrite, crash_at);
    }
    /// On one host alone, of several with a rank each.
    Ended run_on(std::uint32_t host, const std::function<void(JobContext&)>& body, Overwrite overwrite) {
        return run_ranks(host, 1, body, overwrite, ~std::uint64_t{0});
    }
    std::uint64_t changes() const { return changes_; }
    /// Everything below a path of all hosts, with its bytes.
    std::map<std::string, std::vector<std::byte>> below(const std::string& path) const {
        std::map<std::string, std::vector<std::byte>> found;
        for (std::size_t host = 0; host < disks_.size(); ++host) {
            for (const auto& [name, content] : disks_[host]->files) {
                if (name.rfind(path, 0) == 0) found[std::to_string(host) + name] = content->bytes;
            }
        }
        return found;
    }
    /// On any host.
    bool is_there(const std::string& directory) const {
        return std::any_of(disks_.begin(), disks_.end(),
                           [&](const auto& disk) { return disk->has_directory(directory); });
    }
    std::vector<std::string> run_directories() const {
        std::vector<std::string> found;
        for (const auto& disk : disks_) {
            for (const std::string& path : disk->all_paths()) {
                for (std::size_t at = path.find('/'); at != std::string::npos; at = path.find('/', at + 1)) {
                    if (parse_run_directory(path.substr(at + 1, path.find('/', at + 1) - at - 1)))
                        found.push_back(path);
                }
            }
        }
        return found;
    }

private:
    Ended run_ranks(std::uint32_t first, std::uint32_t count, const std::function<void(JobContext&)>& body,
                    Overwrite overwrite, std::uint64_t crash_at) {
        changes_ = 0;
        crash_at_ = crash_at;
        first_pid_ += 100;
        Ended ended;
        {
            InProcessCluster cluster(executor_, count);
            std::vector<std::thread> threads;
            for (std::uint32_t rank = 0; rank < count; ++rank)
                threads.emplace_back([&, rank] { run_rank(cluster, first, rank, body, overwrite, ended); });
            for (std::thread& thread : threads) thread.join();
        }
        crash_at_ = ~std::uint64_t{0};
        ended.crashed = crash_at <= changes_;
        ended.last_change = last_change_;
        return ended;
    }
    std::string host_of(std::uint32_t rank) const {
        return disks_.size() == 1 ? "host" : "host" + std::to_string(rank);
    }
    void change(const char* what, const std::string& path) {
        const std::uint64_t now = changes_++;
        if (now >= crash_at_) throw Crash{};
        const std::lock_guard lock(mutex_);
        last_change_ = std::string(what) + " " + path;
    }
    Config make_config(Overwrite overwrite) const {
        Config config;
        config.disks = {{"/in", DiskRole::input},
                        {"/out1", DiskRole::intermediate},
                        {"/out1", DiskRole::output},
                        {"/out2", DiskRole::output, second_scope_}};
        config.memory.budget_bytes = 8 << 20;
        config.partitions.count = 4;
        config.io.read_size_bytes = config.io.write_size_bytes = config.io.chunk_size_bytes = 102'400;
        config.net.transport = "p2p";
        config.run.overwrite = overwrite;
        return config;
    }
    void run_rank(InProcessCluster& cluster, std::uint32_t first, std::uint32_t rank,
                  const std::function<void(JobContext&)>& body, Overwrite overwrite, Ended& ended) {
        MemoryDisk& disk = *disks_[disks_.size() == 1 ? 0 : first + rank];
        const auto io = make_memory_backend(executor_, disk, rank + 1, 0);
        const auto files = make_memory_file_system(disk);
        const Config config = make_config(overwrite);
        FakeProcesses processes(host_of(first + rank), first_pid_ + rank);
        Communicator& communicator = cluster.communicator(rank);
        try {
            JobContext job{
                .executor = executor_,
                .communicator = communicator,
                .doorbell = cluster.doorbell(rank),
                .io = *io,
                .files = *files,
                .processes = processes,
                .config = config,
                .place = find_place(communicator, host_of(first + rank)),
                .make_transport = [&](BufferPool& pool, std::uint64_t id,
                                      ReceiveWindow*) { return make_p2p_transport(cluster.wire(rank), pool, id); },
                .make_arena =
                    [](std::uint64_t bytes) {
                        return std::make_unique<Arena>(bytes, ArenaOptions{"off", nullptr, -1, 1});
                    },
                .bind = {},
                .backoff = IdleBackoff(IdleBackoff::Mode::adaptive),
                .say = [&](const std::string& line) { ended.said += rank == 0 ? line + "\n" : ""; }};
            body(job);
        } catch (const Crash&) {
            communicator.announce_failure({rank, 1, "crashed"});
        } catch (const Error& error) {
            const std::lock_guard lock(mutex_);
            if (ended.code == 0 || ended.text.find("aborted because") == 0) {
                ended.code = error.exit_code();
                ended.text = error.what();
            }
            communicator.announce_failure({rank, error.exit_code(), error.what()});
        }
    }

    ThreadExecutor executor_;
    std::uint32_t ranks_;
    std::vector<std::unique_ptr<MemoryDisk>> disks_;
    std::mutex mutex_;
    std::atomic<std::uint64_t> changes_{0}, crash_at_{~std::uint64_t{0}};
    std::string last_change_;
    std::uint64_t first_pid_ = 0;
    DiskScope second_scope_ = DiskScope::host;
};

constexpr std::uint64_t kRecords = 3000;

void generate(JobContext& job) {
    GenerateOptions options;
    options.keys = *KeyDistribution::parse("uniform");
    options.records = kRecords;
    GenerateResult made;
    run_generate(job, options, made);
}
void sort(JobContext& job) {
    PreparedSort prepared = prepare_sort(job, {.memory_available_bytes = std::uint64_t{1} << 40});
    run_sort(job, prepared, {});
}
void clean_dead_runs(JobContext& job) { remove_leftovers(job, leftovers_of("all", false)); }
void clean(JobContext& job) {
    CleanOptions options;
    options.confirm = [](const auto&) { return true; };
    run_clean(job, options);
}
void validate(JobContext& job) { run_validate(job, 1); }

struct Case {
    const char* name;
    std::uint32_t ranks;
    bool two_hosts, is_nfs, mixes_scopes = false;
};

class CrashSweep : public ::testing::TestWithParam<Case> {
protected:
    /// Up to where a sweep begins: data, and where it says so a sorted set.
    std::unique_ptr<World> world(bool with_input, bool with_output) {
        auto made = std::make_unique<World>(GetParam().ranks, GetParam().two_hosts);
        if (GetParam().is_nfs) made->be_as_nfs();
        if (GetParam().mixes_scopes) made->mix_scopes();
        if (with_input) {
            EXPECT_EQ(made->run(generate, Overwrite::no).code, 0);
        }
        if (with_output) {
            EXPECT_EQ(made->run(sort, Overwrite::no).code, 0);
        }
        return made;
    }
    /// After every crash of `verb` there is a way out by each of `ways_out`, after which the set is there and valid,
    /// and nothing of a run but data sets is left.
    void sweep(const std::function<void(JobContext&)>& verb, Overwrite overwrite, bool with_input, bool with_output,
               const std::vector<std::pair<std::function<void(JobContext&)>, Overwrite>>& way_out, const char* what) {
        std::uint64_t points = 0;
        const auto begin = world(with_input, with_output);
        for (std::uint64_t at = 0;; at += kEvery) {
            const auto here = std::make_unique<World>(*begin);
            const auto input = here->below("/in/input/data");
            const auto ended = here->run(verb, overwrite, at);
            if (!ended.crashed) {
                EXPECT_EQ(ended.code, 0) << what << ": " << ended.text;
                break;
            }
            ++points;
            const std::string where =
                std::string(what) + " stopped at change " + std::to_string(at) + ", after " + ended.last_change;
            if (with_input && verb.target<void (*)(JobContext&)>() != nullptr &&
                *verb.target<void (*)(JobContext&)>() != generate) {
                ASSERT_EQ(here->below("/in/input/data"), input) << where;
            }
            check_nothing_half_published(*here, where);
            for (const auto& [step, step_overwrite] : way_out) {
                const auto out = here->run(step, step_overwrite);
                ASSERT_EQ(out.code, 0) << where << ": " << out.text;
            }
            const auto valid = here->run(validate, Overwrite::no);
            ASSERT_EQ(valid.code, 0) << where << ": " << valid.text;
            ASSERT_EQ(here->run_directories(), std::vector<std::string>{}) << where;
        }
        EXPECT_GT(points * kEvery, 5u);
        RecordProperty(std::string(what) + "_points", static_cast<int>(points));
        total_points += points;
    }
    /// Either there is no valid set, or there is a whole one.
    static void check_nothing_half_published(World& here, const std::string& where) {
        const auto found = here.run(validate, Overwrite::no);
        if (found.code == 0) return;
        EXPECT_TRUE(found.code == 4 || found.code == 10) << where << ": " << found.code << " " << found.text;
    }
    std::uint64_t total_points = 0;
};

INSTANTIATE_TEST_SUITE_P(Clusters, CrashSweep,
                         ::testing::Values(Case{"OneRank", 1, false, false}, Case{"TwoRanks", 2, false, false},
                                           Case{"TwoHosts", 2, true, false}, Case{"OneRankOnNfs", 1, false, true},
                                           Case{"TwoHostsOnNfs", 2, true, true},
                                           Case{"TwoRanksMixedScopes", 2, false, false, true}),
                         [](const auto& which) { return which.param.name; });

TEST_P(CrashSweep, SortedAgainByOneCommand) {
    sweep(sort, Overwrite::no, true, false, {{clean_dead_runs, Overwrite::no}, {sort, Overwrite::yes}}, "sort");
    sweep(sort, Overwrite::no, true, false, {{sort, Overwrite::yes}}, "sort, then overwrite");
}
TEST_P(CrashSweep, SortedOverAnOldSetAgain) {
    sweep(sort, Overwrite::yes, true, true, {{clean_dead_runs, Overwrite::no}, {sort, Overwrite::yes}}, "overwrite");
    sweep(sort, Overwrite::first, true, true, {{clean_dead_runs, Overwrite::no}, {sort, Overwrite::first}}, "first");
    sweep(sort, Overwrite::yes, true, true, {{sort, Overwrite::first}}, "overwrite, then first");
}
TEST_P(CrashSweep, GeneratedAgain) {
    sweep(generate, Overwrite::no, false, false,
          {{clean_dead_runs, Overwrite::no}, {generate, Overwrite::yes}, {sort, Overwrite::no}}, "gen");
    sweep(generate, Overwrite::yes, true, false,
          {{clean_dead_runs, Overwrite::no}, {generate, Overwrite::yes}, {sort, Overwrite::no}}, "gen over old");
    sweep(generate, Overwrite::yes, true, false, {{generate, Overwrite::yes}, {sort, Overwrite::no}},
          "gen over old, then overwrite");
}
TEST_P(CrashSweep, CleanedAgain) {
    sweep(clean, Overwrite::no, true, true, {{clean_dead_runs, Overwrite::no}, {sort, Overwrite::yes}}, "clean");
}

TEST_P(CrashSweep, WhatIsRemovedLeavesNoDirectory) {
    const auto here = world(true, true);
    const std::vector<std::pair<std::function<void(JobContext&)>, Overwrite>> verbs = {
        {sort, Overwrite::yes}, {sort, Overwrite::first}, {clean, Overwrite::no}};
    for (const auto& [verb, overwrite] : verbs) {
        const auto ended = here->run(verb, overwrite);
        ASSERT_EQ(ended.code, 0) << ended.text;
        EXPECT_EQ(here->run_directories(), std::vector<std::string>{});
    }
    EXPECT_FALSE(here->is_there("/out1/sorted") || here->is_there("/out2/sorted"));
}

TEST_P(CrashSweep, OldSetIsThereUntilTheNewOneIsDurable) {
    const auto begin = world(true, true);
    for (std::uint64_t at = 0;; at += kEvery) {
        const auto here = std::make_unique<World>(*begin);
        const auto ended = here->run(sort, Overwrite::yes, at);
        if (!ended.crashed) break;
        const auto out = here->run(clean_dead_runs, Overwrite::no);
        ASSERT_EQ(out.code, 0) << out.text;
        // The old set or the new one, whole and under its name.
        const auto valid = here->run(validate, Overwrite::no);
        ASSERT_EQ(valid.code, 0) << "stopped at change " << at << " after " << ended.last_change << ": " << valid.text;
    }
}

/// What a host does alone must not depend on what it cannot see: whether the other one has the MANIFEST.
TEST_P(CrashSweep, OneOfTheHostsAloneTakesNothingFromASetThatIsPublished) {
    if (!GetParam().two_hosts) return;
    const auto claim = [](JobContext& job) {
        OutputSet(job, {DiskRole::output, "sorted", std::string(32, 'e'), "sort", {"part-#"}, {}}).claim();
    };
    std::uint64_t refused = 0, published = 0;
    for (const bool with_output : {false, true}) {
        const auto begin = world(true, with_output);
        for (std::uint64_t at = 0;; ++at) {
            const auto here = std::make_unique<World>(*begin);
            const auto ended = here->run(sort, Overwrite::yes, at);
            if (!ended.crashed) break;
            const std::string where = "stopped at change " + std::to_string(at) + " after " + ended.last_change + ": ";
            const bool was_valid = here->run(validate, Overwrite::no).code == 0;
            const auto alone = here->run_on(1, claim, Overwrite::no);
            ASSERT_TRUE(alone.code == 0 || alone.code == 2 || alone.code == 10) << where << alone.text;
            if (alone.text.find("its MANIFEST is on host host0") != std::string::npos) ++refused;
            const auto cleaned = here->run_on(1, clean_dead_runs, Overwrite::no);
            ASSERT_EQ(cleaned.code, 0) << where << cleaned.text;
            published += was_valid ? 1 : 0;
            ASSERT_TRUE(!was_valid || here->run(validate, Overwrite::no).code == 0) << where;
            ASSERT_EQ(here->run(clean_dead_runs, Overwrite::no).code, 0) << where;
            ASSERT_TRUE(!with_output || here->run(validate, Overwrite::no).code == 0) << where;
            const auto out = here->run(sort, Overwrite::yes);
            ASSERT_EQ(out.code, 0) << where << out.text;
            ASSERT_EQ(here->run_directories(), std::vector<std::string>{}) << where;
        }
    }
    EXPECT_GT(refused, 0u);
    EXPECT_GT(published, 0u);
}

TEST_P(CrashSweep, ANewRunTakesWhatADeadOneLeftUnderTheNameWithoutBeingAsked) {
    std::uint64_t taken = 0;
    const auto begin = world(true, false);
    for (std::uint64_t at = 0;; at += kEvery) {
        const auto here = std::make_unique<World>(*begin);
        const auto ended = here->run(sort, Overwrite::no, at);
        if (!ended.crashed) break;
        const auto again = here->run(sort, Overwrite::no);
        // Code 2 where the dead run had come as far as its MANIFEST: then there is a valid set.
        const std::string where = "stopped at change " + std::to_string(at) + " after " + ended.last_change + ": ";
        ASSERT_TRUE(again.code == 0 || again.code == 2) << where << again.text;
        if (again.said.find("which is dead, had left") != std::string::npos) ++taken;
        const auto valid = here->run(validate, Overwrite::no);
        ASSERT_EQ(valid.code, 0) << where << valid.text << "; " << again.text;
    }
    EXPECT_GT(taken, 0u);
}

}  // namespace
}  // namespace sluice::testing
