// A library to preload: ends a rank, as SIGKILL does, while it is in MPI_Init, or lets MPI_Finalize hang. For
// tests/e2e/start.py.
//
//   KILL_IN_INIT_RANK=1 KILL_IN_INIT_US=DELAY MPI_FAULT_MARK=FILE LD_PRELOAD=libkill_in_init.so PROGRAM
//   HANG_IN_FINALIZE_RANK=1 MPI_FAULT_MARK=FILE LD_PRELOAD=libkill_in_init.so PROGRAM
//
// FILE gets "killed" just before the end; "too late" where MPI_Init was over before the delay, and the rank lives on.
// Without a delay nobody is killed, and FILE gets how many microseconds MPI_Init took. "hangs": in MPI_Finalize.
#include <dlfcn.h>
#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>

namespace {

std::atomic<bool> is_over{false};

void mark(const char* text) {
    const int fd = ::open(std::getenv("MPI_FAULT_MARK"), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
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

bool is_rank_of(const char* variable) {
    const char* victim = std::getenv(variable);
    const char* rank = std::getenv("OMPI_COMM_WORLD_RANK");
    return victim != nullptr && rank != nullptr && std::strcmp(victim, rank) == 0;
}

}  // namespace

extern "C" int MPI_Init_thread(int* argc, char*** argv, int required, int* provided) {
    const char* delay = std::getenv("KILL_IN_INIT_US");
    const bool is_victim = is_rank_of("KILL_IN_INIT_RANK");
    if (is_victim && delay != nullptr) std::thread(end_after, std::atol(delay)).detach();
    static auto* const real =
        reinterpret_cast<int (*)(int*, char***, int, int*)>(::dlsym(RTLD_NEXT, "MPI_Init_thread"));
    const auto begin = std::chrono::steady_clock::now();
    const int result = real(argc, argv, required, provided);
    is_over = true;
    const auto took = std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() - begin);
    if (is_victim && delay == nullptr) mark(std::to_string(took.count()).c_str());
    return result;
}

extern "C" int MPI_Finalize() {
    if (is_rank_of("HANG_IN_FINALIZE_RANK")) {
        mark("hangs");
        for (;;) std::this_thread::sleep_for(std::chrono::seconds(1));
    }
    static auto* const real = reinterpret_cast<int (*)()>(::dlsym(RTLD_NEXT, "MPI_Finalize"));
    return real();
}
