#pragma once
/// Which files were sorted, by host: a verdict is about them and no others.

#include <cstdint>
#include <string>
#include <tuple>
#include <vector>

#include "net/communicator.hpp"

namespace sluice {

/// A file of the input, or, where there are too many to list, those of one folder.
struct ListedInput {
    std::string path;
    std::uint64_t files = 1, bytes = 0;
    static constexpr auto fields = std::tuple{&ListedInput::path, &ListedInput::files, &ListedInput::bytes};
};

/// What a host has of the input.
struct HostInput {
    std::string host;
    std::uint64_t files = 0, bytes = 0;
    std::vector<ListedInput> list;
    bool is_by_folder = false;  ///< what `list` has
    static constexpr auto fields =
        std::tuple{&HostInput::host, &HostInput::files, &HostInput::bytes, &HostInput::list, &HostInput::is_by_folder};
};

/// Beyond so many files over all hosts they are listed by folder.
inline constexpr std::uint64_t kMostListedFiles = 10'000;

/// Adds a file; by folder once there are too many.
void add_file(HostInput& host, const std::string& path, std::uint64_t bytes);
/// The hosts of all ranks, each once.
std::vector<HostInput> merge_hosts(std::vector<HostInput> by_rank);

/// A line a host, the first few; for people.
std::string input_lines(const std::vector<HostInput>& hosts);
/// {"files": N, "hosts": [{"host": ..., "files": ..., "bytes": ..., "list": [...]}]}
std::string input_json(const std::vector<HostInput>& hosts);
std::uint64_t count_files(const std::vector<HostInput>& hosts);

}  // namespace sluice
