#pragma once
/// Ranks of one host copy from each other's memory all or none: Open MPI crashes where one does and another does not.
/// They find out before MPI_Init, by files in a directory of the host. Internal to the net layer.

#include <chrono>
#include <cstdint>
#include <string>

namespace sluice {

/// Says that a process can copy from no other.
inline constexpr const char* kCopiesNothing = "none";

/// Where the ranks of this host meet, and which of them this is.
struct CopyMeeting {
    std::string directory;  ///< one a job and host, such as the launcher's daemon makes
    std::string job;        ///< part of the files' names
    std::uint32_t local_rank = 0, local_ranks = 1;
};

/// Whether all ranks of the host said the same as `mine`, and not kCopiesNothing. All of them get one answer: the first
/// that knows, or has waited for `patience`, leaves it for the others. True where the directory cannot be used, since
/// then nobody can tell.
/// @param mine  the user namespace of this process, or kCopiesNothing
bool host_agrees_on_copies(const CopyMeeting& meeting, const std::string& mine, std::chrono::milliseconds patience);

}  // namespace sluice
