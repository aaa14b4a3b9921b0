#include "runtime/shared_segments.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace sluice {
namespace {

/// "7f12-7f34 rw-s 00000000 00:1a 265      /dev/shm/NAME"
std::vector<SharedSegment> segments_in(const std::string& maps_path) {
    std::vector<SharedSegment> found;
    std::ifstream maps(maps_path);
    const std::string directory = std::string(kSharedMemoryDirectory) + "/";
    for (std::string line; std::getline(maps, line);) {
        const std::size_t at = line.find(directory);
        if (at == std::string::npos || line.find(" (deleted)", at) != std::string::npos) continue;
        std::istringstream words(line);
        std::string range, access, offset, device;
        SharedSegment segment;
        if (!(words >> range >> access >> offset >> device >> segment.inode)) continue;
        segment.name = line.substr(at + directory.size());
        const auto same = [&](const SharedSegment& other) { return other.name == segment.name; };
        if (is_segment_name(segment.name) && std::none_of(found.begin(), found.end(), same))
            found.push_back(std::move(segment));
    }
    return found;
}

}  // namespace

bool is_segment_name(const std::string& name) {
    if (name.find('/') != std::string::npos) return false;
    for (const char* prefix : {"vader_segment.", "sm_segment.", "osc_sm.", "osc_rdma."}) {
        if (name.rfind(prefix, 0) == 0) return true;
    }
    return false;
}

std::vector<SharedSegment> mapped_segments(const std::string& root) { return segments_in(root + "/proc/self/maps"); }

bool is_mapped_by_anyone(const SharedSegment& segment, const std::string& root) {
    std::error_code error;
    for (const auto& process : std::filesystem::directory_iterator(root + "/proc", error)) {
        const std::string pid = process.path().filename();
        if (pid.find_first_not_of("0123456789") != std::string::npos) continue;
        for (const SharedSegment& each : segments_in(process.path().string() + "/maps")) {
            if (each.name == segment.name && each.inode == segment.inode) return true;
        }
    }
    return false;
}

}  // namespace sluice
