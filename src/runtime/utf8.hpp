#pragma once
/// Names as bytes and names as text: a file name may hold any bytes but '/' and zero, JSON holds UTF-8.

#include <string>
#include <string_view>

namespace sluice {

bool is_utf8(std::string_view text) noexcept;

/// `text` with each byte that is no UTF-8 as \xHH, and each backslash doubled, so that the bytes can be had back.
std::string escape_bytes(std::string_view text);

}  // namespace sluice
