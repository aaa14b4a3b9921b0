#include "jobs/disk_space.hpp"

#include <algorithm>

#include "jobs/cluster.hpp"
#include "runtime/packing.hpp"
#include "runtime/units.hpp"

namespace sluice {

DiskSpace::Need* DiskSpace::of_disk(const RoleDisk& disk) {
    const auto info = job_.files.info(disk.path);
    if (!info) return nullptr;
    // Device numbers are a host's; one network file system has others on each.
    const std::string key = disk.seen_by == SeenBy::all_hosts
                                ? "shared " + job_.files.mount_of(disk.path, info->device).source
                                : job_.place.host + " " + std::to_string(info->device);
    for (Need& need : needs_) {
        if (need.key == key) return &need;
    }
    Need fresh;
    fresh.key = key;
    fresh.disk = disk.path;
    fresh.host = job_.place.host;
    fresh.free_bytes = job_.files.free_bytes(disk.path);
    needs_.push_back(std::move(fresh));
    return &needs_.back();
}

void DiskSpace::need(const RoleDisk& disk, std::uint64_t bytes) {
    try {
        if (Need* const found = of_disk(disk)) found->bytes += bytes;
    } catch (const Error& error) {  // judge() is collective: no rank may stay away from it
        own_problems_.push_back("[3] disk '" + disk.path + "' on host " + job_.place.host + ": " + error.what());
    }
}

void DiskSpace::replaces(const OldDataSet& old) {
    for (const auto& [disk, bytes] : old.bytes_by_disk()) {
        try {
            if (Need* const found = of_disk(disk)) found->old_bytes += bytes;
        } catch (const Error&) {  // need() has said it
        }
    }
}

void DiskSpace::judge(const std::string& what, std::vector<std::string>& problems) {
    problems.insert(problems.end(), own_problems_.begin(), own_problems_.end());
    std::vector<Need> sums;
    for (const std::string& text : job_.communicator.gather(pack(needs_), 0)) {
        if (text.empty()) continue;
        for (const Need& part : unpack<std::vector<Need>>(text)) {
            const auto same =
                std::find_if(sums.begin(), sums.end(), [&](const Need& sum) { return sum.key == part.key; });
            if (same == sums.end()) {
                sums.push_back(part);
                continue;
            }
            same->bytes += part.bytes;
            same->old_bytes += part.old_bytes;
            same->free_bytes = std::min(same->free_bytes, part.free_bytes);
        }
    }
    const Overwrite overwrite = job_.config.run.overwrite;
    const auto size = [](std::uint64_t bytes) { return human_bytes(static_cast<double>(bytes)); };
    for (const Need& sum : sums) {
        const std::uint64_t freed = overwrite == Overwrite::first ? sum.old_bytes : 0;
        if (sum.free_bytes + freed >= sum.bytes) continue;
        problems.push_back(
            "[3] disk '" + sum.disk + "' on host " + sum.host + ": " + size(sum.bytes) + " needed for " + what + ", " +
            size(sum.free_bytes) + " free" +
            (freed != 0 ? " and " + size(freed) + " of the old set that run.overwrite removes" : "") +
            "; free space or add disks" +
            (overwrite == Overwrite::yes && sum.old_bytes != 0 && sum.free_bytes + sum.old_bytes >= sum.bytes
                 ? ", or set run.overwrite = \"first\": the old set, " + size(sum.old_bytes) +
                       ", then goes before the new one is begun"
                 : ""));
    }
}

}  // namespace sluice
