#include "io/plain_rename.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

namespace sluice {

int rename_plainly(const std::string& from, const std::string& to) noexcept {
    struct stat s {};
    if (::lstat(from.c_str(), &s) != 0) return errno;
    if (!S_ISDIR(s.st_mode)) {
        if (::link(from.c_str(), to.c_str()) != 0) return errno;
        return ::unlink(from.c_str()) == 0 ? 0 : errno;
    }
    if (::mkdir(to.c_str(), 0700) != 0) return errno;
    // What another has put into it since makes the rename fail, not the other's file go.
    if (::rename(from.c_str(), to.c_str()) == 0) return 0;
    const int error = errno == ENOTEMPTY ? EEXIST : errno;
    ::rmdir(to.c_str());
    return error;
}

bool refuses_rename_flags(int error) noexcept { return error == EINVAL || error == ENOSYS || error == EOPNOTSUPP; }

}  // namespace sluice
