#pragma once
/// Which directory lies in which, links and bind mounts seen through.

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "plan/job_context.hpp"

namespace sluice {

/// Resolves each path once and looks once at each directory on the way up from it, for all questions together. What it
/// has seen it does not look at again: for a check, not for a run. Used by one thread.
class DirectoryTree {
public:
    /// A path with all the directories that it lies in, as numbers: equal ones are one directory, by device and inode,
    /// or by the real path of what is not there.
    struct Place {
        std::uint32_t number = 0;
        std::vector<std::uint32_t> way_up;  ///< itself and what is above it, ascending
        /// This is `directory` or lies below it.
        bool lies_in(const Place& directory) const;
    };

    /// @param job  outlives it
    explicit DirectoryTree(JobContext& job) : job_(job) {}
    DirectoryTree(const DirectoryTree&) = delete;
    /// Of an absolute path, which need not be there. The reference is good as long as the tree. Cost: the system calls
    /// of one real path, and one look at each directory above it that is new.
    const Place& place_of(const std::string& path);
    /// The same for a path without links in it.
    const Place& place_of_real(const std::string& real);

private:
    std::uint32_t number_of(const std::string& real);

    JobContext& job_;
    std::map<std::string, std::string> real_paths_;
    std::map<std::string, Place> places_;  // by real path
    std::map<std::pair<std::uint64_t, std::uint64_t>, std::uint32_t> numbers_;
    std::uint32_t count_ = 0;
};

}  // namespace sluice
