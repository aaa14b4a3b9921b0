#pragma once
/// The logs of one rank: files in a directory of the run on each intermediate disk.

#include <memory>
#include <string>
#include <vector>

#include "io/extent_log.hpp"
#include "plan/role_disks.hpp"
#include "plan/run_directory.hpp"

namespace sluice {

/// One rank makes each directory for all who see it; the rest is this rank's. Used by the main thread.
class Logs {
public:
    /// Makes the directories that this rank looks after. Local.
    Logs(JobContext& job, const std::string& run_id, const std::string& verb);
    /// Creates and preallocates the logs of this rank; a call of all ranks must lie between the constructor and this.
    /// Local. Throws Error(space) where a disk has not enough.
    /// @param share_bytes  of this rank, padding included
    void create(std::uint64_t share_bytes);
    /// Whatever happens, this rank's logs go; the directories with the last of their logs.
    ~Logs();
    Logs(const Logs&) = delete;

    std::vector<IoFile*> files() const;
    std::vector<ExtentLog*> space() const;

private:
    void join_directories();
    void remove_own_files(RunDirectory& directory);

    JobContext& job_;
    std::string run_id_;
    RoleDisks disks_;
    std::vector<std::unique_ptr<RunDirectory>> directories_;  // by disk that this rank uses or looks after
    std::vector<RunDirectory*> used_;
    std::vector<std::string> names_;  // of this rank's files, by log
    std::vector<std::unique_ptr<IoFile>> files_;
    std::vector<std::unique_ptr<ExtentLog>> space_;
};

}  // namespace sluice
