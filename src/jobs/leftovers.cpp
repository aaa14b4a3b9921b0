#include "jobs/leftovers.hpp"

#include <algorithm>
#include <set>
#include <vector>

#include "jobs/cluster.hpp"

namespace sluice {
namespace {

constexpr std::size_t kRunIdDigits = 32;
const std::string kFilePrefix = "sluice-", kDirectoryPrefix = ".partial-";

bool is_run_id(const std::string& text) {
    return text.size() == kRunIdDigits && text.find_first_not_of("0123456789abcdef") == std::string::npos;
}

/// The names a run gives to what it writes below .partial-RUNID: parts, and their temporary manifests.
bool is_our_part(const std::string& name) {
    return name.rfind("part-", 0) == 0 || name.rfind("MANIFEST", 0) == 0 || name.rfind("sluice-", 0) == 0;
}

struct Found {
    std::string run_id, path;
    bool is_directory = false;
};

/// On this host's intermediate and output disks, each path once.
std::vector<Found> find_leftovers(JobContext& job) {
    std::set<std::string> directories;
    for (const DiskRole role : {DiskRole::intermediate, DiskRole::output}) {
        for (const std::string& path : disk_paths(job, role)) directories.insert(path);
    }
    std::vector<Found> found;
    for (const std::string& directory : directories) {
        const auto info = job.files.info(directory);
        if (!info || !info->is_directory) continue;
        for (const std::string& name : job.files.list(directory)) {
            const std::string run_id = run_of_leftover(name);
            if (!run_id.empty()) found.push_back({run_id, directory + "/" + name, name.front() == '.'});
        }
    }
    return found;
}

std::uint64_t remove_one(JobContext& job, const std::string& path) {
    const auto info = job.files.info(path);
    const std::uint64_t bytes = info ? info->size_bytes : 0;
    if (info) job.files.remove_file(path);
    return bytes;
}

}  // namespace

std::string run_of_leftover(const std::string& name) {
    if (name.rfind(kDirectoryPrefix, 0) == 0) {
        const std::string run_id = name.substr(kDirectoryPrefix.size());
        return is_run_id(run_id) ? run_id : "";
    }
    if (name.rfind(kFilePrefix, 0) != 0 || name.size() <= kFilePrefix.size() + kRunIdDigits) return "";
    const std::string run_id = name.substr(kFilePrefix.size(), kRunIdDigits);
    return is_run_id(run_id) && name[kFilePrefix.size() + kRunIdDigits] == '-' ? run_id : "";
}

Leftovers remove_leftovers(JobContext& job, const std::string& run_id) {
    if (run_id != "all" && !is_run_id(run_id)) {
        throw CollectiveError(
            Errc::config,
            "clean --run " + run_id + ": is no run id; it has 32 hex digits, or is \"all\" for all dead runs");
    }
    const auto found = find_leftovers(job);
    std::set<std::string> live;
    std::vector<std::string> problems;
    for (const Found& one : found) {
        if (job.files.is_held(one.path)) live.insert(one.run_id);
    }
    if (live.count(run_id) != 0)
        problems.push_back("[10] run " + run_id + " is still at work on host " + job.place.host +
                           "; wait for it or end it");
    refuse_if_any(job, problems);
    Leftovers left;
    for (const Found& one : found) {
        if (job.place.local_rank != 0 || live.count(one.run_id) != 0 || (run_id != "all" && one.run_id != run_id))
            continue;
        if (!one.is_directory) {
            left.bytes += remove_one(job, one.path);
            ++left.files;
            continue;
        }
        for (const std::string& name : job.files.list(one.path)) {
            if (!is_our_part(name)) continue;  // a stranger's file keeps its directory
            left.bytes += remove_one(job, one.path + "/" + name);
            ++left.files;
        }
        if (job.files.list(one.path).empty()) job.files.remove_empty_directory(one.path);
    }
    left.files = sum_over_ranks(job.communicator, left.files);
    left.bytes = sum_over_ranks(job.communicator, left.bytes);
    return left;
}

}  // namespace sluice
