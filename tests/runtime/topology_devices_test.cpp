#include "runtime/topology_devices.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

namespace sluice {
namespace {

namespace fs = std::filesystem;

/// A /sys and /proc of our own making, removed at the end.
class DeviceTree : public ::testing::Test {
protected:
    DeviceTree() {
        std::string name = (fs::temp_directory_path() / "sluice-devices-XXXXXX").string();
        root_ = ::mkdtemp(name.data());
    }
    ~DeviceTree() override { fs::remove_all(root_); }

    void write(const std::string& path, const std::string& text) {
        fs::create_directories((root_ / path).parent_path());
        std::ofstream(root_ / path) << text;
    }
    void link(const std::string& from, const std::string& to) {
        fs::create_directories((root_ / from).parent_path());
        fs::create_directories(root_ / to);
        fs::create_symlink(root_ / to, root_ / from);
    }
    /// Disk 259:`minor` behind a controller on `node`, as NVMe shows it.
    void add_disk(unsigned minor, int node) {
        const std::string controller = "sys/devices/pci0000:00/0000:0" + std::to_string(minor) + ":00.0";
        write(controller + "/numa_node", std::to_string(node) + "\n");
        link("sys/dev/block/259:" + std::to_string(minor), controller + "/nvme/nvme0/nvme0n1");
    }
    std::string root() const { return root_.string(); }
    fs::path root_;
};

TEST_F(DeviceTree, DiskHasTheNodeOfTheControllerAboveIt) {
    add_disk(1, 1);
    add_disk(2, 0);
    EXPECT_EQ(numa_node_of_block_device(259, 1, root()), 1);
    EXPECT_EQ(numa_node_of_block_device(259, 2, root()), 0);
}

TEST_F(DeviceTree, PartitionHasTheNodeOfItsDisk) {
    add_disk(1, 1);
    link("sys/dev/block/259:9", "sys/devices/pci0000:00/0000:01:00.0/nvme/nvme0/nvme0n1/nvme0n1p1");
    EXPECT_EQ(numa_node_of_block_device(259, 9, root()), 1);
}

TEST_F(DeviceTree, ControllerWithoutANodeOrNoDeviceAtAllIsUnknown) {
    add_disk(1, -1);
    EXPECT_EQ(numa_node_of_block_device(259, 1, root()), -1);
    EXPECT_EQ(numa_node_of_block_device(8, 0, root()), -1);
}

TEST_F(DeviceTree, RaidOverDisksOfOneNodeHasItAndOverTwoNodesIsUnknown) {
    for (unsigned minor = 1; minor <= 3; ++minor) add_disk(minor, minor == 3 ? 1 : 0);
    link("sys/dev/block/9:0", "sys/devices/virtual/block/md0");
    for (const char* minor : {"1", "2"})
        link(std::string("sys/devices/virtual/block/md0/slaves/d") + minor,
             std::string("sys/devices/pci0000:00/0000:0") + minor + ":00.0/nvme/nvme0/nvme0n1");
    EXPECT_EQ(numa_node_of_block_device(9, 0, root()), 0);
    link("sys/devices/virtual/block/md0/slaves/d3", "sys/devices/pci0000:00/0000:03:00.0/nvme/nvme0/nvme0n1");
    EXPECT_EQ(numa_node_of_block_device(9, 0, root()), -1);
}

TEST_F(DeviceTree, PathThatIsNotThereYetHasTheNodeOfItsParentsDisk) {
    struct stat info {};
    ASSERT_EQ(::stat(root_.c_str(), &info), 0);
    if (major(info.st_dev) == 0) GTEST_SKIP() << "the temporary folder is on no block device";
    write("sys/devices/pci0000:00/0000:05:00.0/numa_node", "3\n");
    link("sys/dev/block/" + std::to_string(major(info.st_dev)) + ":" + std::to_string(minor(info.st_dev)),
         "sys/devices/pci0000:00/0000:05:00.0/block/sda");
    EXPECT_EQ(numa_node_of_path(root() + "/not/yet/there", root()), 3);
}

TEST_F(DeviceTree, LoopDeviceHasTheNodeOfTheDiskUnderItsFile) {
    struct stat info {};
    ASSERT_EQ(::stat(root_.c_str(), &info), 0);
    if (major(info.st_dev) == 0) GTEST_SKIP() << "the temporary folder is on no block device";
    write("sys/devices/pci0000:00/0000:05:00.0/numa_node", "3\n");
    link("sys/dev/block/" + std::to_string(major(info.st_dev)) + ":" + std::to_string(minor(info.st_dev)),
         "sys/devices/pci0000:00/0000:05:00.0/block/sda");
    write("image", "");
    link("sys/dev/block/250:0", "sys/devices/virtual/block/loop0");
    write("sys/devices/virtual/block/loop0/loop/backing_file", root() + "/image\n");
    EXPECT_EQ(numa_node_of_block_device(250, 0, root()), 3);
}

TEST_F(DeviceTree, InterfaceHasTheNodeOfItsCardAndLoopbackHasNone) {
    write("sys/devices/pci0000:00/0000:04:00.0/numa_node", "1\n");
    link("sys/class/net/eth0/device", "sys/devices/pci0000:00/0000:04:00.0");
    fs::create_directories(root_ / "sys/class/net/lo");
    EXPECT_EQ(numa_node_of_interface("eth0", root()), 1);
    EXPECT_EQ(numa_node_of_interface("lo", root()), -1);
    EXPECT_EQ(numa_node_of_interface("", root()), -1);
    EXPECT_EQ(numa_node_of_interface("../eth0", root()), -1);
}

TEST(Devices, KernelFileSystemIsOnNoNode) { EXPECT_EQ(numa_node_of_path("/proc/self"), -1); }

}  // namespace
}  // namespace sluice
