// A library to preload: ends a rank, as SIGKILL does, while it is in MPI_Init. For tests/e2e/start.py.
//
//   KILL_IN_INIT_RANK=1 KILL_IN_INIT_US=DELAY KILL_IN_INIT_MARK=FILE LD_PRELOAD=libkill_in_init.so PROGRAM
//
// FILE gets "killed" just before the end; "too late" where MPI_Init was over before the delay, and the rank lives on.
#include <dlfcn.h>
#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <thread>

namespace {

std::atomic<bool> is_over{false};

void mark(const char* text) {
    const int fd = ::open(std::getenv("KILL_IN_INIT_MARK"), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0) return;
    [[maybe_unused]] const ssize_t written = ::write(fd, text, std::strlen(text));
    ::close(fd);
}

void end_after(long delay_us) {
    if (delay_us > 0) std::this_thread::sleep_for(std::chrono::microseconds(delay_us));
    if (is_over) {
        mark("too late");
        return;
    }
    mark("killed");
    ::kill(::getpid(), SIGKILL);
}

}  // namespace

extern "C" int MPI_Init_thread(int* argc, char*** argv, int required, int* provided) {
    const char* victim = std::getenv("KILL_IN_INIT_RANK");
    const char* rank = std::getenv("OMPI_COMM_WORLD_RANK");
    const char* delay = std::getenv("KILL_IN_INIT_US");
    if (victim != nullptr && rank != nullptr && delay != nullptr && std::strcmp(victim, rank) == 0)
        std::thread(end_after, std::atol(delay)).detach();
    static auto* const real =
        reinterpret_cast<int (*)(int*, char***, int, int*)>(::dlsym(RTLD_NEXT, "MPI_Init_thread"));
    const int result = real(argc, argv, required, provided);
    is_over = true;
    return result;
}
