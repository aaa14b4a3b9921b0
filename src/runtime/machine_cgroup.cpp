#include "runtime/machine_cgroup.hpp"

#include <algorithm>
#include <fstream>
#include <functional>
#include <sstream>
#include <vector>

namespace sluice {
namespace {

constexpr std::uint64_t kLeastUnlimited = std::uint64_t{1} << 60;  // version 1 writes "no limit" as 2^63 less a page

/// How one version of control groups calls what we need.
struct Names {
    const char *limit, *usage, *active, *inactive;
};
constexpr Names kVersion1{"memory.limit_in_bytes", "memory.usage_in_bytes", "total_active_file", "total_inactive_file"};
constexpr Names kVersion2{"memory.max", "memory.current", "active_file", "inactive_file"};

struct Mount {
    std::string root, point;  // the group that is visible at the mount point
};

bool has_word(const std::string& list, const std::string& word) {
    return ("," + list + ",").find("," + word + ",") != std::string::npos;
}

std::vector<Mount> mounts_of(const std::string& root, bool version2, const std::string& controller) {
    std::vector<Mount> found;
    std::ifstream table(root + "/proc/self/mountinfo");
    std::string line;
    while (std::getline(table, line)) {
        std::istringstream words(line);
        std::string id, parent, device, group, point, word, type, source, options;
        words >> id >> parent >> device >> group >> point;
        while (words >> word && word != "-") {
        }
        words >> type >> source >> options;
        if (version2 ? type == "cgroup2" : type == "cgroup" && has_word(options, controller))
            found.push_back({group, point});
    }
    return found;
}

std::uint64_t number_in(const std::string& path, std::uint64_t otherwise) {
    std::ifstream file(path);
    std::uint64_t value = 0;
    return file >> value ? value : otherwise;
}

std::uint64_t left_in_group(const std::string& directory, const Names& names) {
    const std::uint64_t limit = number_in(directory + "/" + names.limit, kNoMemoryLimit);  // "max" is no number
    if (limit >= kLeastUnlimited) return kNoMemoryLimit;
    std::uint64_t used = number_in(directory + "/" + names.usage, 0), cached = 0;
    std::ifstream statistics(directory + "/memory.stat");
    std::string key;
    std::uint64_t value = 0;
    while (statistics >> key >> value) {
        if (key == names.active || key == names.inactive) cached += value;
    }
    used -= std::min(used, cached);
    return limit - std::min(limit, used);
}

/// `group` as a path below the mount point. A container often sees only its own group there, under the name "/" or
/// under the host's name for it.
std::string below_mount(const Mount& mount, const std::string& group) {
    if (group.find("/..") != std::string::npos) return "";  // outside of our namespace: the mount point is the nearest
    if (mount.root == "/") return group == "/" ? "" : group;
    if (group.rfind(mount.root + "/", 0) == 0) return group.substr(mount.root.size());
    return "";
}

/// Calls `look` with the directory of our group in each hierarchy that has the controller, and of every group above it.
void for_each_group_up(const std::string& root, const std::string& controller,
                       const std::function<void(const std::string& directory, bool version2)>& look) {
    std::ifstream groups(root + "/proc/self/cgroup");
    std::string line;
    while (std::getline(groups, line)) {  // "4:memory:/group", version 2 "0::/group"
        const std::size_t first = line.find(':'), second = line.find(':', first + 1);
        if (first == std::string::npos || second == std::string::npos) continue;
        const std::string controllers = line.substr(first + 1, second - first - 1), ours = line.substr(second + 1);
        const bool version2 = controllers.empty();
        if (!version2 && !has_word(controllers, controller)) continue;
        for (const Mount& mount : mounts_of(root, version2, controller)) {
            std::string group = below_mount(mount, ours);
            for (;;) {
                look(root + mount.point + group, version2);
                const std::size_t slash = group.rfind('/');
                if (group.empty() || slash == std::string::npos) break;
                group.resize(slash);
            }
        }
    }
}

}  // namespace

std::uint64_t memory_left_in_cgroups(const std::string& root) {
    std::uint64_t left = kNoMemoryLimit;
    for_each_group_up(root, "memory", [&](const std::string& directory, bool version2) {
        left = std::min(left, left_in_group(directory, version2 ? kVersion2 : kVersion1));
    });
    return left;
}

double cores_allowed_by_cgroups(const std::string& root) {
    double fewest = 0;
    for_each_group_up(root, "cpu", [&](const std::string& directory, bool version2) {
        std::uint64_t quota_us = 0, period_us = 0;
        if (version2) {
            std::ifstream file(directory + "/cpu.max");  // "400000 100000", or "max 100000"
            if (!(file >> quota_us >> period_us)) return;
        } else {
            quota_us = number_in(directory + "/cpu.cfs_quota_us", 0);  // "-1" is no number, and no limit
            period_us = number_in(directory + "/cpu.cfs_period_us", 0);
            if (quota_us >= kLeastUnlimited) return;
        }
        if (quota_us == 0 || period_us == 0) return;
        const double cores = static_cast<double>(quota_us) / static_cast<double>(period_us);
        if (fewest == 0 || cores < fewest) fewest = cores;
    });
    return fewest;
}

PidsLimit tightest_pids_limit(const std::string& root) {
    PidsLimit tightest;
    for_each_group_up(root, "pids", [&](const std::string& directory, bool) {
        const std::uint64_t limit = number_in(directory + "/pids.max", 0);  // "max" is no number
        if (limit == 0) return;
        const std::uint64_t used = number_in(directory + "/pids.current", 0);
        const auto left = [](std::uint64_t most, std::uint64_t now) { return most - std::min(most, now); };
        if (tightest.limit == 0 || left(limit, used) < left(tightest.limit, tightest.used))
            tightest = {limit, used, directory};
    });
    return tightest;
}

}  // namespace sluice
