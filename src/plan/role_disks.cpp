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

bool speaks_of(const JobContext& job, SeenBy seen_by) {
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

void PathScopes::resolve_disks() {
    for (const DiskConfig& disk : job_.config.disks) {
        // Who names a file below one rank's disk by a path without {rank} names it for the whole host.
        const SeenBy seen = seen_by(disk) == SeenBy::all_hosts ? SeenBy::all_hosts : SeenBy::one_host;
        const auto [known, fresh] =
            disks_.emplace(job_.files.real_path(expand_path(disk.path, job_.place.host, job_.rank())), seen);
        // One directory may have several roles; shared in one of them is shared.
        if (!fresh && seen == SeenBy::all_hosts) known->second = seen;
    }
}

SeenBy PathScopes::of(const std::string& path) {
    const std::size_t slash = path.rfind('/');
    if (slash == std::string::npos) {
        const std::string real = job_.files.real_path(path);
        return of_real_folder(real.substr(0, std::min(real.rfind('/'), real.size())));
    }
    const std::string folder = path.substr(0, slash);
    if (!last_ || folder != last_folder_) {  // lists go folder by folder
        last_folder_ = folder;
        last_ = of_real_folder(job_.files.real_path(folder + "/"));
    }
    return *last_;
}

/// Of what lies directly in it.
SeenBy PathScopes::of_real_folder(std::string folder) {
    if (disks_.empty()) resolve_disks();
    while (!folder.empty()) {
        if (folder.size() > 1 && folder.back() == '/') {
            folder.pop_back();
            continue;
        }
        if (const auto disk = disks_.find(folder); disk != disks_.end()) return disk->second;
        if (folder == "/") break;
        folder.resize(folder.rfind('/') + 1);
    }
    return SeenBy::one_host;
}

}  // namespace sluice
