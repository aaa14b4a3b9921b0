#pragma once
/// What the kernel lets this one process have: open files, sizes of files.

#include <cstdint>

namespace sluice {

/// Once per program, before other threads start. The soft limit of open files becomes the hard one (a shell's soft
/// 1,024 is for programs that use select), and SIGXFSZ is ignored: a file beyond the limit then fails with EFBIG, which
/// can be said, instead of ending the process.
void take_process_limits();

/// Descriptors in use. Never throws: where /proc is not there, each number is asked.
std::uint64_t count_open_files();

/// RLIMIT_FSIZE, the largest file this process may write; 2^64-1 = no limit.
std::uint64_t file_size_limit_bytes();

}  // namespace sluice
