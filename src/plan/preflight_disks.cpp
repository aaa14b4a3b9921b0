#include "plan/preflight_disks.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "plan/cluster.hpp"
#include "plan/preflight_paths.hpp"
#include "plan/role_disks.hpp"

namespace sluice {
namespace {

constexpr unsigned kMostCopiersOfADisk = 4;

/// What io.direct makes of what was proved; disks that go through the page cache are listed once.
class DirectIoNotes {
public:
    DirectIoNotes(JobContext& job, Problems& problems, std::vector<std::string>& cached_disks)
        : job_(job),
          problems_(problems),
          cached_disks_(cached_disks),
          listed_(cached_disks.begin(), cached_disks.end()),
          disks_(job) {}
    void note(const DirectIoProof& proof, const std::string& path, const std::string& where) {
        const DirectIoCheck check = check_direct_io(job_, proof);
        if (!check.problem.empty()) problems_.push_back({Errc::environment, where + check.problem});
        if (!check.is_cached) return;
        const std::string disk = disks_.disk_of(path);
        if (listed_.insert(disk).second) cached_disks_.push_back(disk);
    }

private:
    JobContext& job_;
    Problems& problems_;
    std::vector<std::string>& cached_disks_;
    std::set<std::string> listed_;
    DisksByPath disks_;
};

}  // namespace

unsigned workers_of_a_disk(const JobContext& job, const std::vector<std::string>& cached_disks, unsigned cores) {
    if (job.config.io.workers != 0) return job.config.io.workers;
    const std::set<std::string> cached(cached_disks.begin(), cached_disks.end());
    for (const DiskRole role : {DiskRole::input, DiskRole::intermediate, DiskRole::output}) {
        const RoleDisks all = role_disks(job, role);
        for (const std::uint32_t index : all.used()) {
            if (cached.count(all.disks[index].path) == 0) return 1;
        }
    }
    return std::min(cores, kMostCopiersOfADisk);
}

void check_disks(JobContext& job, Problems& problems, std::vector<std::string>& cached_disks) {
    DirectIoNotes notes(job, problems, cached_disks);
    for (const DiskRole role : {DiskRole::input, DiskRole::intermediate, DiskRole::output}) {
        if (role == DiskRole::intermediate && job.config.passes == Passes::one) continue;  // never touched
        const auto disks = role_disks(job, role).disks;
        if (role == DiskRole::intermediate && disks.empty() && job.config.passes == Passes::automatic) continue;
        const std::string name = std::string(word_of(role));
        if (disks.empty() && !(role == DiskRole::input && !job.config.input.paths.empty())) {
            problems.push_back(
                {Errc::config, "disks: none has role = \"" + name + "\"; add a [[disks]] table with it"});
        }
        for (const RoleDisk& disk : disks) {
            const std::string where = name + " disk '" + disk.path + "' on host " + job.place.host + ": ";
            const auto info = job.files.info(disk.path);
            if (!info || !info->is_directory) {
                problems.push_back({Errc::environment, where + (info ? "is no directory" : "is not there") +
                                                           "; mount it or make the directory"});
            } else if (role != DiskRole::input && !job.files.is_writable(disk.path)) {
                problems.push_back({Errc::environment, where + "is not writable by this user"});
            } else if (role != DiskRole::input && (disk.is_used || speaks_of(job, disk.seen_by))) {
                // Of input its files are asked.
                notes.note(job.files.direct_io_in(disk.path), disk.path, where);
            }
        }
    }
}

void check_input_directories(JobContext& job, const InputSet& input, Problems& problems,
                             std::vector<std::string>& cached_disks) {
    DirectIoNotes notes(job, problems, cached_disks);
    std::map<std::string, bool> go_on;  // by directory: its other files may differ
    for (const InputFile& file : input.files) {
        tick_step();
        const std::string directory = file.path.substr(0, file.path.rfind('/'));
        const auto known = go_on.find(directory);
        if (directory.empty()) continue;
        if (known != go_on.end() && (!known->second || !speaks_of(job, file.seen_by))) continue;
        const auto info = look(job, file.path);
        if (!info || !info->is_regular) continue;  // said already
        const DirectIoProof proof = job.files.direct_io_of(file.path);
        if (known == go_on.end()) {  // the mounts are read once a directory
            const std::string type = job.files.mount_of(file.path, *info).type;
            go_on[directory] = type == "btrfs" || type == "overlay";
        }
        if (proof.alignment == 0) go_on[directory] = false;  // one is enough to say
        notes.note(proof, directory, "input '" + directory + "' on host " + job.place.host + ": ");
    }
}

}  // namespace sluice
