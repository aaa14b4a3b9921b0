#include "plan/disk_space.hpp"

#include <algorithm>
#include <map>

#include "plan/cluster.hpp"
#include "runtime/units.hpp"

namespace sluice {
namespace {

// Of a rank on a disk in each role, beside its data: a directory, the record, MANIFEST, what is tried in preflight.
constexpr std::uint64_t kFilesBeside = 6;

}  // namespace

DiskSpace::Need* DiskSpace::of_disk(const RoleDisk& disk) {
    const auto info = job_.files.info(disk.path);
    if (!info) return nullptr;
    // Device numbers are a host's; one network file system has others on each.
    const std::string key = disk.seen_by == SeenBy::all_hosts ? "shared " + job_.files.mount_of(disk.path, *info).source
                                                              : job_.place.host + " " + std::to_string(info->device);
    for (Need& need : needs_) {
        if (need.key == key) return &need;
    }
    Need fresh;
    fresh.key = key;
    fresh.disk = disk.path;
    fresh.host = job_.place.host;
    const DiskRoom room = job_.files.room(disk.path);
    fresh.free_bytes = room.free_bytes;
    fresh.free_files = room.files_total == 0 ? UINT64_MAX : room.files_free;
    fresh.bytes_quota = room.bytes_quota;
    fresh.files_quota = room.files_quota;
    needs_.push_back(std::move(fresh));
    return &needs_.back();
}

void DiskSpace::need(const RoleDisk& disk, const DiskNeed& need) {
    const std::string where = "disk '" + disk.path + "' on host " + job_.place.host + ": ";
    try {
        Need* const found = of_disk(disk);
        if (found == nullptr) return;
        found->bytes += need.bytes;
        found->files += need.files + kFilesBeside;
        const std::string problem = job_.files.problem_of_size(disk.path, need.largest_file_bytes);
        if (!problem.empty()) {
            own_problems_.push_back({Errc::environment, where + "a file of " + format_bytes(need.largest_file_bytes) +
                                                            " will be written there: " + problem});
        }
        const std::string quota = job_.files.problem_of_hidden_quota(disk.path, found->bytes);
        if (!quota.empty())
            own_problems_.push_back(
                {Errc::environment, where + human_bytes(static_cast<double>(found->bytes)) + " needed: " + quota});
    } catch (const Error& error) {  // judge() is collective: no rank may stay away from it
        own_problems_.push_back({Errc::environment, where + error.what()});
    }
}

void DiskSpace::replaces(const OldDataSet& old) {
    for (const OldDataSet::Size& size : old.size_by_disk()) {
        try {
            Need* const found = of_disk(size.disk);
            if (found == nullptr) continue;
            found->old_bytes += size.bytes;
            found->old_files += size.files;
        } catch (const Error&) {  // need() has said it
        }
    }
}

void DiskSpace::say(JointGather& call) { heard_ = call.say(needs_); }

Problems DiskSpace::judge(const std::string& what) const {
    Problems problems;
    for (const Need& sum : sum_over_ranks()) {
        judge_bytes(sum, what, problems);
        judge_files(sum, what, problems);
    }
    return problems;
}

void DiskSpace::judge(const std::string& what, Problems& problems) {
    JointGather call;
    say(call);
    call.call(job_.communicator);
    problems.insert(problems.end(), own_problems_.begin(), own_problems_.end());
    if (job_.rank() != 0) return;  // one says it
    const Problems common = judge(what);
    problems.insert(problems.end(), common.begin(), common.end());
}

std::vector<DiskSpace::Need> DiskSpace::sum_over_ranks() const {
    std::vector<Need> sums;
    std::map<std::string, std::size_t> numbers;  // a cluster has as many keys as disks
    for (const std::vector<Need>& needs : *heard_) {
        for (const Need& part : needs) {
            const auto [found, fresh] = numbers.emplace(part.key, sums.size());
            if (fresh) {
                sums.push_back(part);
                continue;
            }
            Need& same = sums[found->second];
            same.bytes += part.bytes;
            same.old_bytes += part.old_bytes;
            same.old_files += part.old_files;
            same.files += part.files;
            same.free_bytes = std::min(same.free_bytes, part.free_bytes);
            same.free_files = std::min(same.free_files, part.free_files);
        }
    }
    return sums;
}

void DiskSpace::judge_bytes(const Need& sum, const std::string& what, Problems& problems) const {
    const Overwrite overwrite = job_.config.run.overwrite;
    const auto size = [](std::uint64_t bytes) { return human_bytes(static_cast<double>(bytes)); };
    const std::uint64_t freed = overwrite == Overwrite::first ? sum.old_bytes : 0;
    if (sum.free_bytes + freed >= sum.bytes) return;
    const bool by_quota = !sum.bytes_quota.empty();
    problems.push_back(
        {Errc::environment,
         "disk '" + sum.disk + "' on host " + sum.host + ": " + size(sum.bytes) + " needed for " + what + ", " +
             size(sum.free_bytes) + (by_quota ? " left to the quota of " + sum.bytes_quota : " free") +
             (freed != 0 ? " and " + size(freed) + " of the old set that run.overwrite removes" : "") +
             (by_quota
                  ? "; have it raised, or remove files of that " + sum.bytes_quota.substr(0, sum.bytes_quota.find(' '))
                  : "; free space or add disks") +
             (overwrite == Overwrite::yes && sum.old_bytes != 0 && sum.free_bytes + sum.old_bytes >= sum.bytes
                  ? ", or set run.overwrite = \"first\": the old set, " + size(sum.old_bytes) +
                        ", then goes before the new one is begun"
                  : "")});
}

void DiskSpace::judge_files(const Need& sum, const std::string& what, Problems& problems) const {
    const std::uint64_t freed = job_.config.run.overwrite == Overwrite::first ? sum.old_files : 0;
    // Not added up: free_files may be the largest number there is.
    if (sum.free_files >= sum.files || freed >= sum.files - sum.free_files) return;
    problems.push_back(
        {Errc::environment,
         "disk '" + sum.disk + "' on host " + sum.host + ": " + std::to_string(sum.files) + " files needed for " +
             what + ", " + std::to_string(sum.free_files) +
             (sum.files_quota.empty() ? " inodes free (`df -i`); remove files there"
                                      : " left to the quota of " + sum.files_quota + "; have it raised") +
             ", or take fewer and larger partitions (partitions.size)"});
}

}  // namespace sluice
