#include "runtime/machine.hpp"

#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>

#include "runtime/error.hpp"

namespace sluice {
namespace {

std::uint64_t number_in(const std::string& path, std::uint64_t fallback) {
    std::ifstream file(path);
    std::uint64_t value = 0;
    return file >> value ? value : fallback;
}

/// The number behind `key` in a file of "key value" lines.
std::uint64_t field_in(const std::string& path, const std::string& key, std::uint64_t fallback) {
    std::ifstream file(path);
    std::string line;
    while (std::getline(file, line)) {
        if (line.rfind(key, 0) != 0) continue;
        std::istringstream rest(line.substr(key.size()));
        std::uint64_t value = 0;
        if (rest >> value) return value;
    }
    return fallback;
}

std::string text_behind(const std::string& path, const std::string& key) {
    std::ifstream file(path);
    std::string line;
    while (std::getline(file, line)) {
        if (line.rfind(key, 0) == 0) return line.substr(std::min(line.size(), line.find(':') + 2));
    }
    return "";
}

std::string first_line(const std::string& path) {
    std::ifstream file(path);
    std::string line;
    std::getline(file, line);
    return line;
}

constexpr std::uint64_t kNoLimit = ~std::uint64_t{0};

/// What is left under the limit of `directory` and of each group above it.
std::uint64_t left_in_groups(const std::string& mount, std::string group, const char* limit_file,
                             const char* usage_file) {
    std::uint64_t left = kNoLimit;
    for (;;) {
        const std::uint64_t limit = number_in(mount + group + "/" + limit_file, kNoLimit);
        const std::uint64_t usage = number_in(mount + group + "/" + usage_file, 0);
        if (limit < (std::uint64_t{1} << 60)) left = std::min(left, limit - std::min(limit, usage));
        if (group.empty() || group == "/") return left;
        group.resize(group.rfind('/'));
    }
}

std::uint64_t left_in_cgroup(const std::string& root) {
    std::ifstream file(root + "/proc/self/cgroup");
    std::string line;
    std::uint64_t left = kNoLimit;
    while (std::getline(file, line)) {
        const std::size_t first = line.find(':'), second = line.find(':', first + 1);
        if (first == std::string::npos || second == std::string::npos) continue;
        const std::string controllers = line.substr(first + 1, second - first - 1), group = line.substr(second + 1);
        if (controllers.empty())
            left = std::min(left, left_in_groups(root + "/sys/fs/cgroup", group, "memory.max", "memory.current"));
        if (("," + controllers + ",").find(",memory,") != std::string::npos) {
            left = std::min(left, left_in_groups(root + "/sys/fs/cgroup/memory", group, "memory.limit_in_bytes",
                                                 "memory.usage_in_bytes"));
        }
    }
    return left;
}

}  // namespace

MachineLimits read_machine_limits(const std::string& root) {
    MachineLimits limits;
    limits.memory_total_bytes = field_in(root + "/proc/meminfo", "MemTotal:", 0) * 1024;
    limits.memory_available_bytes =
        std::min(field_in(root + "/proc/meminfo", "MemAvailable:", 0) * 1024, left_in_cgroup(root));
    rlimit files{};
    if (::getrlimit(RLIMIT_NOFILE, &files) == 0) limits.open_files = files.rlim_cur;
    limits.aio_max = number_in(root + "/proc/sys/fs/aio-max-nr", 65536);
    limits.aio_used = number_in(root + "/proc/sys/fs/aio-nr", 0);
    char name[256] = {};
    ::gethostname(name, sizeof name - 1);
    limits.host_name = name;
    utsname kernel{};
    if (::uname(&kernel) == 0) limits.kernel = std::string(kernel.sysname) + " " + kernel.release;
    limits.cpu_model = text_behind(root + "/proc/cpuinfo", "model name");
    return limits;
}

ProcessIo read_process_io() {
    return {field_in("/proc/self/io", "read_bytes:", 0), field_in("/proc/self/io", "write_bytes:", 0)};
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
    cpu.peak_resident_bytes = field_in("/proc/self/status", "VmHWM:", 0) * 1024;
    return cpu;
}

std::string describe_system_json() {
    const MachineLimits limits = read_machine_limits();
    return nlohmann::json{{"host", limits.host_name},
                          {"kernel", limits.kernel},
                          {"cpu_model", limits.cpu_model},
                          {"logical_cpus", std::thread::hardware_concurrency()},
                          {"memory_total_bytes", limits.memory_total_bytes},
                          {"memory_available_bytes", limits.memory_available_bytes},
                          {"transparent_huge_pages", first_line("/sys/kernel/mm/transparent_hugepage/enabled")},
                          {"cpu_governor", first_line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")},
                          {"aio_max_nr", limits.aio_max},
                          {"open_files_limit", limits.open_files},
                          {"compiler", "g++ " __VERSION__}}
        .dump();
}

}  // namespace sluice
