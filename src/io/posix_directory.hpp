#pragma once
/// Directories of the real file system. Internal to the io layer; use FileSystem::open_directory.

#include <memory>
#include <string>

#include "io/directory.hpp"

namespace sluice {

/// The configured path may contain links and is resolved here, once. Throws Error(environment) where there is no
/// directory, or this user may not open it.
std::unique_ptr<Directory> open_posix_directory(const std::string& path);

}  // namespace sluice
