#pragma once
/// Verbs of the program on simulated hosts, whose processes end before any change of a disk, and whose power fails.

#include <algorithm>
#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "jobs/clean_job.hpp"
#include "jobs/data_jobs.hpp"
#include "jobs/simulated_cluster.hpp"
#include "jobs/sort_job.hpp"
#include "plan/found_set.hpp"
#include "plan/leftovers.hpp"
#include "simulated/memory_backend.hpp"

namespace sluice::testing {

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
    /// What is there now is on stable storage; from now on what is not synced may be lost.
    void begin_losing_power() {
        for (auto& disk : disks_) disk->begin_losing_power();
    }
    /// All hosts at once, with nobody running.
    void lose_power(std::uint64_t seed) {
        Rng rng(seed);
        for (auto& disk : disks_) disk->lose_power(rng, {"/in", "/out1", "/out2"});
    }
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
        config.net.transport = TransportKind::p2p;
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
                        return std::make_unique<Arena>(bytes, ArenaOptions{HugePages::off, nullptr, -1, 1});
                    },
                .bind = {},
                .backoff = IdleBackoff(Polling::adaptive),
                .say =
                    [&](const std::string& line) {
                        if (rank == 0) ended.said += line + "\n";
                    }};
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

inline constexpr std::uint64_t kRecords = 3000;

inline void generate(JobContext& job) {
    GenerateOptions options;
    options.keys = *KeyDistribution::parse("uniform");
    options.records = kRecords;
    GenerateResult made;
    run_generate(job, options, made);
}
inline void sort(JobContext& job) {
    PreparedSort prepared = prepare_sort(job, {.memory_available_bytes = std::uint64_t{1} << 40});
    run_sort(job, prepared, {});
}
inline void clean_dead_runs(JobContext& job) { remove_leftovers(job, leftovers_of("all", false)); }
inline void clean(JobContext& job) {
    CleanOptions options;
    options.confirm = [](const auto&) { return true; };
    run_clean(job, options);
}
inline void validate(JobContext& job) { run_validate(job, 1); }

}  // namespace sluice::testing
