#include "net/shared_memory_proof.hpp"

#include <fcntl.h>
#include <sys/random.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <cstdio>

#include "net/mpi_check.hpp"
#include "net/mpi_environment.hpp"

namespace sluice {
namespace {

using Token = std::array<std::uint64_t, 2>;

struct TokenFile {
    char path[64] = {};
    Token token{};
    int is_there = 0;
};

/// The file goes when its maker has heard all others.
TokenFile leave_token() {
    TokenFile file;
    if (::getrandom(&file.token, sizeof file.token, 0) != static_cast<ssize_t>(sizeof file.token)) return file;
    std::snprintf(file.path, sizeof file.path, "/dev/shm/sluice-token-%016llx",
                  static_cast<unsigned long long>(file.token[0]));
    const int fd = ::open(file.path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0) return file;
    file.is_there = ::write(fd, &file.token, sizeof file.token) == static_cast<ssize_t>(sizeof file.token) ? 1 : 0;
    ::close(fd);
    return file;
}

bool finds(const TokenFile& file) {
    if (file.is_there == 0) return false;
    const int fd = ::open(file.path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) return false;
    Token token{};
    const bool whole = ::read(fd, &token, sizeof token) == static_cast<ssize_t>(sizeof token);
    ::close(fd);
    return whole && token == file.token;
}

}  // namespace

bool prove_shared_memory(MPI_Comm host) {
    int rank = 0;
    check_mpi(MPI_Comm_rank(host, &rank), "MPI_Comm_rank");
    TokenFile file;
    if (rank == 0) file = leave_token();
    check_mpi(MPI_Bcast(&file, sizeof file, MPI_BYTE, 0, host), "MPI_Bcast");
    // Where Open MPI was told to share none, it makes no shared windows either.
    int mine = finds(file) && shares_memory_with_launcher() ? 1 : 0, all = 0;
    check_mpi(MPI_Allreduce(&mine, &all, 1, MPI_INT, MPI_MIN, host), "MPI_Allreduce");
    if (rank == 0 && file.path[0] != '\0') ::unlink(file.path);
    return all == 1;
}

}  // namespace sluice
