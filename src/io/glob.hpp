#pragma once
/// Patterns of file names that lose nothing: a folder that cannot be read is an error, never fewer matches. Internal to
/// the io layer; use FileSystem::glob.

#include <string>
#include <vector>

namespace sluice {

/// Paths that match, sorted. `*`, `?` and `[...]` stand for parts of one name and never for a leading dot; a backslash
/// takes a sign for itself. A path that is there is itself, whatever signs are in it; so is one without any of them.
/// Our own MANIFEST.json and OWNER.json match no pattern. Throws Error(input) naming the folder that could not be read.
/// glob(3) will not do: it passes over what it may not look into, folders that may not be searched even with GLOB_ERR.
std::vector<std::string> find_paths(const std::string& pattern);

}  // namespace sluice
