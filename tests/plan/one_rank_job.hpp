#pragma once
/// A job of one rank on a real directory, for tests of what jobs do to files.

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "plan/cluster.hpp"
#include "plan/job_context.hpp"
#include "runtime/error.hpp"
#include "runtime/fake_processes.hpp"
#include "simulated/in_process.hpp"

namespace sluice::testing {

class OneRankJob {
public:
    OneRankJob() {
        char name[] = "/var/tmp/sluice-test.XXXXXX";
        if (::mkdtemp(name) == nullptr) throw std::bad_alloc();
        disk = name;
        config.disks = {{disk, DiskRole::input}, {disk, DiskRole::intermediate}, {disk, DiskRole::output}};
        config.results.dir = disk + "/results";
    }
    ~OneRankJob() {
        std::error_code ignored;
        std::filesystem::remove_all(disk, ignored);
    }
    OneRankJob(const OneRankJob&) = delete;

    JobContext job() { return job_on(cluster, 0); }
    /// One of several ranks on this host; collective.
    JobContext job_on(InProcessCluster& ranks, std::uint32_t rank) {
        return {.executor = executor,
                .communicator = ranks.communicator(rank),
                .doorbell = ranks.doorbell(rank),
                .io = *io,
                .files = *files,
                .processes = processes,
                .config = config,
                .place = find_place(ranks.communicator(rank), processes.mine().host),
                .make_transport = {},
                .make_arena =
                    [](std::uint64_t bytes) {
                        return std::make_unique<Arena>(bytes, ArenaOptions{HugePages::off, nullptr, -1, 1, false});
                    },
                .bind = {},
                .backoff = IdleBackoff(Polling::adaptive),
                .say = [this](const std::string& line) { said += line + "\n"; }};
    }
    std::string path(const std::string& name) const { return disk + "/" + name; }
    void put(const std::string& name, const std::string& text = "1234567890") const {
        std::filesystem::create_directories(std::filesystem::path(path(name)).parent_path());
        std::ofstream(path(name)) << text;
    }
    bool there(const std::string& name) const {
        std::error_code ignored;
        return std::filesystem::symlink_status(path(name), ignored).type() != std::filesystem::file_type::not_found;
    }
    std::vector<std::string> names(const std::string& directory = "") {
        return files->list(directory.empty() ? disk : path(directory));
    }

    std::string disk, said;
    Config config;
    FakeProcesses processes{"here", 1};
    ThreadExecutor executor;
    InProcessCluster cluster{executor, 1};
    std::unique_ptr<IoBackend> io = make_sync_backend(DirectIo::off);
    std::unique_ptr<FileSystem> files = make_real_file_system();
};

/// Code and text of the Error that `action` throws; code 0 when it throws none.
struct Refusal {
    int code = 0;
    std::string text;
    bool mentions(const std::string& part) const { return text.find(part) != std::string::npos; }
};
template <typename Action>
Refusal refusal_of(Action&& action) {
    try {
        action();
    } catch (const Error& error) {
        return {error.exit_code(), error.what()};
    }
    return {};
}

}  // namespace sluice::testing
