#include "runtime/topology_devices.hpp"

#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <filesystem>
#include <fstream>
#include <sstream>

namespace sluice {
namespace {

namespace fs = std::filesystem;

constexpr int kDeepestStack = 8;  // a file system on loop on RAID on device mapper is 4

int node_of_path(const std::string& path, const std::string& root, int depth);

/// The node that `directory` or the nearest device above it names: the disk does not, its controller on the bus does.
int node_of_device(const fs::path& directory) {
    std::error_code failed;
    fs::path at = fs::canonical(directory, failed);
    while (!failed && at.has_relative_path()) {
        int node = -1;
        if (std::ifstream file(at / "numa_node"); file >> node && node >= 0) return node;
        at = at.parent_path();
    }
    return -1;
}

int node_of_block_device(const fs::path& directory, const std::string& root, int depth) {
    if (depth > kDeepestStack) return -1;
    std::error_code failed;
    int agreed = -1;
    bool made_of_others = false;
    for (const auto& slave : fs::directory_iterator(directory / "slaves", failed)) {
        const int node = node_of_block_device(slave.path(), root, depth + 1);
        if (made_of_others && node != agreed) return -1;
        agreed = node;
        made_of_others = true;
    }
    if (made_of_others) return agreed;
    std::string backing;
    if (std::ifstream file(directory / "loop" / "backing_file"); std::getline(file, backing))
        return node_of_path(backing, root, depth + 1);
    return node_of_device(directory);
}

std::string device_directory(unsigned device_major, unsigned device_minor, const std::string& root) {
    return root + "/sys/dev/block/" + std::to_string(device_major) + ":" + std::to_string(device_minor);
}

/// The /dev file that the mount table names for a device number without a driver; "" if it names none.
std::string mounted_source(unsigned device_major, unsigned device_minor, const std::string& root) {
    const std::string wanted = std::to_string(device_major) + ":" + std::to_string(device_minor);
    std::ifstream table(root + "/proc/self/mountinfo");
    std::string line;
    while (std::getline(table, line)) {
        std::istringstream words(line);
        std::string id, parent, device, word, type, source;
        words >> id >> parent >> device;
        if (device != wanted) continue;
        while (words >> word && word != "-") {
        }
        words >> type >> source;
        if (source.rfind("/dev/", 0) == 0) return source;
    }
    return "";
}

int node_of_path(const std::string& path, const std::string& root, int depth) {
    std::error_code failed;
    fs::path existing = fs::absolute(path, failed);
    struct stat info {};
    while (::stat(existing.c_str(), &info) != 0) {
        if (!existing.has_relative_path()) return -1;
        existing = existing.parent_path();
    }
    dev_t device = info.st_dev;
    if (major(device) == 0) {
        const std::string source = mounted_source(major(device), minor(device), root);
        if (source.empty() || ::stat(source.c_str(), &info) != 0) return -1;
        device = info.st_rdev;
    }
    return node_of_block_device(device_directory(major(device), minor(device), root), root, depth);
}

}  // namespace

int numa_node_of_block_device(unsigned device_major, unsigned device_minor, const std::string& root) {
    return node_of_block_device(device_directory(device_major, device_minor, root), root, 0);
}

int numa_node_of_path(const std::string& path, const std::string& root) { return node_of_path(path, root, 0); }

int numa_node_of_interface(const std::string& name, const std::string& root) {
    if (name.empty() || name.find('/') != std::string::npos) return -1;
    return node_of_device(fs::path(root + "/sys/class/net/" + name + "/device"));
}

}  // namespace sluice
