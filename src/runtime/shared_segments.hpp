#pragma once
/// Files in /dev/shm by which the ranks of a host share memory. MPI makes them, and they outlive ranks that are killed.

#include <cstdint>
#include <string>
#include <vector>

namespace sluice {

inline constexpr const char* kSharedMemoryDirectory = "/dev/shm";

/// Name and inode: another file may get the name later.
struct SharedSegment {
    std::string name;
    std::uint64_t inode = 0;
};

/// One of the names that Open MPI gives to its segments and windows; no other file there is any of our business.
bool is_segment_name(const std::string& name);

/// Those that this process has mapped. @param root  prefix of /proc, for tests
std::vector<SharedSegment> mapped_segments(const std::string& root = "");

/// A process whose memory map this user may read has the file mapped.
bool is_mapped_by_anyone(const SharedSegment& segment, const std::string& root = "");

}  // namespace sluice
