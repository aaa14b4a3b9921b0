#pragma once
/// Which file system a file lies on, and whether other hosts may see the same one.

#include <cstdint>
#include <string>

#include "io/file_identity.hpp"

namespace sluice {

/// The mount through which a path leads. Plain data.
struct MountInfo {
    std::string type, source;  ///< as /proc/self/mountinfo has them: "nfs4", "filer:/export"; "" where it does not say
    bool is_network = false;   ///< other hosts may have the same files; device numbers differ there
    bool is_server = false;    ///< and what it calls a directory is the server's name for it, on whatever host
    /// The part of `source` that is the same whichever directory of it is mounted: "filer:", "//filer", "mgs@tcp:"; all
    /// of it where it names no server.
    std::string server() const;
};

/// What `path` leads to lies there. @param identity  of that. Never throws for what is not shown.
MountInfo read_mount(const std::string& path, const FileIdentity& identity);

/// The mount of that number in the text of a mountinfo file; without a number (0) the first of that device, which may
/// be another directory of the same server.
MountInfo parse_mountinfo(const std::string& text, std::uint64_t mount_id, std::uint64_t device);

/// Whether several hosts may see one file system of that kind: what is known to be a network's, and what has no block
/// device and is not known to be of one kernel only. @param magic  statfs(2)'s f_type
bool is_network_type(std::uint64_t magic, std::uint64_t device);
/// Not so of FUSE and 9p, which make up numbers as they like: the first directory of many is number 1.
bool is_server_type(std::uint64_t magic);

}  // namespace sluice
