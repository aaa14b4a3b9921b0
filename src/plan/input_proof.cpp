#include "plan/input_proof.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <set>

#include "plan/cluster.hpp"
#include "plan/preflight_paths.hpp"
#include "plan/role_disks.hpp"
#include "runtime/packing.hpp"
#include "runtime/rng.hpp"

namespace sluice {
namespace {

using Key = std::array<std::uint64_t, 2>;

/// 128 bits of a text: two chains that differ in their seed. To tell texts apart, not against forgery.
Key key_of(const std::string& text) {
    Key key{0x5151, 0xa7a7};
    for (std::size_t at = 0; at < text.size(); at += sizeof(std::uint64_t)) {
        std::uint64_t word = 0;
        std::memcpy(&word, text.data() + at, std::min(sizeof word, text.size() - at));
        for (std::uint64_t& half : key) half = Rng(half ^ (word + text.size())).next();
    }
    return key;
}

/// Sends each record to the rank that its key chooses.
template <typename Record>
Heard<std::vector<Record>> send_by_key(const JobContext& job, const std::vector<Record>& records, JointExchange& call) {
    std::vector<std::vector<Record>> to_rank(job.ranks());
    for (const Record& record : records) to_rank[record.key[0] % job.ranks()].push_back(record);
    return call.say(to_rank);
}

/// What has come here, grouped by key.
template <typename Record>
std::map<Key, std::vector<Record>> by_key(const Heard<std::vector<Record>>& heard) {
    std::map<Key, std::vector<Record>> met;
    for (const auto& list : *heard) {
        for (const Record& record : list) {
            tick_step();
            met[record.key].push_back(record);
        }
    }
    return met;
}

/// What a rank sees under a path that the config names.
struct Sight {
    Key key{};
    std::uint32_t rank = 0;
    std::uint64_t device = 0, inode = 0;
    std::string host, path, boot;
    static constexpr auto fields =
        std::tuple{&Sight::key, &Sight::rank, &Sight::device, &Sight::inode, &Sight::host, &Sight::path, &Sight::boot};
};

/// The folder that a pattern's matches all lie below.
std::string folder_of(const std::string& pattern) {
    const std::size_t wild = std::min(pattern.find_first_of("*?[\\"), pattern.size());
    const std::size_t slash = pattern.rfind('/', wild);
    return slash == 0 || slash == std::string::npos ? "/" : pattern.substr(0, slash);
}

std::vector<std::string> named_paths(const JobContext& job) {
    std::set<std::string> paths;
    for (const DiskConfig& disk : job.config.disks) {
        if (disk.path.find("{rank}") == std::string::npos)
            paths.insert(expand_path(disk.path, job.place.host, job.rank()));
    }
    for (const std::string& pattern : job.config.input.paths) {
        if (pattern.find("{rank}") == std::string::npos)
            paths.insert(folder_of(expand_path(pattern, job.place.host, job.rank())));
    }
    return {paths.begin(), paths.end()};
}

/// A file as its identity goes to the rank that compares.
struct Claim {
    Key key{};
    std::uint32_t host_index = 0;
    SeenBy seen_by = SeenBy::one_host;
    std::uint32_t place = 0;  ///< in its host's list of files that are seen by as many: by it hosts share them out
    std::uint64_t device = 0;
    std::string host, path, boot;
    static constexpr auto fields = std::tuple{&Claim::key,    &Claim::host_index, &Claim::seen_by, &Claim::place,
                                              &Claim::device, &Claim::host,       &Claim::path,    &Claim::boot};
};

/// A directory that a rank makes files in, for all who see it.
struct DiskClaim {
    Key key{};
    std::uint32_t rank = 0;
    std::uint64_t device = 0;
    std::string host, path, boot;
    static constexpr auto fields = std::tuple{&DiskClaim::key,  &DiskClaim::rank, &DiskClaim::device,
                                              &DiskClaim::host, &DiskClaim::path, &DiskClaim::boot};
};

/// Of those that a server says the same of: within one boot the device number tells whether it is one file.
template <typename Each>
std::vector<std::vector<Each>> split_by_device(std::vector<Each> claims) {
    std::vector<std::vector<Each>> files;
    for (Each& claim : claims) {
        const auto same = std::find_if(files.begin(), files.end(), [&](const std::vector<Each>& file) {
            return std::none_of(file.begin(), file.end(), [&](const Each& known) {
                return !known.boot.empty() && known.boot == claim.boot && known.device != claim.device;
            });
        });
        (same != files.end() ? *same : files.emplace_back()).push_back(std::move(claim));
    }
    return files;
}

/// The same for whatever leads to it, on hosts that see it: by the boot and the device number of a local file system,
/// by `of_server` elsewhere, where the device number is each host's own; "": what is said there tells nothing.
std::string identity_of(const ProcessIdentity& self, const std::string& host, const MountInfo& mount,
                        const FileIdentity& id, const std::string& of_server) {
    if (mount.is_network && !of_server.empty()) return of_server;
    return pack(std::array{id.device, id.inode}) + (self.boot.empty() ? "host " + host : self.boot);
}

std::string where(const Claim& claim) { return "'" + claim.path + "' on host " + claim.host; }

/// A file that all hosts share has one place, or as many as it is listed, in the lists of all.
Problem judge_places(const std::vector<Claim>& claims) {
    std::map<std::uint32_t, std::vector<std::uint32_t>> by_host;
    for (const Claim& claim : claims) by_host[claim.host_index].push_back(claim.place);
    for (auto& [host, places] : by_host) std::sort(places.begin(), places.end());
    const auto text = [](const std::vector<std::uint32_t>& places) {
        std::string all;
        for (const std::uint32_t place : places) all += (all.empty() ? "" : ", ") + std::to_string(place + 1);
        return all;
    };
    const auto& expected = by_host.at(claims.front().host_index);
    for (const Claim& claim : claims) {
        const auto& places = by_host.at(claim.host_index);
        if (places == expected) continue;
        return {Errc::config,
                "input " + where(claims.front()) + ": is file " + text(expected) +
                    " of the list of shared input there, and file " + text(places) + ", '" + claim.path +
                    "', on host " + claim.host +
                    ": hosts share such files out by their places; have all of them list the same files by the "
                    "same names"};
    }
    return {};
}

/// Several hosts, or one more than once, have this file in their lists.
Problem judge(const JobContext& job, const std::vector<Claim>& claims) {
    const Claim& first = claims.front();
    const bool all_shared = std::all_of(claims.begin(), claims.end(),
                                        [](const Claim& claim) { return claim.seen_by == SeenBy::all_hosts; });
    std::map<std::uint32_t, const Claim*> by_host;
    for (const Claim& claim : claims) {
        const auto [other, fresh] = by_host.emplace(claim.host_index, &claim);
        if (!fresh && !job.config.run.allow_duplicate_input) {
            return {Errc::config, "input " + where(claim) + ": is the same file as '" + other->second->path +
                                      "'; list it once, or set run.allow_duplicate_input = true"};
        }
    }
    if (by_host.size() > 1 && !all_shared) {
        const Claim& other = *std::next(by_host.begin())->second;
        return {
            Errc::config,
            "input " + where(first) + " and " + where(other) +
                " are the same file, and each host would sort it: a file system that all hosts see needs a [[disks]] "
                "table with scope = \"shared\" for the directory that the file lies below"};
    }
    if (all_shared && by_host.size() < job.place.hosts) {
        return {
            Errc::config,
            "input " + where(first) + ": lies on a disk with scope = \"shared\", but only " +
                std::to_string(by_host.size()) + " of " + std::to_string(job.place.hosts) +
                " hosts have it in their list of input; all hosts must see the same files there, or it is no shared "
                "disk"};
    }
    return all_shared ? judge_places(claims) : Problem();
}

void judge_hosts(const Heard<std::vector<Sight>>& heard, Problems& problems) {
    for (const auto& [key, seen] : by_key(heard)) {
        const Sight& first = seen.front();
        for (const Sight& other : seen) {
            // One that cannot be seen, as without /proc, is no other one.
            const bool other_boot = !first.boot.empty() && !other.boot.empty() && first.boot != other.boot;
            if (!other_boot && first.device == other.device && first.inode == other.inode) continue;
            problems.push_back(
                {Errc::config,
                 "hosts: ranks " + std::to_string(first.rank) + " and " + std::to_string(other.rank) +
                     " both run on a host named '" + first.host + "', but " +
                     (other_boot ? "not on the same machine (their kernels have different boot ids)"
                                 : "'" + first.path + "' is not the same directory there (device and inode " +
                                       std::to_string(first.device) + ":" + std::to_string(first.inode) + " and " +
                                       std::to_string(other.device) + ":" + std::to_string(other.inode) + ")") +
                     ": two machines bear one name; give each host, or container, a name of its own"});
            return;  // one path is enough to tell
        }
    }
}

void judge_files(const JobContext& job, const Heard<std::vector<Claim>>& heard, Problems& problems) {
    constexpr std::size_t kMostSaid = 10;
    std::size_t wrong = 0;
    for (auto& [key, alike] : by_key(heard)) {
        tick_step();
        for (const std::vector<Claim>& same : split_by_device(std::move(alike))) {
            const bool is_fine =
                same.size() == 1 && (same.front().seen_by != SeenBy::all_hosts || job.place.hosts == 1);
            Problem problem = is_fine ? Problem() : judge(job, same);
            if (!problem.empty() && ++wrong <= kMostSaid) problems.push_back(std::move(problem));
        }
    }
    if (wrong > kMostSaid)
        problems.push_back(
            {Errc::config, "input: " + std::to_string(wrong - kMostSaid) + " more files are there twice"});
}

void judge_disks(const Heard<std::vector<DiskClaim>>& heard, Problems& problems) {
    for (auto& [key, alike] : by_key(heard)) {
        for (const std::vector<DiskClaim>& same : split_by_device(std::move(alike))) {
            const DiskClaim &first = same.front(), &last = same.back();
            if (first.rank == last.rank) continue;  // the same one listed twice, which is said elsewhere
            problems.push_back(
                {Errc::config,
                 first.path + " on host " + first.host + " (rank " + std::to_string(first.rank) + ") and " + last.path +
                     " on host " + last.host + " (rank " + std::to_string(last.rank) +
                     ") are the same directory, and each would take it for its own: set scope = \"shared\" "
                     "on a disk that all hosts see, or give each its own directory ({host} or {rank} in the "
                     "path)"});
        }
    }
}

}  // namespace

void InputProof::say_hosts(JointExchange& call) {
    JobContext& job = job_;
    const Step step = open_step(job, "compares the hosts");
    std::vector<Sight> sights;
    const std::string boot = job.processes.self().boot;
    std::vector<std::string> paths = named_paths(job);
    if (paths.empty()) paths.emplace_back();  // all are of one rank: there is still the boot id to compare
    for (const std::string& path : paths) {
        const auto info = path.empty() ? std::nullopt : look(job, path);
        Sight sight;
        sight.key = key_of(job.place.host + '\0' + path);
        sight.rank = job.rank();
        sight.device = info ? info->device : 0;
        sight.inode = info ? info->inode : 0;
        sight.host = job.place.host;
        sight.path = path;
        sight.boot = boot;
        sights.push_back(std::move(sight));
    }
    const auto heard = send_by_key(job, sights, call);
    judges_.emplace_back([heard](Problems& problems) { judge_hosts(heard, problems); });
}

void InputProof::say_files(JointExchange& call, const std::vector<InputFile>& files) {
    JobContext& job = job_;
    const Step step = open_step(job, "proves the set of input");
    const ProcessIdentity self = job.processes.self();
    std::map<std::pair<std::uint64_t, std::uint64_t>, MountInfo> mounts;  // of a device there may be several
    std::vector<Claim> claims;
    std::map<SeenBy, std::uint32_t> places;
    for (const InputFile& file : files) {
        tick_step();
        const std::uint32_t place = places[file.seen_by]++;
        if (!speaks_of(job, file.seen_by)) continue;
        const FileIdentity& id = file.identity;
        const auto [known, fresh] = mounts.try_emplace({id.device, id.mount_id});
        if (fresh) known->second = job.files.mount_of(file.path, id);
        const MountInfo& mount = known->second;
        const std::string identity = identity_of(
            self, job.place.host, mount, id,
            pack(std::array{id.inode, id.size_bytes, static_cast<std::uint64_t>(id.modified_ns)}) + mount.server());
        claims.push_back({key_of(identity), job.place.host_index, file.seen_by, place, id.device, job.place.host,
                          file.path, self.boot});
    }
    const auto heard = send_by_key(job, claims, call);
    judges_.emplace_back([this, heard](Problems& problems) { judge_files(job_, heard, problems); });
}

void InputProof::say_disks(JointExchange& call, const std::vector<DiskRole>& roles) {
    JobContext& job = job_;
    const Step step = open_step(job, "compares the disks of all hosts");
    const ProcessIdentity self = job.processes.self();
    std::vector<DiskClaim> claims;
    for (const DiskRole role : roles) {
        for (const RoleDisk& disk : role_disks(job, role).disks) {
            if (!disk.is_ours || disk.seen_by == SeenBy::all_hosts) continue;
            const auto info = look(job, disk.path);
            if (!info) continue;
            const MountInfo mount = job.files.mount_of(disk.path, *info);
            const std::string identity =
                word_of(role) + identity_of(self, job.place.host, mount, *info,
                                            mount.is_server ? pack(info->inode) + mount.source : "");
            claims.push_back({key_of(identity), job.rank(), info->device, job.place.host,
                              word_of(role) + " disk '" + disk.path + "'", self.boot});
        }
    }
    const auto heard = send_by_key(job, claims, call);
    judges_.emplace_back([heard](Problems& problems) { judge_disks(heard, problems); });
}

void InputProof::judge(Problems& problems) {
    const Step step = open_step(job_, "proves the set of input");
    for (const auto& each : judges_) each(problems);
}

void prove_disks(JobContext& job, const std::vector<DiskRole>& roles, Problems& problems) {
    InputProof proof(job);
    JointExchange call(job.ranks());
    proof.say_disks(call, roles);
    call.call(job.communicator);
    proof.judge(problems);
}

std::string change_text(const FileIdentity& before, const FileIdentity* now) {
    if (now == nullptr) return "is gone: it was removed while it was sorted";
    if (!now->same_file(before)) return "is another file now: it was replaced while it was sorted";
    if (now->size_bytes != before.size_bytes)
        return "has " + std::to_string(now->size_bytes) + " bytes, and had " + std::to_string(before.size_bytes) +
               " when it was listed: it was changed while it was sorted";
    return "was written to while it was sorted (its time of modification moved)";
}

}  // namespace sluice
