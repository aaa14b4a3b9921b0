#pragma once
/// What this host allows and what the kernel counts for this process.

#include <cstdint>
#include <string>

namespace sluice {

/// One look at what this host and its cgroups allow this process. Plain data.
struct MachineLimits {
    std::uint64_t memory_total_bytes = 0;
    /// Least of the host's MemAvailable and of what is left in each cgroup above us; cached file pages count as left,
    /// in a group as on the host.
    std::uint64_t memory_available_bytes = 0;
    std::string memory_note;                  ///< why that may be wrong: "; /proc/meminfo ..."; "" = it is not
    std::uint64_t open_files = 0;             ///< RLIMIT_NOFILE
    std::uint64_t locked_memory_bytes = 0;    ///< RLIMIT_MEMLOCK; 2^64-1 = no limit
    std::uint64_t aio_max = 0, aio_used = 0;  ///< fs.aio-max-nr, fs.aio-nr: host-wide
    unsigned processors = 0;                  ///< hardware threads the calling thread may run on
    double cgroup_cores = 0;                  ///< whose time our cgroups allow; 0: all
    std::string host_name, kernel, cpu_model;
};

/// memory.budget where none is named: 80 % of what is left.
constexpr std::uint64_t budget_of_memory(std::uint64_t left_bytes) noexcept { return left_bytes / 5 * 4; }

/// Cheap (no topology is loaded). Never throws for what a kernel does not show: the field stays 0 or "".
/// @param root  prefix of /proc and /sys, for tests; limits that come by system call are always the real ones.
MachineLimits read_machine_limits(const std::string& root = "");

/// What the kernel counted for this process so far.
struct ProcessIo {
    std::uint64_t read_bytes = 0, write_bytes = 0;  ///< moved by the block layer on our behalf (/proc/self/io)
    bool known = false;                             ///< false: this kernel does not count them or hides it
};
ProcessIo read_process_io();

/// What this process has cost so far.
struct ProcessCpu {
    double user_s = 0, system_s = 0;
    std::uint64_t voluntary_switches = 0, involuntary_switches = 0;
    std::uint64_t peak_resident_bytes = 0;
};
/// Of all threads, also ended ones, since the start.
ProcessCpu read_process_cpu();

/// Most memory this process ever had resident (VmHWM).
std::uint64_t resident_peak_bytes();

/// This host for system.json, one JSON object: processor, cores, memory nodes, memory, kernel, huge pages, governor,
/// limits and the compiler this program was built with. Loads the topology: not for the timed part of a run. What the
/// system does not show is "" or 0.
/// @param root  as for read_machine_limits.
/// @param indent  blanks a level; -1: all on one line
std::string describe_system_json(const std::string& root = "", int indent = -1);

}  // namespace sluice
