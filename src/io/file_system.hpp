#pragma once
/// Directories, small files and the publishing steps: what is no data stream, behind one seam.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "io/direct_io.hpp"
#include "io/directory.hpp"
#include "io/disk_room.hpp"
#include "io/file_identity.hpp"
#include "io/mounts.hpp"

namespace sluice {

/// What stands under a path, links followed, and what this user may do with it. Plain data from one look.
struct FileInfo : FileIdentity {
    std::uint32_t mode = 0;        ///< permission bits and sticky bit
    bool can_change_mode = false;  ///< this user may
    bool is_regular = false, is_directory = false, is_readable = false;
};

/// Thread-safe. Paths are absolute. Errors are Error(device) unless a method says otherwise.
class FileSystem {
public:
    virtual ~FileSystem() = default;
    /// For all that is done to directories of ours. The path may contain links. Throws Error(environment) where there
    /// is no directory.
    virtual std::unique_ptr<Directory> open_directory(const std::string& path) = 0;
    /// Makes `path` and what is missing above it, mode 0700 for what is new. Error(environment) where a file is in the
    /// way or the disk is not writable.
    virtual void make_directories(const std::string& path) = 0;
    virtual std::optional<FileInfo> info(const std::string& path) = 0;        ///< follows links; nullopt: leads nowhere
    virtual std::vector<std::string> list(const std::string& directory) = 0;  ///< names, sorted
    /// Paths, sorted; what is there under that very name, or has no wildcards, is its own match. Throws Error(input)
    /// naming a folder that cannot be read: it could hold matches.
    virtual std::vector<std::string> glob(const std::string& pattern) = 0;
    /// @param identity  of what `path` leads to
    virtual MountInfo mount_of(const std::string& path, const FileIdentity& identity) = 0;
    virtual void remove_file(const std::string& path) = 0;
    virtual void remove_empty_directory(const std::string& path) = 0;
    /// Error(config) when `to` exists: nothing is ever replaced.
    virtual void rename_no_replace(const std::string& from, const std::string& to) = 0;
    virtual void sync_directory(const std::string& path) = 0;
    /// Temporary name, write, fsync, rename over, fsync of the directory: after a crash the old or the new text is
    /// there.
    virtual void write_durably(const std::string& path, const std::string& text) = 0;
    /// The whole of a regular file. Error(input) when it is not there, not readable, larger than `most_bytes`, or a
    /// pipe, device or directory, for which it never waits.
    virtual std::string read_text(const std::string& path, std::uint64_t most_bytes) = 0;
    virtual std::uint64_t free_bytes(const std::string& directory) = 0;
    virtual bool is_writable(const std::string& directory) = 0;
    virtual std::string real_path(const std::string& path) = 0;
    /// Of what this user may still put there. Error(environment) where that cannot be asked.
    virtual DiskRoom room(const std::string& directory) = 0;
    /// A quota that room() does not show and that has not so many bytes left; "" = none is met.
    virtual std::string problem_of_hidden_quota(const std::string& directory, std::uint64_t bytes) = 0;
    /// Whether a file of so many bytes may be there, and if not, what forbids it; nothing is written.
    virtual std::string problem_of_size(const std::string& directory, std::uint64_t bytes) = 0;
    /// Whether files made in this directory, or the one file, by-pass the page cache.
    virtual DirectIoProof direct_io_in(const std::string& directory) = 0;
    virtual DirectIoProof direct_io_of(const std::string& file) = 0;
};

std::unique_ptr<FileSystem> make_real_file_system();

}  // namespace sluice
