#pragma once
/// Who this process is, so that another run can find out later whether it still lives.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "runtime/shared_segments.hpp"

namespace sluice {

/// What cannot be found out stays "" or 0, and then counts as unknown.
struct ProcessIdentity {
    std::string host;                 ///< name of the host
    std::string machine, boot;        ///< /etc/machine-id, /proc/sys/kernel/random/boot_id
    std::uint64_t pid_namespace = 0;  ///< inode of /proc/self/ns/pid
    std::uint64_t pid = 0;
    std::uint64_t start_ticks = 0;             ///< since boot, in clock ticks: field 22 of /proc/PID/stat
    std::vector<SharedSegment> segments = {};  ///< that its host's ranks share; as ProcessTable::segments()
};

/// The processes of this host. Thread-safe.
class ProcessTable {
public:
    virtual ~ProcessTable() = default;
    virtual ProcessIdentity self() const = 0;
    /// In /dev/shm, that this process has mapped: those of all ranks of its host, once MPI has started.
    virtual std::vector<SharedSegment> segments() const = 0;
    /// A process that this user may look into has it mapped.
    virtual bool is_mapped(const SharedSegment& segment) const = 0;
    /// A process of this pid namespace with this number and start time is there, and no zombie.
    virtual bool lives(std::uint64_t pid, std::uint64_t start_ticks) const = 0;
    /// Another process that holds a lock on this file, as far as the kernel tells us: "`sluice sort` (pid 17)"; for
    /// messages.
    virtual std::optional<std::string> lock_holder(std::uint64_t device, std::uint64_t inode) const = 0;
};

/// @param root  prefix of /proc and /etc, for tests.
std::unique_ptr<ProcessTable> make_process_table(std::string host, std::string root = "");

}  // namespace sluice
