#include "runtime/process_limits.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/resource.h>

#include <algorithm>
#include <csignal>
#include <memory>

namespace sluice {
namespace {

// Some libraries have a table or a loop of this size; containers set limits of 2^30.
constexpr rlim_t kMostOpenFiles = 1 << 20;
constexpr int kMostAsked = 65'536;

struct CloseDirectory {
    void operator()(DIR* directory) const noexcept { ::closedir(directory); }
};

}  // namespace

void take_process_limits() {
    rlimit files{};
    if (::getrlimit(RLIMIT_NOFILE, &files) == 0) {
        const rlim_t wanted = std::max(files.rlim_cur, std::min(files.rlim_max, kMostOpenFiles));
        if (wanted != files.rlim_cur) {
            files.rlim_cur = wanted;
            // Best effort: what the plan needs is compared with what there is.
            [[maybe_unused]] const int raised = ::setrlimit(RLIMIT_NOFILE, &files);
        }
    }
    std::signal(SIGXFSZ, SIG_IGN);
}

std::uint64_t count_open_files() {
    std::uint64_t open = 0;
    if (const std::unique_ptr<DIR, CloseDirectory> directory{::opendir("/proc/self/fd")}) {
        while (const dirent* entry = ::readdir(directory.get())) open += entry->d_name[0] != '.';
        if (open > 0) return open - 1;  // the directory's own
    }
    rlimit files{};
    const bool known = ::getrlimit(RLIMIT_NOFILE, &files) == 0;
    const int end = known ? static_cast<int>(std::min<rlim_t>(files.rlim_cur, kMostAsked)) : kMostAsked;
    for (int descriptor = 0; descriptor < end; ++descriptor) open += ::fcntl(descriptor, F_GETFD) != -1;
    return open;
}

std::uint64_t file_size_limit_bytes() {
    rlimit size{};
    if (::getrlimit(RLIMIT_FSIZE, &size) != 0 || size.rlim_cur == RLIM_INFINITY) return UINT64_MAX;
    return size.rlim_cur;
}

}  // namespace sluice
