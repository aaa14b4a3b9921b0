#include <algorithm>
#include <cerrno>
#include <utility>

#include "runtime/error.hpp"
#include "simulated/memory_backend.hpp"

namespace sluice {
namespace {

using Content = MemoryDisk::Content;

bool is_below(const std::string& path, const std::string& directory) { return path.rfind(directory + "/", 0) == 0; }

template <typename Value>
void move_names(std::map<std::string, Value>& names, const std::string& from, const std::string& to) {
    std::map<std::string, Value> moved;
    for (auto& [path, value] : names) {
        const bool moves = path == from || is_below(path, from);
        moved[moves ? to + path.substr(from.size()) : path] = std::move(value);
    }
    names = std::move(moved);
}

EntryInfo entry_of(const std::shared_ptr<Content>& content) {
    EntryInfo entry;
    entry.kind = EntryInfo::Kind::file;
    entry.size_bytes = content->bytes.size();
    entry.device = 1;
    entry.inode = reinterpret_cast<std::uintptr_t>(content.get());
    entry.mode = 0600;
    return entry;
}

std::string text_of(const Content& content) {
    return {reinterpret_cast<const char*>(content.bytes.data()), content.bytes.size()};
}

class MemoryFileLock final : public FileLock {
public:
    MemoryFileLock(MemoryDisk& disk, std::shared_ptr<Content> content, LockMode mode)
        : disk_(disk), content_(std::move(content)), mode_(mode) {}
    ~MemoryFileLock() override {
        Lock lock(disk_.mutex);
        if (mode_ == LockMode::shared) {
            --content_->shared_locks;
        } else {
            content_->exclusive_lock = false;
        }
        if (!content_->is_unlinked || content_->shared_locks > 0 || content_->exclusive_lock) return;
        std::erase_if(disk_.files, [this](const auto& file) { return file.second == content_; });
    }
    std::string read(std::size_t most_bytes) override {
        Lock lock(disk_.mutex);
        return text_of(*content_).substr(0, most_bytes);
    }
    void write_at(std::uint64_t offset, std::string_view bytes) override {
        Lock lock(disk_.mutex);
        SLUICE_CHECK(offset + bytes.size() <= content_->bytes.size());
        disk_.about_to("write in place", "");
        std::transform(bytes.begin(), bytes.end(), content_->bytes.begin() + static_cast<std::ptrdiff_t>(offset),
                       [](char c) { return std::byte(c); });
        disk_.touch(*content_);
    }
    EntryInfo info() override {
        Lock lock(disk_.mutex);
        return entry_of(content_);
    }

private:
    MemoryDisk& disk_;
    std::shared_ptr<Content> content_;
    LockMode mode_;
};

class MemoryNewFile final : public NewFile {
public:
    MemoryNewFile(MemoryDisk& disk, std::shared_ptr<Content> content) : disk_(disk), content_(std::move(content)) {}
    ~MemoryNewFile() override {
        Lock lock(disk_.mutex);
        if (has_its_name_) return;
        try {
            disk_.about_to("unlink", "");
        } catch (const std::exception&) {
            return;  // whose process is gone removes nothing
        }
        std::erase_if(disk_.files, [this](const auto& file) { return file.second == content_; });
    }
    void append(std::string_view text) override {
        Lock lock(disk_.mutex);
        disk_.about_to("append", "");
        const std::size_t size = content_->bytes.size();
        disk_.grow(*content_, "", size + text.size());
        std::transform(text.begin(), text.end(), content_->bytes.begin() + static_cast<std::ptrdiff_t>(size),
                       [](char c) { return std::byte(c); });
        disk_.touch(*content_);
    }
    void sync() override {
        Lock lock(disk_.mutex);
        disk_.sync_bytes(*content_);
    }
    const std::shared_ptr<Content>& content() const noexcept { return content_; }
    void has_its_name() noexcept { has_its_name_ = true; }

private:
    MemoryDisk& disk_;
    std::shared_ptr<Content> content_;
    bool has_its_name_ = false;
};

class MemoryDirectory final : public Directory {
public:
    MemoryDirectory(MemoryDisk& disk, std::string path) : disk_(disk), path_(std::move(path)) {}
    const std::string& path() const noexcept override { return path_; }
    EntryInfo info() override {
        Lock lock(disk_.mutex);
        return directory_entry(path_);
    }
    std::optional<EntryInfo> look(const std::string& name) override {
        Lock lock(disk_.mutex);
        const auto file = disk_.files.find(at(name));
        if (file != disk_.files.end()) return entry_of(file->second);
        if (disk_.has_directory(at(name))) return directory_entry(at(name));
        return std::nullopt;
    }
    std::vector<std::string> names() override {
        Lock lock(disk_.mutex);
        if (!disk_.has_directory(path_)) throw Error::from_errno(ENOENT, "list", path_);
        return disk_.names_in(path_);
    }
    std::uint32_t owner_of_new_files() override { return 0; }
    std::unique_ptr<Directory> open(const std::string& name) override {
        Lock lock(disk_.mutex);
        if (!disk_.has_directory(at(name))) return nullptr;
        return std::make_unique<MemoryDirectory>(disk_, at(name));
    }
    bool make(const std::string& name) override {
        Lock lock(disk_.mutex);
        if (disk_.has_file(at(name)) || disk_.has_directory(at(name))) return false;
        if (!disk_.has_directory(path_)) throw Error::from_errno(ENOENT, "mkdir", at(name));
        disk_.about_to("mkdir", at(name));
        disk_.directories[at(name)] = true;
        return true;
    }
    void remove_file(const std::string& name) override {
        Lock lock(disk_.mutex);
        if (disk_.has_directory(at(name))) throw Error::from_errno(EISDIR, "unlink", at(name));
        if (!disk_.has_file(at(name))) return;
        disk_.about_to("unlink", at(name));
        const std::shared_ptr<Content> content = disk_.files.at(at(name));
        disk_.files.erase(at(name));
        if (!disk_.hides_what_is_open || (content->shared_locks == 0 && !content->exclusive_lock)) return;
        content->is_unlinked = true;
        disk_.files[at(".nfs" + std::to_string(entry_of(content).inode))] = content;
    }
    void remove_directory(const std::string& name) override {
        Lock lock(disk_.mutex);
        if (!disk_.has_directory(at(name))) return;
        disk_.about_to("rmdir", at(name));
        disk_.remove_directory(at(name));
    }
    Renamed rename_no_replace(const std::string& from, const std::string& to) override {
        Lock lock(disk_.mutex);
        require(from);
        if (disk_.lacks_rename_flags) return Renamed::unsupported;
        if (disk_.has_file(at(to)) || disk_.has_directory(at(to))) return Renamed::exists;
        disk_.about_to("rename", at(from));
        disk_.move(at(from), at(to));
        return Renamed::done;
    }
    Renamed exchange(const std::string& one, const std::string& other) override {
        Lock lock(disk_.mutex);
        require(one);
        require(other);
        if (disk_.lacks_rename_flags) return Renamed::unsupported;
        disk_.about_to("exchange", at(one));
        disk_.move(at(one), at(one) + ".exchange");
        disk_.move(at(other), at(one));
        disk_.move(at(one) + ".exchange", at(other));
        return Renamed::done;
    }
    std::string why_not_renamable(const std::string&, const std::string&) override { return ""; }
    void rename_over(const std::string& from, const std::string& to) override {
        Lock lock(disk_.mutex);
        require(from);
        disk_.about_to("rename over", at(from));
        if (disk_.has_directory(at(to))) disk_.remove_directory(at(to));
        disk_.files.erase(at(to));
        disk_.move(at(from), at(to));
    }
    void sync() override {
        Lock lock(disk_.mutex);
        if (!disk_.has_directory(path_)) throw Error::from_errno(ENOENT, "fsync", path_);
        disk_.sync_names(path_);
    }
    void write_durably(const std::string& name, std::string_view text) override {
        Lock lock(disk_.mutex);
        if (!disk_.has_directory(path_)) throw Error::from_errno(ENOENT, "create", at(name));
        disk_.about_to("write durably", at(name));
        disk_.put(at(name), text);
        disk_.sync_bytes(*disk_.files.at(at(name)));
        disk_.sync_names(path_);
    }
    std::unique_ptr<NewFile> begin_file(const std::string& name) override {
        Lock lock(disk_.mutex);
        if (!disk_.has_directory(path_)) throw Error::from_errno(ENOENT, "create", at(name));
        disk_.about_to("create", temporary_of(name));
        disk_.put(temporary_of(name), "");
        return std::make_unique<MemoryNewFile>(disk_, disk_.files.at(temporary_of(name)));
    }
    void give_name(NewFile& file, const std::string& name) override {
        Lock lock(disk_.mutex);
        auto& ours = static_cast<MemoryNewFile&>(file);
        const auto found = disk_.files.find(temporary_of(name));
        if (found == disk_.files.end() || found->second != ours.content())
            throw Error::from_errno(ENOENT, "rename", temporary_of(name));
        disk_.about_to("rename over", at(name));
        disk_.files[at(name)] = ours.content();
        disk_.files.erase(temporary_of(name));
        ours.has_its_name();
        disk_.sync_names(path_);
    }
    LockAttempt write_locked(const std::string& name, std::string_view text, LockMode mode) override {
        write_durably(name, text);
        return this->lock(name, mode);
    }
    std::string read_text(const std::string& name, std::uint64_t most_bytes) override {
        Lock lock(disk_.mutex);
        const auto found = disk_.files.find(at(name));
        if (found == disk_.files.end()) throw Error::from_errno(ENOENT, "open", at(name), Errc::input);
        if (found->second->bytes.size() > most_bytes)
            throw TooLargeError(Errc::input, "read '" + at(name) + "': is larger than such a file can be");
        return text_of(*found->second);
    }
    LockAttempt lock(const std::string& name, LockMode mode) override {
        Lock lock(disk_.mutex);
        const auto found = disk_.files.find(at(name));
        if (found == disk_.files.end()) return {LockAttempt::Outcome::absent, nullptr, ""};
        Content& content = *found->second;
        if (content.exclusive_lock || (mode == LockMode::exclusive && content.shared_locks > 0))
            return {LockAttempt::Outcome::held, nullptr, ""};
        if (mode == LockMode::shared) {
            ++content.shared_locks;
        } else {
            content.exclusive_lock = true;
        }
        return {LockAttempt::Outcome::taken, std::make_unique<MemoryFileLock>(disk_, found->second, mode), ""};
    }

private:
    std::string at(const std::string& name) const {
        SLUICE_CHECK(!name.empty() && name != "." && name != ".." && name.find('/') == std::string::npos);
        return path_ + "/" + name;
    }
    std::string temporary_of(const std::string& name) const { return at(name) + ".tmp-1"; }
    void require(const std::string& name) const {
        if (!disk_.has_file(at(name)) && !disk_.has_directory(at(name)))
            throw Error::from_errno(ENOENT, "rename", at(name));
    }
    EntryInfo directory_entry(const std::string& path) const {
        EntryInfo entry;
        entry.kind = EntryInfo::Kind::directory;
        entry.device = 1;
        entry.inode = disk_.inode_of_directory(path);
        entry.mode = 0700;
        return entry;
    }
    MemoryDisk& disk_;
    std::string path_;
};

}  // namespace

void MemoryDisk::put(const std::string& path, std::string_view text) {
    auto content = std::make_shared<Content>();
    grow(*content, path, text.size());
    std::transform(text.begin(), text.end(), content->bytes.begin(), [](char c) { return std::byte(c); });
    touch(*content);
    files[path] = std::move(content);
}

std::vector<std::string> MemoryDisk::all_paths() const {
    std::vector<std::string> paths;
    for (const auto& [path, content] : files) paths.push_back(path);
    for (const auto& [path, made] : directories) paths.push_back(path);
    return paths;
}

std::vector<std::string> MemoryDisk::names_in(const std::string& directory) const {
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

void MemoryDisk::move(const std::string& from, const std::string& to) {
    move_names(files, from, to);
    move_names(directories, from, to);
    move_names(inodes, from, to);
}

void MemoryDisk::remove_directory(const std::string& path) {
    if (!has_directory(path)) throw Error::from_errno(ENOENT, "rmdir", path);
    if (!names_in(path).empty()) throw Error::from_errno(ENOTEMPTY, "rmdir", path);
    directories.erase(path);
    inodes.erase(path);
}

std::uint64_t MemoryDisk::inode_of_directory(const std::string& path) {
    const auto [found, fresh] = inodes.emplace(path, next_inode);
    if (fresh) ++next_inode;
    return found->second;
}

bool MemoryDisk::has_directory(const std::string& path) const {
    if (path.empty() || path == "/" || directories.count(path) != 0) return true;
    const auto is_here = [&](const auto& names) {
        const auto next = names.lower_bound(path + "/");
        return next != names.end() && is_below(next->first, path);
    };
    return is_here(files) || is_here(directories);
}

std::unique_ptr<Directory> open_memory_directory(MemoryDisk& disk, const std::string& path) {
    return std::make_unique<MemoryDirectory>(disk, path);
}

}  // namespace sluice
