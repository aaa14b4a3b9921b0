#include "io/mounts.hpp"

#include <gtest/gtest.h>
#include <sys/sysmacros.h>

namespace sluice {
namespace {

// Two directories of one server, of one file system there: the kernel gives both mounts one device number.
const char* const kTable =
    "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
    "40 22 0:52 / /mnt/all rw,relatime shared:9 - nfs4 filer:/export rw,vers=4.2\n"
    "41 22 0:52 / /mnt/sub rw,relatime - nfs4 filer:/export/sub rw,vers=4.2\n"
    "42 22 0:53 / /mnt/smb rw shared:3 master:2 - cifs //filer/share/sub rw\n";

TEST(Mounts, TheMountOfAPathIsToldByItsNumberNotByTheDevice) {
    const std::uint64_t device = makedev(0, 52);
    EXPECT_EQ(parse_mountinfo(kTable, 41, device).source, "filer:/export/sub");
    EXPECT_EQ(parse_mountinfo(kTable, 40, device).source, "filer:/export");
    EXPECT_EQ(parse_mountinfo(kTable, 0, device).source, "filer:/export") << "where no number is known";
    EXPECT_EQ(parse_mountinfo(kTable, 42, 0).type, "cifs");
    EXPECT_EQ(parse_mountinfo(kTable, 77, device).source, "");
}

TEST(Mounts, TheServerIsTheSameWhicheverDirectoryOfItIsMounted) {
    const auto server = [](const char* source) { return MountInfo{"", source}.server(); };
    EXPECT_EQ(server("filer:/export/sub"), server("filer:/export"));
    EXPECT_EQ(server("//filer/share/sub"), server("//filer/other"));
    EXPECT_EQ(server("mgs1@tcp:mgs2@tcp:/scratch"), "mgs1@tcp:mgs2@tcp");
    EXPECT_EQ(server("[fe80::1]:/export"), "[fe80::1]");
    EXPECT_NE(server("filer:/export"), server("other:/export"));
    EXPECT_EQ(server("hostshare"), "hostshare");
}

TEST(Mounts, WhatIsNotKnownToBeOfOneKernelMayBeSeenByOthers) {
    const std::uint64_t block = makedev(8, 1), none = makedev(0, 52);
    EXPECT_FALSE(is_network_type(0xEF53, block)) << "ext4";
    EXPECT_FALSE(is_network_type(0x01021994, none)) << "tmpfs";
    EXPECT_FALSE(is_network_type(0x9123683E, none)) << "btrfs";
    EXPECT_TRUE(is_network_type(0x6969, none)) << "NFS";
    EXPECT_TRUE(is_network_type(0x7461636F, block)) << "OCFS2, on a block device that hosts share";
    EXPECT_TRUE(is_network_type(0x786F4256, none)) << "vboxsf, which no list here has";
    EXPECT_TRUE(is_network_type(0x65735546, none) && !is_server_type(0x65735546)) << "FUSE";
    EXPECT_FALSE(is_network_type(0x65735546, block)) << "ntfs-3g, on a block device";
}

}  // namespace
}  // namespace sluice
