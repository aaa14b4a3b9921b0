#include "plan/role_disks.hpp"

#include <algorithm>

#include "plan/cluster.hpp"

namespace sluice {
namespace {

SeenBy seen_by(const DiskConfig& disk) {
    if (disk.scope == DiskScope::shared) return SeenBy::all_hosts;
    return disk.path.find("{rank}") != std::string::npos ? SeenBy::one_rank : SeenBy::one_host;
}

}  // namespace

bool looks_after(const JobContext& job, SeenBy seen_by) {
    if (seen_by == SeenBy::all_hosts) return job.rank() == 0;
    return seen_by == SeenBy::one_rank || job.place.local_rank == 0;
}

std::vector<std::uint32_t> RoleDisks::used() const {
    std::vector<std::uint32_t> indices;
    for (std::uint32_t index = 0; index < disks.size(); ++index) {
        if (disks[index].is_used) indices.push_back(index);
    }
    return indices;
}

RoleDisks role_disks(const JobContext& job, DiskRole role) {
    const auto configured = job.config.disks_of(role);
    std::uint32_t count[3] = {};  // by SeenBy
    for (const DiskConfig& disk : configured) ++count[static_cast<std::size_t>(seen_by(disk))];
    const auto of = [&](SeenBy who) { return count[static_cast<std::size_t>(who)]; };
    // Shared ones first, then each host's, then each rank's: all ranks count alike without a word.
    std::uint32_t next[3] = {
        0, of(SeenBy::all_hosts) + job.place.host_index * of(SeenBy::one_host),
        of(SeenBy::all_hosts) + job.place.hosts * of(SeenBy::one_host) + job.rank() * of(SeenBy::one_rank)};
    RoleDisks found;
    found.total = of(SeenBy::all_hosts) + job.place.hosts * of(SeenBy::one_host) + job.ranks() * of(SeenBy::one_rank);
    // A rank's own are its own; of the others it has its share, or all, as they divide.
    const auto mine = disks_of_rank(job.place, configured.size() - of(SeenBy::one_rank));
    std::uint32_t divided = 0;
    for (const DiskConfig& disk : configured) {
        RoleDisk each;
        each.path = expand_path(disk.path, job.place.host, job.rank());
        each.seen_by = seen_by(disk);
        each.number = next[static_cast<std::size_t>(each.seen_by)]++;
        each.is_ours = looks_after(job, each.seen_by);
        each.is_used = each.seen_by == SeenBy::one_rank || std::find(mine.begin(), mine.end(), divided++) != mine.end();
        found.disks.push_back(std::move(each));
    }
    return found;
}

PathScopes::PathScopes(JobContext& job) : job_(job) {
    for (const DiskConfig& disk : job.config.disks) {
        const SeenBy seen = seen_by(disk);
        // Who names a file below one rank's disk by a path without {rank} names it for the whole host.
        disks_.emplace_back(job.files.real_path(expand_path(disk.path, job.place.host, job.rank())),
                            seen == SeenBy::all_hosts ? seen : SeenBy::one_host);
    }
}

SeenBy PathScopes::of(const std::string& path) {
    const std::size_t slash = path.rfind('/');
    const std::string folder = slash == std::string::npos ? "" : path.substr(0, slash);
    if (folder != last_folder_ || last_real_.empty()) {  // lists go folder by folder
        last_folder_ = folder;
        last_real_ = slash == std::string::npos ? job_.files.real_path(path) : job_.files.real_path(folder + "/");
        while (last_real_.size() > 1 && last_real_.back() == '/') last_real_.pop_back();
    }
    const std::string real =
        slash == std::string::npos ? last_real_ : (last_real_ == "/" ? "" : last_real_) + path.substr(slash);
    SeenBy found = SeenBy::one_host;
    std::size_t longest = 0;
    for (const auto& [directory, seen] : disks_) {
        const bool below = real.rfind(directory == "/" ? directory : directory + "/", 0) == 0;
        if (!below || directory.size() < longest) continue;
        // One directory may have several roles; shared in one of them is shared.
        found = directory.size() == longest && found == SeenBy::all_hosts ? found : seen;
        longest = directory.size();
    }
    return found;
}

}  // namespace sluice
