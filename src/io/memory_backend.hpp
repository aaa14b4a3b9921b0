#pragma once
/// Disks in memory, for tests and the simulated cluster: same rules as direct I/O, completions late and out of order.

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "io/file_system.hpp"
#include "io/io_backend.hpp"

namespace sluice {

/// The files of one simulated host. Shared by its back end and its file system; thread-safe by `mutex`.
struct MemoryDisk {
    struct Content {
        std::vector<std::byte> bytes;
    };
    explicit MemoryDisk(Executor& executor) : mutex(executor) {}
    Mutex mutex;
    std::map<std::string, std::shared_ptr<Content>> files;
    std::map<std::string, bool> directories;
};

/// Requests complete after virtual time drawn from `seed`, in the order of that time; waited for through `executor`.
/// Misaligned requests throw as they fail on a real disk, so tests on it find them.
std::unique_ptr<IoBackend> make_memory_backend(Executor& executor, MemoryDisk& disk, std::uint64_t seed,
                                               std::uint64_t max_latency_ns = 200'000);
std::unique_ptr<FileSystem> make_memory_file_system(MemoryDisk& disk);

}  // namespace sluice
