// A library to preload: below a directory locks do not work, or are another host's. For tests/e2e/locks.py.
//
//   OTHER_LOCKS_DIR=DIR OTHER_LOCKS_COUNTER=FILE [OTHER_LOCKS_TABLE=DIR] [OTHER_LOCKS_HOLD=FILE]
//   LD_PRELOAD=libother_locks.so PROGRAM
//
// Without a table flock(2) fails with ENOLCK, as on an NFS without a lock manager. With one, locks are held on files in
// that table instead, so that programs with different tables do not see each other's: flock that is local to a host.
// FILE holds 8 bytes, the count of calls that were caught. The first io_submit waits while HOLD is there.
#include <fcntl.h>
#include <libaio.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <dlfcn.h>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <mutex>
#include <string>

namespace {

const char* word(const char* name) {
    const char* text = std::getenv(name);
    return text == nullptr ? "" : text;
}

bool is_caught(int fd) {
    static const std::string below = std::string(word("OTHER_LOCKS_DIR")) + "/";
    std::string path(4096, '\0');
    const ssize_t length = ::readlink(("/proc/self/fd/" + std::to_string(fd)).c_str(), path.data(), path.size());
    return below.size() > 1 && length > 0 && path.compare(0, below.size(), below) == 0;
}

void count() {
    static auto* const counter = []() -> std::atomic<std::uint64_t>* {
        const int fd = ::open(word("OTHER_LOCKS_COUNTER"), O_RDWR | O_CLOEXEC);
        void* memory = fd < 0 ? MAP_FAILED : ::mmap(nullptr, 8, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        return memory == MAP_FAILED ? nullptr : static_cast<std::atomic<std::uint64_t>*>(memory);
    }();
    if (counter != nullptr) counter->fetch_add(1);
}

struct Table {
    std::mutex mutex;
    std::map<int, int> stands_for;  // by descriptor, the one in the table
};
Table& table() {
    static auto* const held = new Table;  // files are closed until the very end
    return *held;
}

template <class F>
F* next(const char* name) {
    return reinterpret_cast<F*>(::dlsym(RTLD_NEXT, name));
}

}  // namespace

// The linker takes these instead of the C library's.
extern "C" {

int flock(int fd, int how) noexcept {
    static auto* const real = next<decltype(flock)>("flock");
    if (!is_caught(fd)) return real(fd, how);
    count();
    const std::string directory = word("OTHER_LOCKS_TABLE");
    struct stat s {};
    if (directory.empty() || ::fstat(fd, &s) != 0) {
        errno = ENOLCK;
        return -1;
    }
    const std::lock_guard guard(table().mutex);
    auto [place, fresh] = table().stands_for.emplace(fd, -1);
    if (fresh) {
        const std::string name = directory + "/" + std::to_string(s.st_dev) + "-" + std::to_string(s.st_ino);
        place->second = ::open(name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    }
    return real(place->second, how);
}

int close(int fd) {
    {
        const std::lock_guard guard(table().mutex);
        const auto place = table().stands_for.find(fd);
        if (place != table().stands_for.end()) {
            ::syscall(SYS_close, place->second);
            table().stands_for.erase(place);
        }
    }
    return static_cast<int>(::syscall(SYS_close, fd));
}

int io_submit(io_context_t context, long count, struct iocb** requests) {
    static auto* const real = next<decltype(io_submit)>("io_submit");
    static const bool held = [] {
        while (::access(word("OTHER_LOCKS_HOLD"), F_OK) == 0) ::usleep(10'000);
        return true;
    }();
    static_cast<void>(held);
    return real(context, count, requests);
}
}
