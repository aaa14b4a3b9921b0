#include "jobs/old_data_set.hpp"

#include <algorithm>
#include <optional>
#include <set>

#include "jobs/cluster.hpp"

namespace sluice {
namespace {

/// Its directories on this host, of which some may not be there.
std::vector<std::string> directories_of(const JobContext& job, DiskRole role, const std::string& name) {
    std::vector<std::string> directories = disk_paths(job, role);
    for (std::string& directory : directories) directory += "/" + name;
    return directories;
}

std::optional<DataSet> find_manifest(JobContext& job, const std::vector<std::string>& directories) {
    for (const std::string& directory : directories) {
        const std::string path = directory + "/" + kManifestName;
        if (job.files.info(path)) return DataSet::from_text(job.files.read_text(path), path);
    }
    return std::nullopt;
}

std::vector<std::string> files_here(const JobContext& job, const DataSet& set) {
    std::vector<std::string> paths;
    for (const DataFile& file : set.files) {
        if (file.host == job.place.host || file.host == "*") paths.push_back(file.path);
    }
    return paths;
}

bool is_shared(const JobContext& job, DiskRole role) {
    const auto disks = job.config.disks_of(role);
    return std::any_of(disks.begin(), disks.end(), [](const DiskConfig& d) { return d.scope == DiskScope::shared; });
}

}  // namespace

std::vector<std::string> overwrite_problems(JobContext& job, DiskRole role, const std::string& name) {
    std::vector<std::string> problems;
    const auto directories = directories_of(job, role, name);
    const auto problem = [&](const std::string& directory, const std::string& what) {
        problems.push_back("[2] '" + directory + "' on host " + job.place.host + ": " + what +
                           "; run.overwrite removes only what a MANIFEST lists: look, remove it yourself, or choose "
                           "another " +
                           (role == DiskRole::input ? "input.name" : "output.name"));
    };
    std::optional<DataSet> set;
    try {
        set = find_manifest(job, directories);
    } catch (const Error& error) {
        problems.push_back("[" + std::to_string(error.exit_code()) + "] " + error.what() +
                           "; run.overwrite cannot tell from it what to remove: remove the data set yourself");
        return problems;
    }
    std::set<std::string> listed;
    if (set) {
        const auto paths = files_here(job, *set);
        listed.insert(paths.begin(), paths.end());
    }
    for (const std::string& directory : directories) {
        const auto info = job.files.info(directory);
        if (!info) continue;
        if (!info->is_directory) {
            problem(directory, "is there already and no directory");
        } else if (!set) {
            problem(directory, "is there already, without a MANIFEST.json");
        } else {
            for (const std::string& entry : job.files.list(directory)) {
                if (entry == kManifestName || listed.count(directory + "/" + entry) != 0) continue;
                problem(directory, "holds '" + entry + "', which its MANIFEST does not list");
                break;
            }
        }
    }
    return problems;
}

std::map<std::uint64_t, std::uint64_t> removable_bytes(JobContext& job, DiskRole role, const std::string& name) {
    std::map<std::uint64_t, std::uint64_t> bytes;
    try {
        const auto set = find_manifest(job, directories_of(job, role, name));
        if (!set) return bytes;
        for (const std::string& path : files_here(job, *set)) {
            if (const auto info = job.files.info(path)) bytes[info->device] += info->size_bytes;
        }
    } catch (const Error&) {  // overwrite_problems() says why
    }
    return bytes;
}

void remove_data_set(JobContext& job, DiskRole role, const std::string& name) {
    if (is_shared(job, role) ? job.rank() != 0 : job.place.local_rank != 0) return;
    const auto directories = directories_of(job, role, name);
    const auto set = find_manifest(job, directories);
    if (!set) return;
    for (const std::string& path : files_here(job, *set)) {
        if (job.files.info(path)) job.files.remove_file(path);
    }
    for (const std::string& directory : directories) {
        if (job.files.info(directory + "/" + kManifestName)) job.files.remove_file(directory + "/" + kManifestName);
        if (job.files.info(directory)) job.files.remove_empty_directory(directory);
    }
}

}  // namespace sluice
