#pragma once
/// A rename that replaces nothing, for file systems whose rename knows no flags (FUSE, NFS, some network ones).

#include <string>

namespace sluice {

/// The file or directory `from` gets the name `to`, which nothing may have: a directory by mkdir of `to`, which refuses
/// what is there, and a rename over that empty directory of ours; a file by link and unlink.
/// @return 0, or the errno of what failed; then nothing of ours is at `to`. EEXIST: something has the name
int rename_plainly(const std::string& from, const std::string& to) noexcept;

/// Whether this errno of renameat2 says that its flags, and not the names, were refused.
bool refuses_rename_flags(int error) noexcept;

}  // namespace sluice
