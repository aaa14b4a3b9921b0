#include "record/record_format.hpp"
#include "runtime/error.hpp"
#include "simulated/memory_backend.hpp"

namespace sluice {
namespace {

using Entry = MemoryDisk::Entry;

/// Rebuilds a disk from what had been synced, and from what went out by itself before the power did.
class Restorer {
public:
    Restorer(MemoryDisk& disk, Rng& rng) : disk_(disk), rng_(rng) {
        for (const auto& [path, inode] : disk.inodes) live_path_[inode] = path;
    }
    void restore(std::uint64_t inode, const std::string& path) {
        directories[path] = true;
        inodes[path] = inode;
        const auto live = live_path_.find(inode);
        const bool keeps_all = live != live_path_.end() && rng_.below(2) == 0;
        const auto synced = disk_.synced_names.find(inode);
        const auto names = keeps_all                            ? disk_.entries_of(live->second)
                           : synced != disk_.synced_names.end() ? synced->second
                                                                : std::map<std::string, Entry>{};
        for (const auto& [name, entry] : names) {
            const std::string below = path + "/" + name;
            if (entry.content == nullptr) {
                restore(entry.inode, below);
            } else {
                auto content = std::make_shared<MemoryDisk::Content>();
                content->bytes = rng_.below(2) == 0 ? entry.content->bytes : entry.content->synced;
                content->synced = content->bytes;
                content->modified_ns = entry.content->modified_ns;
                files[below] = std::move(content);
            }
        }
    }

    std::map<std::string, std::shared_ptr<MemoryDisk::Content>> files;
    std::map<std::string, bool> directories;
    std::map<std::string, std::uint64_t> inodes;

private:
    MemoryDisk& disk_;
    Rng& rng_;
    std::map<std::uint64_t, std::string> live_path_;
};

}  // namespace

std::map<std::string, Entry> MemoryDisk::entries_of(const std::string& directory) {
    std::map<std::string, Entry> entries;
    for (const std::string& name : names_in(directory)) {
        const std::string path = directory + "/" + name;
        const auto file = files.find(path);
        entries[name] = file != files.end() ? Entry{file->second, 0} : Entry{nullptr, inode_of_directory(path)};
    }
    return entries;
}

void MemoryDisk::sync_names(const std::string& directory) {
    if (loses_power) synced_names[inode_of_directory(directory)] = entries_of(directory);
}

void MemoryDisk::sync_bytes(Content& content) const {
    if (loses_power) content.synced = content.bytes;
}

void MemoryDisk::begin_losing_power() {
    loses_power = true;
    for (const auto& [path, content] : files) content->synced = content->bytes;
    std::map<std::string, bool> all;
    for (const std::string& path : all_paths()) {
        for (std::size_t at = path.find('/', 1); at != std::string::npos; at = path.find('/', at + 1))
            all[path.substr(0, at)] = true;
        if (!has_file(path)) all[path] = true;
    }
    for (const auto& [path, there] : all) sync_names(path);
}

void MemoryDisk::lose_power(Rng& rng, const std::vector<std::string>& roots) {
    SLUICE_CHECK(loses_power);
    Restorer restorer(*this, rng);
    for (const std::string& root : roots) restorer.restore(inode_of_directory(root), root);
    files = std::move(restorer.files);
    directories = std::move(restorer.directories);
    inodes = std::move(restorer.inodes);
}

}  // namespace sluice
