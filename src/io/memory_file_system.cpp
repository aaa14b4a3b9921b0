#include <fnmatch.h>

#include <algorithm>
#include <cerrno>
#include <functional>
#include <utility>

#include "io/memory_backend.hpp"
#include "record/record_format.hpp"
#include "runtime/error.hpp"

namespace sluice {
namespace {

std::string parent_of(const std::string& path) { return path.substr(0, path.rfind('/')); }

bool is_below(const std::string& path, const std::string& directory) { return path.rfind(directory + "/", 0) == 0; }

/// `name`, and what lies below it, moves to `to`.
template <typename Value>
void move_names(std::map<std::string, Value>& names, const std::string& from, const std::string& to) {
    std::map<std::string, Value> moved;
    for (auto& [path, value] : names) {
        const bool moves = path == from || is_below(path, from);
        moved[moves ? to + path.substr(from.size()) : path] = std::move(value);
    }
    names = std::move(moved);
}

class MemoryFileSystem final : public FileSystem {
public:
    explicit MemoryFileSystem(MemoryDisk& disk) : disk_(disk) {}
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
        if (const auto file = disk_.files.find(path); file != disk_.files.end()) {
            info.size_bytes = file->second->bytes.size();
            info.inode = reinterpret_cast<std::uintptr_t>(file->second.get());
            info.modified_ns = file->second->modified_ns;
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
        std::vector<std::string> names;
        for (const std::string& path : all_paths()) {
            if (!is_below(path, directory)) continue;
            const std::string rest = path.substr(directory.size() + 1);
            names.push_back(rest.substr(0, rest.find('/')));
        }
        std::sort(names.begin(), names.end());
        names.erase(std::unique(names.begin(), names.end()), names.end());
        return names;
    }
    std::vector<std::string> glob(const std::string& pattern) override {
        Lock lock(disk_.mutex);
        std::vector<std::string> paths;
        for (const std::string& path : all_paths()) {
            if (::fnmatch(pattern.c_str(), path.c_str(), FNM_PATHNAME | FNM_PERIOD) == 0) paths.push_back(path);
        }
        if (paths.empty() && pattern.find_first_of("*?[") == std::string::npos) paths.push_back(pattern);
        std::sort(paths.begin(), paths.end());
        return paths;
    }
    void remove_file(const std::string& path) override {
        Lock lock(disk_.mutex);
        if (disk_.files.erase(path) == 0) throw Error::from_errno(ENOENT, "unlink", path);
    }
    void remove_empty_directory(const std::string& path) override {
        Lock lock(disk_.mutex);
        if (!disk_.has_directory(path)) throw Error::from_errno(ENOENT, "rmdir", path);
        for (const std::string& other : all_paths()) {
            if (is_below(other, path)) throw Error::from_errno(ENOTEMPTY, "rmdir", path);
        }
        disk_.directories.erase(path);
    }
    void rename_no_replace(const std::string& from, const std::string& to) override {
        Lock lock(disk_.mutex);
        if (!disk_.has_file(from) && !disk_.has_directory(from))
            throw Error::from_errno(ENOENT, "rename", from + "' to '" + to);
        if (disk_.has_file(to) || disk_.has_directory(to))
            throw Error(Errc::config, "rename '" + from + "' to '" + to + "': that name exists");
        if (!disk_.has_directory(parent_of(to))) throw Error::from_errno(ENOENT, "rename", from + "' to '" + to);
        move_names(disk_.files, from, to);
        move_names(disk_.directories, from, to);
    }
    void sync_directory(const std::string& path) override {
        Lock lock(disk_.mutex);
        if (!disk_.has_directory(path)) throw Error::from_errno(ENOENT, "open", path);
    }
    void write_durably(const std::string& path, const std::string& text) override {
        Lock lock(disk_.mutex);
        if (!disk_.has_directory(parent_of(path))) throw Error::from_errno(ENOENT, "open", path);
        auto content = std::make_shared<MemoryDisk::Content>();
        disk_.grow(*content, path, text.size());
        std::transform(text.begin(), text.end(), content->bytes.begin(), [](char c) { return std::byte(c); });
        disk_.touch(*content);
        disk_.files[path] = std::move(content);
    }
    std::string read_text(const std::string& path) override {
        Lock lock(disk_.mutex);
        const auto found = disk_.files.find(path);
        if (found == disk_.files.end()) throw Error::from_errno(ENOENT, "open", path, Errc::input);
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
    std::uint32_t direct_io_alignment(const std::string&) override { return kDirectIoAlign; }

private:
    std::vector<std::string> all_paths() const {
        std::vector<std::string> paths;
        for (const auto& [path, content] : disk_.files) paths.push_back(path);
        for (const auto& [path, made] : disk_.directories) paths.push_back(path);
        return paths;
    }
    MemoryDisk& disk_;
};

}  // namespace

bool MemoryDisk::has_directory(const std::string& path) const {
    if (path.empty() || path == "/" || directories.count(path) != 0) return true;
    const auto is_here = [&](const auto& names) {
        const auto next = names.lower_bound(path + "/");
        return next != names.end() && is_below(next->first, path);
    };
    return is_here(files) || is_here(directories);
}

std::unique_ptr<FileSystem> make_memory_file_system(MemoryDisk& disk) {
    return std::make_unique<MemoryFileSystem>(disk);
}

}  // namespace sluice
