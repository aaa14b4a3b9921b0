#pragma once
/// The real file system as another host may see it: other device numbers, mounts and directories. One rank's, which
/// counts what it is asked.

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "io/file_system.hpp"

namespace sluice::testing {

class FileView final : public FileSystem {
public:
    std::function<MountInfo(const std::string& path)> mount;                        ///< empty: as it is
    std::function<void(const std::string& path, FileInfo& info)> change = nullptr;  ///< of what info() says
    /// What was asked, by path; info() and real_path() count as looks.
    std::map<std::string, std::uint64_t> looks, proofs;
    std::uint64_t looks_in_all() const {
        std::uint64_t all = 0;
        for (const auto& [path, count] : looks) all += count;
        return all;
    }

    std::unique_ptr<Directory> open_directory(const std::string& path) override { return real_->open_directory(path); }
    void make_directories(const std::string& path) override { real_->make_directories(path); }
    std::optional<FileInfo> info(const std::string& path) override {
        ++looks[path];
        auto found = real_->info(path);
        if (found && change) change(path, *found);
        return found;
    }
    std::vector<std::string> list(const std::string& directory) override { return real_->list(directory); }
    std::vector<std::string> glob(const std::string& pattern) override { return real_->glob(pattern); }
    MountInfo mount_of(const std::string& path, const FileIdentity& identity) override {
        return mount ? mount(path) : real_->mount_of(path, identity);
    }
    void remove_file(const std::string& path) override { real_->remove_file(path); }
    void remove_empty_directory(const std::string& path) override { real_->remove_empty_directory(path); }
    void rename_no_replace(const std::string& from, const std::string& to) override {
        real_->rename_no_replace(from, to);
    }
    void sync_directory(const std::string& path) override { real_->sync_directory(path); }
    void write_durably(const std::string& path, const std::string& text) override { real_->write_durably(path, text); }
    std::string read_text(const std::string& path, std::uint64_t most_bytes) override {
        return real_->read_text(path, most_bytes);
    }
    std::uint64_t free_bytes(const std::string& directory) override { return real_->free_bytes(directory); }
    bool is_writable(const std::string& directory) override { return real_->is_writable(directory); }
    std::string real_path(const std::string& path) override {
        ++looks[path];
        return real_->real_path(path);
    }
    DiskRoom room(const std::string& directory) override { return real_->room(directory); }
    std::string problem_of_hidden_quota(const std::string& directory, std::uint64_t bytes) override {
        return real_->problem_of_hidden_quota(directory, bytes);
    }
    std::string problem_of_size(const std::string& directory, std::uint64_t bytes) override {
        return real_->problem_of_size(directory, bytes);
    }
    DirectIoProof direct_io_in(const std::string& directory) override {
        ++proofs[directory];
        return real_->direct_io_in(directory);
    }
    DirectIoProof direct_io_of(const std::string& file) override {
        ++proofs[file];
        return real_->direct_io_of(file);
    }

private:
    std::unique_ptr<FileSystem> real_ = make_real_file_system();
};

}  // namespace sluice::testing
