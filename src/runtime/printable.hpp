#pragma once
/// What may be shown on a terminal: names on a disk and texts in files can hold anything, also orders to a terminal.

#include <string>
#include <string_view>

namespace sluice {

/// A name as people can read it on one line: control characters, line ends among them, as "\x1b".
std::string printable(std::string_view name);

/// A whole message: as printable(), but its own line ends and tabs stay.
std::string printable_lines(std::string_view text);

}  // namespace sluice
