#pragma once
/// Disks in memory, for tests and the simulated cluster: same rules as direct I/O, completions late and out of order.

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "io/file_system.hpp"
#include "io/io_backend.hpp"

namespace sluice {

/// The files of one simulated host. Shared by its back end and its file system; thread-safe by `mutex`, which the
/// methods below expect to be held.
struct MemoryDisk {
    struct Content {
        std::vector<std::byte> bytes;
        std::int64_t modified_ns = 0;  ///< no time, but a number that grows with each change on the disk
    };
    explicit MemoryDisk(Executor& executor) : mutex(executor) {}

    bool has_file(const std::string& path) const { return files.count(path) != 0; }
    /// Made, or implied by a file below it.
    bool has_directory(const std::string& path) const;
    std::uint64_t free_bytes() const;
    /// Makes the file at least `bytes` long; Error(space) when the disk has not enough.
    void grow(Content& content, const std::string& path, std::uint64_t bytes);
    void touch(Content& content) { content.modified_ns = ++changes; }

    Mutex mutex;
    std::map<std::string, std::shared_ptr<Content>> files;
    std::map<std::string, bool> directories;
    std::uint64_t capacity_bytes = std::uint64_t{1} << 50;
    std::int64_t changes = 0;
};

/// Requests complete after virtual time drawn from `seed`, in the order of that time; waited for through `executor`.
/// The bytes move at completion, as late as a real disk may move them: who reads a buffer early finds old bytes, and
/// who reuses one early writes wrong ones. What is in flight when its queue is destroyed never happens, as in a crash.
/// Misaligned requests are Error(internal), so tests on it find what a real disk would refuse.
std::unique_ptr<IoBackend> make_memory_backend(Executor& executor, MemoryDisk& disk, std::uint64_t seed,
                                               std::uint64_t max_latency_ns = 200'000);
/// As strict as the real one: files need their directory, renames never replace, only empty directories go.
std::unique_ptr<FileSystem> make_memory_file_system(MemoryDisk& disk);

}  // namespace sluice
