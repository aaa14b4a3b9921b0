#pragma once
/// Threads and memory of this process: tried before they are needed, and explained where they cannot be had.

#include <cstdint>
#include <exception>
#include <string>

#include "runtime/error.hpp"

namespace sluice {

/// What any exception is to the user. A lack of memory or threads is Error(environment) with the limits that could be
/// the cause; what is no Error of ours is a bug.
Error error_of(const std::exception& error);

/// Starts so many threads and maps so much memory, all at once, then lets go of both; nothing is touched. Returns ""
/// or what could not be had, with the numbers and the limits. Takes some 20 us a thread.
std::string problem_of_resources(unsigned threads, std::uint64_t bytes);

/// An exception that nothing catches, on whatever thread, becomes one ERROR line and its exit code, not a signal.
void explain_uncaught_exceptions();

}  // namespace sluice
