#pragma once
/// The extent index of a rank on disk: what phase two, or a resumed run, needs to find the records in the logs.

#include <cstdint>
#include <string>

#include "io/extent_log.hpp"
#include "io/file_system.hpp"

namespace sluice {

/// Whose index it is; a file of any other run, rank or config is refused.
struct ExtentIndexOwner {
    std::string run_id;
    std::uint32_t rank = 0;
    std::uint64_t config_hash = 0;
};

/// Self-checked binary text: magic, byte-order mark, version, owner, 48 bytes an extent, CRC-32C of it all. The same
/// index gives the same bytes.
std::string serialize_extents(const ExtentIndex& index, const ExtentIndexOwner& owner);

/// Adds the extents of `bytes` to `index`, which must be empty. Throws Error(integrity) naming `path` when they are
/// cut or damaged, Error(resume) when they are another version's, run's, rank's, config's, or for another number of
/// logical disks; `index` is then still empty.
void deserialize_extents(const std::string& bytes, const std::string& path, const ExtentIndexOwner& owner,
                         ExtentIndex& index);

/// Writes it so that after a crash the whole file is there or none. Throws Error(device) or Error(space).
void save_extent_index(FileSystem& files, const std::string& path, const ExtentIndex& index,
                       const ExtentIndexOwner& owner);
/// Throws what deserialize_extents does, and Error(resume) when there is no such file.
void load_extent_index(FileSystem& files, const std::string& path, const ExtentIndexOwner& owner, ExtentIndex& index);

}  // namespace sluice
