#pragma once
/// Which file system a file lies on, and whether other hosts may see the same one.

#include <cstdint>
#include <string>

namespace sluice {

struct MountInfo {
    std::string type, source;  ///< as /proc/self/mountinfo has them: "nfs4", "filer:/export"; "" where it does not say
    bool is_network = false;   ///< other hosts may have the same files; device numbers differ there
};

/// @param device  FileIdentity::device of something on it; `path` leads to that. Never throws for what is not shown.
MountInfo read_mount(const std::string& path, std::uint64_t device);

/// Of one device in the text of a mountinfo file: its type and source.
MountInfo parse_mountinfo(const std::string& text, std::uint64_t device);

}  // namespace sluice
