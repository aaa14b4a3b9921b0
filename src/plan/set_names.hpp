#pragma once
/// How directories get their final names, on file systems that can do it in one step and on those that cannot.

#include <string>

#include "io/directory.hpp"

namespace sluice {

/// As Directory::rename_no_replace, also where there is no such call: an empty directory takes the name first, which
/// refuses what is there, and a directory may take the place of an empty one. `done` or `exists`.
Directory::Renamed rename_to_free_name(Directory& disk, const std::string& from, const std::string& to);

/// What moving aside came to.
struct Aside {
    Directory::Renamed renamed = Directory::Renamed::exists;
    std::string name;  ///< what the directory is called now
};
/// Gives a directory of a run a name that says that it is being removed: nobody meets it any more under one that means
/// something, and a run that lives after all finds out when it wants to give it another name.
Aside move_aside(Directory& disk, const std::string& name, const std::string& run_id);

/// What publishing on a disk will need, tried on empty directories below `directory`, which is ours. Throws
/// Error(environment) where nothing will do.
struct RenameTrial {
    bool can_exchange = false;    ///< two names change places in one step
    bool can_no_replace = false;  ///< else an empty directory holds the place
};
/// Makes an empty directory on the disk, gives it another name, and removes it: what publishing does there. Throws
/// Error(environment) where that is not permitted. A kill leaves an empty directory under a name of that run's.
void try_rename_on(Directory& disk, const std::string& run_id);

RenameTrial try_renames(Directory& directory);

}  // namespace sluice
