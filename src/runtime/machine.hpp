#pragma once
/// What this host allows and what the kernel counts for this process.

#include <cstdint>
#include <string>

namespace sluice {

struct MachineLimits {
    std::uint64_t memory_total_bytes = 0;
    std::uint64_t memory_available_bytes = 0;  ///< least of the host's and of what is left in each cgroup above us
    std::uint64_t open_files = 0;
    std::uint64_t aio_max = 0, aio_used = 0;  ///< fs.aio-max-nr, fs.aio-nr: host-wide
    std::string host_name, kernel, cpu_model;
};

/// @param root  prefix of /proc and /sys, for tests.
MachineLimits read_machine_limits(const std::string& root = "");

struct ProcessIo {
    std::uint64_t read_bytes = 0, write_bytes = 0;  ///< moved by the block layer on our behalf (/proc/self/io)
};
ProcessIo read_process_io();

struct ProcessCpu {
    double user_s = 0, system_s = 0;
    std::uint64_t voluntary_switches = 0, involuntary_switches = 0;
    std::uint64_t peak_resident_bytes = 0;
};
ProcessCpu read_process_cpu();

/// This host for system.json: processor, cores, memory, kernel, huge pages, and the versions this program was built
/// with.
std::string describe_system_json();

}  // namespace sluice
