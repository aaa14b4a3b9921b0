#include "io/mounts.hpp"

#include <sys/statfs.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <iterator>
#include <sstream>
#include <vector>

namespace sluice {
namespace {

/// statfs(2)'s numbers of file systems that several hosts can mount.
constexpr std::array<std::uint64_t, 15> kServerTypes{
    0x6969,      // NFS
    0x517B,      // SMB
    0xFF534D42,  // CIFS
    0xFE534D42,  // SMB2
    0x5346414F,  // AFS
    0x73757245,  // Coda
    0x00C36400,  // Ceph
    0x0BD00BD0,  // Lustre
    0x47504653,  // GPFS
    0x7461636F,  // OCFS2
    0x01161970,  // GFS2
    0x19830326,  // BeeGFS
    0xAAD7AAEA,  // PanFS
    0x20030528,  // OrangeFS
    0x18031977,  // WekaFS
};

/// Of those without a block device of their own: what lies in this kernel's memory, on its own disks, or on others of
/// its mounts.
constexpr std::array<std::uint64_t, 6> kLocalTypes{
    0x01021994,  // tmpfs
    0x858458F6,  // ramfs
    0x9123683E,  // btrfs
    0x2FC12FC1,  // ZFS
    0xCA451A4E,  // bcachefs
    0x794C7630,  // overlay
};

bool is_one_of(std::uint64_t magic, const auto& types) {
    return std::find(types.begin(), types.end(), magic) != types.end();
}

}  // namespace

std::string MountInfo::server() const {
    const std::string slashes = source.compare(0, 2, "//") == 0 ? "//" : "";
    const std::size_t end = slashes.empty() ? source.find(":/") : source.find('/', slashes.size());
    return end == std::string::npos ? source : source.substr(0, end);
}

bool is_network_type(std::uint64_t magic, std::uint64_t device) {
    return is_server_type(magic) || (major(device) == 0 && !is_one_of(magic, kLocalTypes));
}

bool is_server_type(std::uint64_t magic) { return is_one_of(magic, kServerTypes); }

MountInfo parse_mountinfo(const std::string& text, std::uint64_t mount_id, std::uint64_t device) {
    const std::string wanted =
        mount_id != 0 ? std::to_string(mount_id) : std::to_string(major(device)) + ":" + std::to_string(minor(device));
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) {
        const bool may_be = mount_id != 0 ? line.compare(0, wanted.size() + 1, wanted + " ") == 0
                                          : line.find(" " + wanted + " ") != std::string::npos;
        if (!may_be) continue;  // hosts have hundreds of mounts: only one is taken apart
        // id parent major:minor root mount-point options [optional fields] - type source super-options
        std::istringstream words(line);
        const std::vector<std::string> fields{std::istream_iterator<std::string>(words), {}};
        if (fields.size() < 3 || fields[mount_id != 0 ? 0 : 2] != wanted) continue;
        const auto dash = std::find(fields.begin(), fields.end(), "-");
        if (fields.end() - dash < 3) continue;
        return {dash[1], dash[2]};
    }
    return {};
}

MountInfo read_mount(const std::string& path, const FileIdentity& identity) {
    std::ifstream file("/proc/self/mountinfo");
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    MountInfo found = parse_mountinfo(text, identity.mount_id, identity.device);
    struct statfs where {};
    if (::statfs(path.c_str(), &where) == 0) {
        const auto magic = static_cast<std::uint64_t>(where.f_type) & 0xFFFFFFFF;
        found.is_network = is_network_type(magic, identity.device);
        found.is_server = is_server_type(magic);
    }
    return found;
}

}  // namespace sluice
