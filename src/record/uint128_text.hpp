#pragma once
/// 128-bit numbers as text.

#include <optional>
#include <string>
#include <string_view>

#include "record/uint128.hpp"

namespace sluice {

std::string to_decimal(Uint128 value);
/// Lower case, no leading zeros, no prefix; zero is "0".
std::string to_hex(Uint128 value);
/// The whole text must be decimal digits below 2^128; anything else gives nullopt.
std::optional<Uint128> parse_decimal(std::string_view text);
/// As printed by to_hex; anything else gives nullopt.
std::optional<Uint128> parse_hex(std::string_view text);

}  // namespace sluice
