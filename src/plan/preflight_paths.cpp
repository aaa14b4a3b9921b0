#include "plan/preflight_paths.hpp"

#include <map>
#include <optional>
#include <utility>

#include "plan/cluster.hpp"
#include "plan/input_proof.hpp"
#include "plan/role_disks.hpp"

namespace sluice {
namespace {

constexpr std::uint64_t kReportBytes = 1 << 20, kReportBytesOfRank = 16 << 10;  // more than all its files together

std::string parent_of(const std::string& path) {
    const std::size_t slash = path.rfind('/');
    return slash == 0 || slash == std::string::npos ? "/" : path.substr(0, slash);
}

/// `path` is `directory` or lies below it, also through links and bind mounts: some directory on the way up is it.
bool lies_in(JobContext& job, const std::string& path, const std::string& directory) {
    const std::string real = job.files.real_path(directory);
    const auto wanted = look(job, real);
    for (std::string at = job.files.real_path(path);; at = parent_of(at)) {
        if (at == real) return true;
        if (wanted) {
            const auto here = look(job, at);
            if (here && here->device == wanted->device && here->inode == wanted->inode) return true;
        }
        if (at == "/" || at.empty()) return false;
    }
}

/// Two disks of one role must be two directories; on one device they are allowed, but rarely meant.
void check_same_directory(JobContext& job, DiskRole role, Problems& problems, std::vector<std::string>& notes) {
    std::map<std::pair<std::uint64_t, std::uint64_t>, std::string> seen;
    std::map<std::uint64_t, std::string> devices;
    for (const std::string& path : disk_paths(job, role)) {
        const auto info = look(job, path);
        if (!info) continue;
        const auto [first, fresh] = seen.emplace(std::pair(info->device, info->inode), path);
        if (!fresh) {
            problems.push_back({Errc::config, "disks: '" + path + "' and '" + first->second + "' on host " +
                                                  job.place.host + " are the same directory with role \"" +
                                                  word_of(role) + "\"; remove one of the two"});
            continue;
        }
        const auto [other, alone] = devices.emplace(info->device, path);
        if (!alone) {
            notes.push_back("note: " + word_of(role) + " disks '" + other->second + "' and '" + path + "' on host " +
                            job.place.host + " are on one device and share its speed");
        }
    }
}

void check_output(JobContext& job, const InputSet& input, const std::string& disk, Problems& problems) {
    const std::string output = disk + "/" + job.config.output.name;
    const bool there = look(job, output).has_value();
    if (job.config.input.paths.empty()) {
        for (const std::string& in : disk_paths(job, DiskRole::input)) {
            const std::string data = in + "/" + job.config.input.name;
            const bool inside = lies_in(job, output, data);
            if (inside || lies_in(job, data, output)) {
                problems.push_back({Errc::config, "output '" + output + "': " + (inside ? "lies in" : "would hold") +
                                                      " the input '" + data + "'; choose another output.name or disk"});
            }
        }
    } else if (there) {  // only then can a file lie in it
        for (const InputFile& file : input.files) {
            tick_step();
            if (!lies_in(job, file.path, output)) continue;
            problems.push_back({Errc::config, "output '" + output + "': the input file '" + file.path +
                                                  "' lies in it; choose another output.name"});
            break;
        }
    }
    for (const std::string& scratch : disk_paths(job, DiskRole::intermediate)) {
        if (lies_in(job, scratch, output)) {
            problems.push_back({Errc::config, "output '" + output + "': the intermediate disk '" + scratch +
                                                  "' lies in it; choose another output.name or disk"});
        }
    }
}

}  // namespace

std::optional<FileInfo> look(JobContext& job, const std::string& path) {
    try {
        return job.files.info(path);
    } catch (const Error&) {  // not ours to search; the check of the disk itself says so
        return std::nullopt;
    }
}

/// Who may write to a directory can swap what lies in it while we work there.
void check_permissions(JobContext& job, DiskRole role, Problems& problems, std::vector<std::string>& notes) {
    constexpr std::uint32_t kOthersWrite = 0002, kGroupWrites = 0020, kSticky = 01000;
    for (const std::string& path : disk_paths(job, role)) {
        const auto info = look(job, path);
        if (!info || !info->is_directory || (info->mode & kSticky) != 0) continue;
        const std::string where = word_of(role) + " disk '" + path + "' on host " + job.place.host + ": ";
        const char* open_to_all = "any user may rename and remove what lies in it (mode o+w without the sticky bit); ";
        if ((info->mode & kOthersWrite) != 0 && info->can_change_mode) {
            problems.push_back({Errc::environment, where + open_to_all + "`chmod o-w` it, or `chmod +t`"});
        } else if ((info->mode & kOthersWrite) != 0) {
            // Who may only use it because all may cannot mend it either.
            notes.push_back("WARNING " + where + open_to_all + "ask its owner for `chmod +t`");
        } else if ((info->mode & kGroupWrites) != 0) {
            notes.push_back("WARNING " + where +
                            "its group may rename and remove what lies in it; `chmod g-w` or `chmod +t`");
        }
    }
}

void check_results(JobContext& job, Problems& problems) {
    if (job.rank() != 0) return;
    std::string directory = job.files.real_path(job.config.results.dir);
    if (directory.empty() || directory.front() != '/') directory = "/" + directory;  // of a simulated host
    const std::string trial = directory + "/.trial-" + std::to_string(job.processes.self().pid);
    const std::string where = "results.dir = \"" + job.config.results.dir + "\" on host " + job.place.host + ": ";
    try {
        job.files.make_directories(directory);
        job.files.write_durably(trial, std::string(kReportBytes + kReportBytesOfRank * job.ranks(), ' '));
        job.files.remove_file(trial);
    } catch (const Error& error) {
        problems.push_back(
            {Errc::environment,
             where + error.what() + "; the report of this run would be lost: make room, or set another results.dir"});
    }
}

void check_paths(JobContext& job, const InputSet& input, Problems& problems) {
    std::vector<std::string> notes;
    for (const DiskRole role : {DiskRole::input, DiskRole::intermediate, DiskRole::output})
        check_same_directory(job, role, problems, notes);
    for (const std::string& disk : disk_paths(job, DiskRole::output)) check_output(job, input, disk, problems);
    for (const DiskRole role : {DiskRole::intermediate, DiskRole::output})
        check_permissions(job, role, problems, notes);
    say_notes(job, notes);
    std::vector<DiskRole> written{DiskRole::output};
    if (job.config.passes != Passes::one) written.push_back(DiskRole::intermediate);
    prove_disks(job, written, problems);
    check_results(job, problems);
}

}  // namespace sluice
