#pragma once
/// Texts on disk: configs, manifests, records. Internal to the io layer.

#include <cstdint>
#include <string>

namespace sluice {

/// All of a regular file, from an open descriptor, which is not closed. Error(input), naming `path`, for anything but a
/// regular file, TooLargeError(input) for one of more than `most_bytes`; a pipe's writer or an endless device is never
/// waited for where the descriptor was opened with O_NONBLOCK.
std::string read_small_file(int fd, const std::string& path, std::uint64_t most_bytes);

}  // namespace sluice
