#include <fnmatch.h>

#include <algorithm>
#include <cerrno>
#include <functional>

#include "record/record_format.hpp"
#include "runtime/error.hpp"
#include "simulated/memory_backend.hpp"

namespace sluice {
namespace {

std::string parent_of(const std::string& path) { return path.substr(0, path.rfind('/')); }

class MemoryFileSystem final : public FileSystem {
public:
    explicit MemoryFileSystem(MemoryDisk& disk) : disk_(disk) {}
    std::unique_ptr<Directory> open_directory(const std::string& path) override {
        {
            Lock lock(disk_.mutex);
            if (!disk_.has_directory(path)) throw Error::from_errno(ENOENT, "open", path, Errc::environment);
        }
        return open_memory_directory(disk_, path);
    }
    void make_directories(const std::string& path) override {
        Lock lock(disk_.mutex);
        for (std::string each = path; !each.empty(); each = parent_of(each)) {
            if (disk_.has_file(each)) throw Error::from_errno(ENOTDIR, "mkdir", each, Errc::environment);
            disk_.directories[each] = true;
        }
    }
    std::optional<FileInfo> info(const std::string& path) override {
        Lock lock(disk_.mutex);
        FileInfo info;
        info.device = 1;
        info.is_readable = true;
        info.mode = 0700;
        if (const auto file = disk_.files.find(path); file != disk_.files.end()) {
            static_cast<FileIdentity&>(info) = disk_.identity_of(file->second);
            info.is_regular = true;
            return info;
        }
        info.is_directory = disk_.has_directory(path);
        info.inode = std::hash<std::string>{}(path);  // one path, one directory: there are no links here
        return info.is_directory ? std::optional(info) : std::nullopt;
    }
    std::vector<std::string> list(const std::string& directory) override {
        Lock lock(disk_.mutex);
        if (!disk_.has_directory(directory)) throw Error::from_errno(ENOENT, "list", directory);
        return disk_.names_in(directory);
    }
    std::vector<std::string> glob(const std::string& pattern) override {
        Lock lock(disk_.mutex);
        std::vector<std::string> paths;
        for (const std::string& path : disk_.all_paths()) {
            if (::fnmatch(pattern.c_str(), path.c_str(), FNM_PATHNAME | FNM_PERIOD) == 0) paths.push_back(path);
        }
        if (paths.empty() && pattern.find_first_of("*?[") == std::string::npos) paths.push_back(pattern);
        std::sort(paths.begin(), paths.end());
        return paths;
    }
    MountInfo mount_of(const std::string&, const FileIdentity&) override { return {"memory", "memory", false}; }
    void remove_file(const std::string& path) override {
        Lock lock(disk_.mutex);
        if (disk_.files.erase(path) == 0) throw Error::from_errno(ENOENT, "unlink", path);
    }
    void remove_empty_directory(const std::string& path) override {
        Lock lock(disk_.mutex);
        disk_.remove_directory(path);
    }
    void rename_no_replace(const std::string& from, const std::string& to) override {
        Lock lock(disk_.mutex);
        if (!disk_.has_file(from) && !disk_.has_directory(from))
            throw Error::from_errno(ENOENT, "rename", from + "' to '" + to);
        if (disk_.has_file(to) || disk_.has_directory(to))
            throw Error(Errc::config, "rename '" + from + "' to '" + to + "': that name exists");
        if (!disk_.has_directory(parent_of(to))) throw Error::from_errno(ENOENT, "rename", from + "' to '" + to);
        disk_.move(from, to);
    }
    void sync_directory(const std::string& path) override {
        Lock lock(disk_.mutex);
        if (!disk_.has_directory(path)) throw Error::from_errno(ENOENT, "open", path);
        disk_.sync_names(path);
    }
    void write_durably(const std::string& path, const std::string& text) override {
        Lock lock(disk_.mutex);
        if (!disk_.has_directory(parent_of(path))) throw Error::from_errno(ENOENT, "open", path);
        disk_.put(path, text);
        disk_.sync_bytes(*disk_.files.at(path));
        disk_.sync_names(parent_of(path));
    }
    std::string read_text(const std::string& path, std::uint64_t most_bytes) override {
        Lock lock(disk_.mutex);
        const auto found = disk_.files.find(path);
        if (found == disk_.files.end()) throw Error::from_errno(ENOENT, "open", path, Errc::input);
        if (found->second->bytes.size() > most_bytes) throw Error(Errc::input, "read '" + path + "': is too large");
        return {reinterpret_cast<const char*>(found->second->bytes.data()), found->second->bytes.size()};
    }
    std::uint64_t free_bytes(const std::string&) override {
        Lock lock(disk_.mutex);
        return disk_.free_bytes();
    }
    bool is_writable(const std::string& directory) override {
        Lock lock(disk_.mutex);
        return disk_.has_directory(directory);
    }
    std::string real_path(const std::string& path) override { return path; }
    DiskRoom room(const std::string&) override {
        Lock lock(disk_.mutex);
        DiskRoom room = disk_.room;
        room.free_bytes = disk_.free_bytes();
        return room;
    }
    std::string problem_of_hidden_quota(const std::string&, std::uint64_t) override { return ""; }
    std::string problem_of_size(const std::string&, std::uint64_t) override { return ""; }
    DirectIoProof direct_io_in(const std::string&) override { return {kDirectIoAlign, ""}; }
    DirectIoProof direct_io_of(const std::string&) override { return {kDirectIoAlign, ""}; }

private:
    MemoryDisk& disk_;
};

}  // namespace

std::unique_ptr<FileSystem> make_memory_file_system(MemoryDisk& disk) {
    return std::make_unique<MemoryFileSystem>(disk);
}

}  // namespace sluice
