#pragma once
/// Whether what is read and written really by-passes the page cache: an open with O_DIRECT that succeeds says little.

#include <cstdint>
#include <string>

namespace sluice {

/// Cached unless proven direct.
struct DirectIoProof {
    std::uint32_t alignment = 0;  ///< in bytes, that offsets and memory want; 0: nothing proves that I/O is direct
    std::string cached_because;   ///< "" with an alignment; else a half sentence: "tmpfs is memory"
};

/// Of a regular file, by its open descriptor: what statx (STATX_DIOALIGN) says of it; on kernels that say nothing ext4
/// and xfs by name, btrfs where the file has no checksums (nodatacow), an overlay as its upper layer.
DirectIoProof prove_direct_io(int descriptor);

/// Of files that would be made in `directory`: of a nameless one, where there are such, else of the directory as far as
/// its file system's name goes.
DirectIoProof prove_direct_io_in(const std::string& directory);

/// Of a file that is there; an alignment where it cannot be opened, which is for others to say.
DirectIoProof prove_direct_io_of(const std::string& file);

/// The directory of the upper layer in the options of an overlay mount, "" where they do not say; \040 and its like are
/// resolved.
std::string upper_directory_of(const std::string& mount_options);

}  // namespace sluice
