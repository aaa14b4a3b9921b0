#include "io/small_file.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "runtime/error.hpp"

namespace sluice {
namespace {

const char* kind_of(mode_t mode) {
    if (S_ISDIR(mode)) return "a directory";
    if (S_ISFIFO(mode)) return "a pipe";
    if (S_ISSOCK(mode)) return "a socket";
    return "a device";
}

}  // namespace

std::string read_small_file(int fd, const std::string& path, std::uint64_t most_bytes) {
    struct stat s {};
    if (::fstat(fd, &s) != 0) throw Error::from_errno(errno, "fstat", path);
    if (!S_ISREG(s.st_mode))
        throw Error(Errc::input, "read '" + path + "': is " + kind_of(s.st_mode) + ", no regular file");
    const auto too_large = [&] {
        return TooLargeError(Errc::input, "read '" + path + "': is larger than the " + std::to_string(most_bytes) +
                                              " bytes that such a file can have");
    };
    if (static_cast<std::uint64_t>(s.st_size) > most_bytes) throw too_large();
    std::string text;
    for (char block[16384];;) {
        const ssize_t got = ::read(fd, block, sizeof block);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) throw Error::from_errno(errno, "read", path, errno == EIO ? Errc::device : Errc::input);
        if (got == 0) return text;
        text.append(block, static_cast<std::size_t>(got));
        if (text.size() > most_bytes) throw too_large();  // grew, or says no size (/proc)
    }
}

}  // namespace sluice
