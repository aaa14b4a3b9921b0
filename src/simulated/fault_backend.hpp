#pragma once
/// A back end that fails on purpose.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "io/io_backend.hpp"

namespace sluice {

/// Which operation goes wrong, and how. `sync` is a queue's or a file's.
struct IoFault {
    enum class Operation { read, write, sync, close, preallocate } operation = Operation::read;
    std::uint64_t nth = 0;        ///< 0 = the first
    int error = 5;                ///< errno; 5 = EIO
    std::string path_contains{};  ///< empty = any file
    bool at_completion = false;   ///< the queue takes the request, its wait() throws
    bool flip_bit = false;        ///< of a read only, instead of an error: one bit of what came differs
};
/// Wraps a back end and makes the nth matching operation fail; each fault that fired is reported to `fired`, so that a
/// test whose fault never happened can fail. Outlives its files and queues.
std::unique_ptr<IoBackend> make_fault_backend(std::unique_ptr<IoBackend> inner, IoFault fault,
                                              std::function<void(const std::string&)> fired);

}  // namespace sluice
