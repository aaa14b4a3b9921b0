#include "runtime/machine.hpp"

#include <sched.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>

#include "runtime/errno_text.hpp"
#include "runtime/error.hpp"
#include "runtime/machine_cgroup.hpp"
#include "runtime/placement.hpp"
#include "runtime/topology.hpp"

namespace sluice {
namespace {

std::uint64_t number_in(const std::string& path, std::uint64_t otherwise) {
    std::ifstream file(path);
    std::uint64_t value = 0;
    return file >> value ? value : otherwise;
}

/// The number behind `key` in a file of "key: value" lines.
std::optional<std::uint64_t> field_in(const std::string& path, const std::string& key) {
    std::ifstream file(path);
    std::string line;
    while (std::getline(file, line)) {
        if (line.rfind(key, 0) != 0) continue;
        std::istringstream rest(line.substr(key.size()));
        std::uint64_t value = 0;
        if (rest >> value) return value;
    }
    return std::nullopt;
}

std::uint64_t kib_field_in_bytes(const std::string& path, const std::string& key) {
    return field_in(path, key).value_or(0) * 1024;
}

/// Text behind the colon of the first line that begins with `key`.
std::string text_behind(const std::string& path, const std::string& key) {
    std::ifstream file(path);
    std::string line;
    while (std::getline(file, line)) {
        if (line.rfind(key, 0) != 0) continue;
        const std::size_t colon = line.find(':');
        const std::size_t begin = line.find_first_not_of(" \t", colon == std::string::npos ? colon : colon + 1);
        return begin == std::string::npos ? "" : line.substr(begin);
    }
    return "";
}

std::string first_line(const std::string& path) {
    std::ifstream file(path);
    std::string line;
    std::getline(file, line);
    return line;
}

/// What the host has left. @param note  gets why that is not certain
std::uint64_t memory_of_host(const std::string& root, std::string& note) {
    const std::string path = root + "/proc/meminfo";
    if (const auto kib = field_in(path, "MemAvailable:")) return *kib * 1024;
    const bool is_there = ::access(path.c_str(), R_OK) == 0;
    note = "; " + path + (is_there ? " has no MemAvailable" : " cannot be read: " + errno_text(errno));
    struct sysinfo host {};
    if (!root.empty() || ::sysinfo(&host) != 0) return 0;
    note += ", so only what nobody uses counts, not what the page cache would give back (sysinfo(2))";
    return (std::uint64_t{host.freeram} + host.bufferram) * host.mem_unit;
}

std::uint64_t soft_limit(__rlimit_resource resource) {
    rlimit limit{};
    return ::getrlimit(resource, &limit) == 0 ? limit.rlim_cur : 0;
}

}  // namespace

MachineLimits read_machine_limits(const std::string& root) {
    MachineLimits limits;
    limits.memory_total_bytes = kib_field_in_bytes(root + "/proc/meminfo", "MemTotal:");
    const std::uint64_t host_bytes = memory_of_host(root, limits.memory_note);
    limits.memory_available_bytes = std::min(host_bytes, memory_left_in_cgroups(root));
    limits.cgroup_cores = cores_allowed_by_cgroups(root);
    limits.open_files = soft_limit(RLIMIT_NOFILE);
    limits.locked_memory_bytes = soft_limit(RLIMIT_MEMLOCK);
    limits.aio_max = number_in(root + "/proc/sys/fs/aio-max-nr", 65536);  // the kernel's default
    limits.aio_used = number_in(root + "/proc/sys/fs/aio-nr", 0);
    try {
        limits.processors = static_cast<unsigned>(affinity_of_thread(0).size());
    } catch (const Error&) {
        limits.processors = static_cast<unsigned>(std::max(0L, ::sysconf(_SC_NPROCESSORS_ONLN)));
    }
    char name[256] = {};
    ::gethostname(name, sizeof name - 1);
    limits.host_name = name;
    utsname kernel{};
    if (::uname(&kernel) == 0) limits.kernel = std::string(kernel.sysname) + " " + kernel.release;
    limits.cpu_model = text_behind(root + "/proc/cpuinfo", "model name");
    if (limits.cpu_model.empty()) limits.cpu_model = kernel.machine;  // ARM names no model
    return limits;
}

ProcessIo read_process_io() {
    const auto read = field_in("/proc/self/io", "read_bytes:"), written = field_in("/proc/self/io", "write_bytes:");
    return {read.value_or(0), written.value_or(0), read.has_value() && written.has_value()};
}

ProcessCpu read_process_cpu() {
    rusage usage{};
    ::getrusage(RUSAGE_SELF, &usage);
    const auto seconds = [](const timeval& t) {
        return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) * 1e-6;
    };
    ProcessCpu cpu;
    cpu.user_s = seconds(usage.ru_utime);
    cpu.system_s = seconds(usage.ru_stime);
    cpu.voluntary_switches = static_cast<std::uint64_t>(usage.ru_nvcsw);
    cpu.involuntary_switches = static_cast<std::uint64_t>(usage.ru_nivcsw);
    cpu.peak_resident_bytes = resident_peak_bytes();
    return cpu;
}

std::uint64_t resident_peak_bytes() { return kib_field_in_bytes("/proc/self/status", "VmHWM:"); }

std::string describe_system_json(const std::string& root, int indent) {
    const MachineLimits limits = read_machine_limits(root);
    const std::string huge = root + "/sys/kernel/mm/";
    nlohmann::json document{
        {"host", limits.host_name},
        {"kernel", limits.kernel},
        {"cpu_model", limits.cpu_model},
        {"logical_cpus", std::max(1L, ::sysconf(_SC_NPROCESSORS_ONLN))},
        {"cgroup_cores", limits.cgroup_cores},
        {"memory_total_bytes", limits.memory_total_bytes},
        {"memory_available_bytes", limits.memory_available_bytes},
        {"transparent_huge_pages", first_line(huge + "transparent_hugepage/enabled")},
        {"transparent_huge_pages_defrag", first_line(huge + "transparent_hugepage/defrag")},
        {"reserved_huge_pages_2mib", number_in(huge + "hugepages/hugepages-2048kB/nr_hugepages", 0)},
        {"cpu_governor", first_line(root + "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")},
        {"numa_balancing", first_line(root + "/proc/sys/kernel/numa_balancing")},
        {"aio_max_nr", limits.aio_max},
        {"open_files_limit", limits.open_files},
        {"locked_memory_limit_bytes", limits.locked_memory_bytes},
        {"compiler", "g++ " __VERSION__}};
    try {
        const Topology topology = Topology::this_machine();
        document["packages"] = topology.packages();
        document["numa_nodes"] = topology.numa_nodes();
        document["threads_per_core"] = topology.threads_per_core();
        document["usable_cores"] = format_core_list(topology.core_indices());
    } catch (const Error& error) {
        document["topology_error"] = error.what();
    }
    return document.dump(indent, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace sluice
