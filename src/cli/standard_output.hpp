#pragma once
/// What people and scripts read: a result that nobody could be told is no success.

#include <optional>
#include <string>

namespace sluice {

/// Gives descriptors 0 to 2 to /dev/null where they are closed, so that no data file gets such a number and what is
/// printed into it; standard output then refuses to be written. Call it first.
void keep_standard_descriptors();

/// Why standard output cannot be written, as far as can be told without writing: closed, a full device or disk, a pipe
/// that nobody reads.
std::optional<std::string> standard_output_problem();

/// Without control characters but line ends and tabs. Throws Error(internal) when the text, or what was printed before
/// it, does not go out.
void print(const std::string& text);

}  // namespace sluice
