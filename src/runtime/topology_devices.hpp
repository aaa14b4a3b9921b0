#pragma once
/// Which memory node a disk or a network interface hangs on, from the kernel's device tree (hwloc's I/O objects have it
/// from there too; reading it directly saves the scan of all PCI devices).

#include <string>

namespace sluice {

/// @param root  prefix of /sys and /proc, for tests. All three return -1 when the kernel does not say or when the disks
/// below one device disagree; none throws.

/// The device `major`:`minor`, a partition of it, or one made of others (device mapper, RAID, loop).
int numa_node_of_block_device(unsigned major, unsigned minor, const std::string& root = "");
/// The device that holds `path`; a path that does not exist yet counts as its nearest existing parent. Also finds the
/// disk behind file systems with device numbers of their own (btrfs).
int numa_node_of_path(const std::string& path, const std::string& root = "");
/// A network interface by name.
int numa_node_of_interface(const std::string& name, const std::string& root = "");

}  // namespace sluice
