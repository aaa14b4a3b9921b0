// A library to preload: counts the collective calls of a rank, by name. For tests/e2e/collectives.py.
//
//   COUNT_COLLECTIVES=FILE LD_PRELOAD=libcount_collectives.so PROGRAM
//
// FILE.RANK gets a line "NAME CALLS" each when MPI_Finalize is called. With COUNT_COLLECTIVES_TRACE each call's stack
// goes to standard error, as addresses for addr2line.
#include <execinfo.h>
#include <mpi.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <map>
#include <mutex>
#include <string>

namespace {

std::map<std::string, int>& calls() {
    static std::map<std::string, int> all;
    return all;
}

void count(const char* name) {
    static std::mutex mutex;
    const std::lock_guard lock(mutex);
    ++calls()[name];
    if (std::getenv("COUNT_COLLECTIVES_TRACE") == nullptr) return;
    void* stack[24];
    const int depth = ::backtrace(stack, 24);
    std::fprintf(stderr, "COLLECTIVE %s\n", name);
    ::backtrace_symbols_fd(stack, depth, STDERR_FILENO);
}

}  // namespace

#define COUNTED(name, parameters, arguments) \
    int name parameters {                    \
        count(#name);                        \
        return P##name arguments;            \
    }

extern "C" {
COUNTED(MPI_Barrier, (MPI_Comm c), (c))
COUNTED(MPI_Bcast, (void* b, int n, MPI_Datatype t, int r, MPI_Comm c), (b, n, t, r, c))
COUNTED(MPI_Allgather, (const void* s, int sn, MPI_Datatype st, void* r, int rn, MPI_Datatype rt, MPI_Comm c),
        (s, sn, st, r, rn, rt, c))
COUNTED(MPI_Allreduce, (const void* s, void* r, int n, MPI_Datatype t, MPI_Op o, MPI_Comm c), (s, r, n, t, o, c))
COUNTED(MPI_Ibarrier, (MPI_Comm c, MPI_Request* q), (c, q))
COUNTED(MPI_Ibcast, (void* b, int n, MPI_Datatype t, int r, MPI_Comm c, MPI_Request* q), (b, n, t, r, c, q))
COUNTED(MPI_Igather,
        (const void* s, int sn, MPI_Datatype st, void* r, int rn, MPI_Datatype rt, int root, MPI_Comm c,
         MPI_Request* q),
        (s, sn, st, r, rn, rt, root, c, q))
COUNTED(MPI_Iallgather,
        (const void* s, int sn, MPI_Datatype st, void* r, int rn, MPI_Datatype rt, MPI_Comm c, MPI_Request* q),
        (s, sn, st, r, rn, rt, c, q))
COUNTED(MPI_Iallgatherv,
        (const void* s, int sn, MPI_Datatype st, void* r, const int* rn, const int* d, MPI_Datatype rt, MPI_Comm c,
         MPI_Request* q),
        (s, sn, st, r, rn, d, rt, c, q))
COUNTED(MPI_Igatherv,
        (const void* s, int sn, MPI_Datatype st, void* r, const int* rn, const int* d, MPI_Datatype rt, int root,
         MPI_Comm c, MPI_Request* q),
        (s, sn, st, r, rn, d, rt, root, c, q))
COUNTED(MPI_Ialltoall,
        (const void* s, int sn, MPI_Datatype st, void* r, int rn, MPI_Datatype rt, MPI_Comm c, MPI_Request* q),
        (s, sn, st, r, rn, rt, c, q))
COUNTED(MPI_Iallreduce, (const void* s, void* r, int n, MPI_Datatype t, MPI_Op o, MPI_Comm c, MPI_Request* q),
        (s, r, n, t, o, c, q))
COUNTED(MPI_Comm_dup, (MPI_Comm c, MPI_Comm* n), (c, n))
COUNTED(MPI_Comm_split, (MPI_Comm c, int color, int key, MPI_Comm* n), (c, color, key, n))
COUNTED(MPI_Comm_split_type, (MPI_Comm c, int type, int key, MPI_Info i, MPI_Comm* n), (c, type, key, i, n))

int MPI_Finalize(void) {
    if (const char* file = std::getenv("COUNT_COLLECTIVES")) {
        int rank = 0;
        PMPI_Comm_rank(MPI_COMM_WORLD, &rank);
        if (std::FILE* out = std::fopen((std::string(file) + "." + std::to_string(rank)).c_str(), "w")) {
            for (const auto& [name, number] : calls()) std::fprintf(out, "%s %d\n", name.c_str(), number);
            std::fclose(out);
        }
    }
    return PMPI_Finalize();
}
}
