#include "cli/standard_output.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <system_error>

#include "runtime/error.hpp"
#include "runtime/printable.hpp"

namespace sluice {
namespace {

constexpr off_t kMostPrinted = 64 * 1024;

std::string advice(int error) {
    return std::generic_category().message(error) +
           "; nobody would see the result: give it a file, a pipe or a terminal";
}

}  // namespace

void keep_standard_descriptors() {
    for (const int number : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
        if (::fcntl(number, F_GETFD) >= 0 || errno != EBADF) continue;
        // The lowest free number is this one. Read-only, so that a write to standard output fails as it ought to.
        [[maybe_unused]] const int opened = ::open("/dev/null", number == STDERR_FILENO ? O_WRONLY : O_RDONLY);
    }
}

std::optional<std::string> standard_output_problem() {
    const int flags = ::fcntl(STDOUT_FILENO, F_GETFL);
    if (flags < 0 || (flags & O_ACCMODE) == O_RDONLY) return "is closed; " + advice(EBADF);
    struct stat s {};
    if (::fstat(STDOUT_FILENO, &s) != 0) return advice(errno);
    if (S_ISFIFO(s.st_mode) || S_ISSOCK(s.st_mode)) {
        pollfd out{STDOUT_FILENO, POLLOUT, 0};
        if (::poll(&out, 1, 0) == 1 && (out.revents & (POLLERR | POLLNVAL)) != 0) return advice(EPIPE);
        return std::nullopt;
    }
    if (S_ISREG(s.st_mode)) {
        // Reserved behind its end, its size kept: others may be writing to the same file.
        if (::fallocate(STDOUT_FILENO, FALLOC_FL_KEEP_SIZE, s.st_size, kMostPrinted) != 0 &&
            (errno == ENOSPC || errno == EDQUOT || errno == EFBIG || errno == EIO))
            return advice(errno);
        return std::nullopt;
    }
    // Nothing of nothing: a device that is always full says so.
    if (S_ISCHR(s.st_mode) && ::write(STDOUT_FILENO, "", 0) < 0) return advice(errno);
    return std::nullopt;
}

void print(const std::string& text) {
    const std::string shown = printable_lines(text);
    errno = 0;
    const bool taken = std::fwrite(shown.data(), 1, shown.size(), stdout) == shown.size();
    if (taken && std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return;
    throw Error(Errc::internal, "standard output: " + advice(errno));
}

}  // namespace sluice
