// A library to preload: ends the process, as SIGKILL does, before the Nth call that changes something below a
// directory. All processes of a job count together. For tests/e2e/crashes.py.
//
//   KILL_BEFORE_DIR=DIR KILL_BEFORE_COUNTER=FILE KILL_BEFORE=N LD_PRELOAD=libkill_before.so PROGRAM
//
// With NO_OPENAT2 the kernel has no such call, as before Linux 5.6, and FILE counts how often it was asked for.
// With RENAME_REPLACES the file system knows no flags and moves a directory into the place of one that is not empty,
// which some network file systems do; FILE counts how often. FILE holds the count, 8 bytes, and is 0 before a run. N =
// 0 only counts. With KILL_BEFORE_STOPS the process is stopped there instead; with KILL_BEFORE_TERM=MS it gets SIGTERM,
// and goes on after that time; with KILL_BEFORE_RUN=CMD a shell runs that first and the process goes on.
#include <dlfcn.h>
#include <fcntl.h>
#include <libaio.h>
#include <linux/openat2.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdarg>
#include <cstdlib>
#include <cstring>
#include <string>

namespace {

std::string path_of(int directory, const char* name) {
    if (name != nullptr && name[0] == '/') return name;
    std::string link(4096, '\0');
    std::string at = directory == AT_FDCWD ? "/proc/self/cwd" : "/proc/self/fd/" + std::to_string(directory);
    const ssize_t length = ::readlink(at.c_str(), link.data(), link.size());
    if (length < 0) return {};
    link.resize(static_cast<std::size_t>(length));
    return name == nullptr || name[0] == '\0' ? link : link + "/" + name;
}

std::atomic<std::uint64_t>* counter() {
    static auto* const count = []() -> std::atomic<std::uint64_t>* {
        const char* file = std::getenv("KILL_BEFORE_COUNTER");
        if (file == nullptr) return nullptr;
        const int fd = static_cast<int>(::syscall(SYS_openat, AT_FDCWD, file, O_RDWR | O_CLOEXEC, 0));
        void* memory = fd < 0 ? MAP_FAILED : ::mmap(nullptr, 8, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        return memory == MAP_FAILED ? nullptr : static_cast<std::atomic<std::uint64_t>*>(memory);
    }();
    return count;
}

void change(const std::string& path) {
    static const std::string below = [] {
        const char* text = std::getenv("KILL_BEFORE_DIR");
        return std::string(text == nullptr ? "" : text) + "/";
    }();
    static const std::uint64_t at = [] {
        const char* text = std::getenv("KILL_BEFORE");
        return text == nullptr ? 0 : std::strtoull(text, nullptr, 10);
    }();
    if (counter() == nullptr || path.compare(0, below.size(), below) != 0) return;
    static const char* const term_ms = std::getenv("KILL_BEFORE_TERM");
    static const char* const command = std::getenv("KILL_BEFORE_RUN");
    static const int how = term_ms != nullptr                            ? SIGTERM
                           : std::getenv("KILL_BEFORE_STOPS") != nullptr ? SIGSTOP
                                                                         : SIGKILL;
    if (counter()->fetch_add(1) + 1 != at) return;
    if (command != nullptr) {
        if (std::system(("unset LD_PRELOAD; " + std::string(command)).c_str()) != 0) std::abort();
        return;
    }
    ::kill(::getpid(), how);
    if (term_ms != nullptr) ::usleep(static_cast<useconds_t>(std::strtoul(term_ms, nullptr, 10) * 1000));
}
void change(int fd) { change(path_of(fd, nullptr)); }

template <class F>
F* next(const char* name) {
    return reinterpret_cast<F*>(::dlsym(RTLD_NEXT, name));
}

}  // namespace

// The linker takes these instead of the C library's.
extern "C" {

#define NEXT(name) static auto* const real = next<decltype(name)>(#name)

int mkdirat(int directory, const char* name, mode_t mode) noexcept {
    NEXT(mkdirat);
    change(path_of(directory, name));
    return real(directory, name, mode);
}
int unlinkat(int directory, const char* name, int flags) noexcept {
    NEXT(unlinkat);
    change(path_of(directory, name));
    return real(directory, name, flags);
}
int renameat2(int from, const char* name, int to, const char* new_name, unsigned flags) noexcept {
    NEXT(renameat2);
    change(path_of(to, new_name));
    if (flags != 0 && std::getenv("RENAME_REPLACES") != nullptr) {
        errno = EINVAL;
        return -1;
    }
    return real(from, name, to, new_name, flags);
}
int renameat(int from, const char* name, int to, const char* new_name) noexcept {
    NEXT(renameat);
    change(path_of(to, new_name));
    if (real(from, name, to, new_name) == 0) return 0;
    if (std::getenv("RENAME_REPLACES") == nullptr || (errno != ENOTEMPTY && errno != EEXIST)) return -1;
    if (counter() != nullptr) counter()->fetch_add(1);
    const std::string away = std::string(new_name) + ".replaced";
    return real(to, new_name, to, away.c_str()) == 0 ? real(from, name, to, new_name) : -1;
}
int mkdir(const char* name, mode_t mode) noexcept {
    NEXT(mkdir);
    change(path_of(AT_FDCWD, name));
    return real(name, mode);
}
int unlink(const char* name) noexcept {
    NEXT(unlink);
    change(path_of(AT_FDCWD, name));
    return real(name);
}
int rmdir(const char* name) noexcept {
    NEXT(rmdir);
    change(path_of(AT_FDCWD, name));
    return real(name);
}
int rename(const char* name, const char* new_name) noexcept {
    NEXT(rename);
    change(path_of(AT_FDCWD, new_name));
    return real(name, new_name);
}
int fsync(int fd) {
    NEXT(fsync);
    change(fd);
    return real(fd);
}
int fdatasync(int fd) {
    NEXT(fdatasync);
    change(fd);
    return real(fd);
}
int ftruncate(int fd, off_t bytes) noexcept {
    NEXT(ftruncate);
    change(fd);
    return real(fd, bytes);
}
int fallocate(int fd, int mode, off_t offset, off_t bytes) {
    NEXT(fallocate);
    change(fd);
    return real(fd, mode, offset, bytes);
}
ssize_t write(int fd, const void* data, size_t bytes) {
    NEXT(write);
    change(fd);
    return real(fd, data, bytes);
}
ssize_t pwrite(int fd, const void* data, size_t bytes, off_t offset) {
    NEXT(pwrite);
    change(fd);
    return real(fd, data, bytes, offset);
}
int openat(int directory, const char* name, int flags, ...) {
    NEXT(openat);
    va_list rest;
    va_start(rest, flags);
    const mode_t mode = (flags & O_CREAT) != 0 ? va_arg(rest, mode_t) : 0;
    va_end(rest);
    if ((flags & (O_CREAT | O_TRUNC)) != 0) change(path_of(directory, name));
    return real(directory, name, flags, mode);
}
int open(const char* name, int flags, ...) {
    NEXT(open);
    va_list rest;
    va_start(rest, flags);
    const mode_t mode = (flags & O_CREAT) != 0 ? va_arg(rest, mode_t) : 0;
    va_end(rest);
    if ((flags & (O_CREAT | O_TRUNC)) != 0) change(path_of(AT_FDCWD, name));
    return real(name, flags, mode);
}
int io_submit(io_context_t context, long count, struct iocb** requests) {
    NEXT(io_submit);
    for (long i = 0; i < count; ++i) {
        const int what = requests[i]->aio_lio_opcode;
        if (what == IO_CMD_PWRITE || what == IO_CMD_PWRITEV) change(requests[i]->aio_fildes);
    }
    return real(context, count, requests);
}
long syscall(long number, ...) noexcept {
    static auto* const real = next<long(long, ...)>("syscall");
    va_list rest;
    va_start(rest, number);
    long words[6];
    for (long& word : words) word = va_arg(rest, long);
    va_end(rest);
    if (number == SYS_openat2 && std::getenv("NO_OPENAT2") != nullptr) {
        if (counter() != nullptr) counter()->fetch_add(1);
        errno = ENOSYS;
        return -1;
    }
    if (number == SYS_openat2) {
        const auto* how = reinterpret_cast<const struct open_how*>(words[2]);
        if ((how->flags & (O_CREAT | O_TRUNC)) != 0)
            change(path_of(static_cast<int>(words[0]), reinterpret_cast<const char*>(words[1])));
    }
    return real(number, words[0], words[1], words[2], words[3], words[4], words[5]);
}
}
