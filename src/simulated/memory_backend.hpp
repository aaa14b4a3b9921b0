#pragma once
/// Disks in memory, for tests and the simulated cluster: same rules as direct I/O, completions late and out of order.

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "io/file_system.hpp"
#include "io/io_backend.hpp"
#include "runtime/rng.hpp"

namespace sluice {

/// The files of one simulated host. Shared by its back end and its file system; thread-safe by `mutex`, which the
/// methods below expect to be held.
struct MemoryDisk {
    struct Content {
        std::vector<std::byte> bytes;
        std::vector<std::byte> synced;  ///< the bytes as of the last sync, where power may be lost
        std::int64_t modified_ns = 0;   ///< no time, but a number that grows with each change on the disk
        unsigned shared_locks = 0;
        bool exclusive_lock = false;
        bool is_unlinked = false;  ///< and there under another name until nobody holds it (hides_what_is_open)
    };
    /// What a name in a directory stands for: a file, or a directory by its inode.
    struct Entry {
        std::shared_ptr<Content> content;
        std::uint64_t inode = 0;
    };
    /// An empty disk of 2^50 bytes. @param executor  of the threads that use it; must outlive this
    explicit MemoryDisk(Executor& executor) : mutex(executor) {}

    bool has_file(const std::string& path) const { return files.count(path) != 0; }
    /// Made, or implied by a file below it.
    bool has_directory(const std::string& path) const;
    std::uint64_t free_bytes() const;
    /// Makes the file at least `bytes` long; Error(space) when the disk has not enough.
    void grow(Content& content, const std::string& path, std::uint64_t bytes);
    void touch(Content& content) { content.modified_ns = ++changes; }
    /// Called with what is about to change, before it does; what it throws ends the change. For tests of crashes.
    void about_to(const char* what, const std::string& path) const {
        if (before_change) before_change(what, path);
    }
    FileIdentity identity_of(const std::shared_ptr<Content>& content) const {
        return {content->bytes.size(), 1, reinterpret_cast<std::uintptr_t>(content.get()), content->modified_ns,
                content->modified_ns};
    }
    /// The text becomes the whole content of a new file under `path`, in the place of any other.
    void put(const std::string& path, std::string_view text);
    /// Of what lies directly in `directory`; sorted.
    std::vector<std::string> names_in(const std::string& directory) const;
    std::vector<std::string> all_paths() const;
    /// A directory keeps it when it is renamed.
    std::uint64_t inode_of_directory(const std::string& path);
    /// `from`, and what lies below it, moves to `to`, where nothing may be.
    void move(const std::string& from, const std::string& to);
    /// Directories that are not empty, and names that are none, are errors as rmdir's.
    void remove_directory(const std::string& path);

    /// From now on it is kept what is on stable storage: all of what is there now, then what is synced.
    void begin_losing_power();
    /// The names of a directory, or the bytes of a file, are durable as they are.
    void sync_names(const std::string& directory);
    void sync_bytes(Content& content) const;
    /// The disk as it is found after a loss of power: of each directory and each file, as `rng` has it, either what was
    /// synced or all that was there. Nobody may have anything open. @param roots  mount points, which stay.
    void lose_power(Rng& rng, const std::vector<std::string>& roots);
    std::map<std::string, Entry> entries_of(const std::string& directory);

    Mutex mutex;
    std::map<std::string, std::shared_ptr<Content>> files;
    std::map<std::string, bool> directories;
    std::map<std::string, std::uint64_t> inodes;  ///< of directories that somebody has looked at
    std::uint64_t next_inode = 1;
    std::map<std::uint64_t, std::map<std::string, Entry>> synced_names;  ///< by inode of the directory
    bool loses_power = false;
    std::uint64_t capacity_bytes = std::uint64_t{1} << 50;
    std::int64_t changes = 0;
    std::function<void(const char* what, const std::string& path)> before_change;
    DiskRoom room{};                  ///< what its file system says of inodes and quota; its bytes are not looked at
    bool lacks_rename_flags = false;  ///< as NFS and FUSE: neither "no replace" nor "exchange"
    bool hides_what_is_open = false;  ///< as NFS: what is unlinked while locked stays as ".nfs..." until it is let go
};

/// Requests complete after virtual time drawn from `seed`, in the order of that time; waited for through `executor`.
/// The bytes move at completion, as late as a real disk may move them: who reads a buffer early finds old bytes, and
/// who reuses one early writes wrong ones. What is in flight when its queue is destroyed never happens, as in a crash.
/// Misaligned requests are Error(internal), so tests on it find what a real disk would refuse.
std::unique_ptr<IoBackend> make_memory_backend(Executor& executor, MemoryDisk& disk, std::uint64_t seed,
                                               std::uint64_t max_latency_ns = 200'000);
/// A directory that is there, on `disk`. Knows itself by its path: once it is renamed, what was opened before is stale.
std::unique_ptr<Directory> open_memory_directory(MemoryDisk& disk, const std::string& path);
/// As strict as the real one: files need their directory, renames never replace, only empty directories go.
std::unique_ptr<FileSystem> make_memory_file_system(MemoryDisk& disk);

}  // namespace sluice
