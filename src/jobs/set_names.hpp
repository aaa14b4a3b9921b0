#pragma once
/// How directories get their final names, on file systems that can do it in one step and on those that cannot.

#include <string>

#include "io/directory.hpp"

namespace sluice {

/// As Directory::rename_no_replace, also where there is no such call: an empty directory takes the name first, which
/// refuses what is there, and a directory may take the place of an empty one. `done` or `exists`.
Directory::Renamed rename_to_free_name(Directory& disk, const std::string& from, const std::string& to);

/// What publishing on a disk will need, tried on empty directories below `directory`, which is ours. Throws
/// Error(environment) where nothing will do.
struct RenameTrial {
    bool can_exchange = false;    ///< two names change places in one step
    bool can_no_replace = false;  ///< else an empty directory holds the place
};
RenameTrial try_renames(Directory& directory);

}  // namespace sluice
