#pragma once
/// Readers of JSON and TOML that no text can hurt: size and nesting are looked at before anything is built, since
/// both libraries build and take down values recursively, and a number is taken as it stands or not at all.

#include <concepts>
#include <cstdint>
#include <limits>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "runtime/error.hpp"

namespace sluice {

inline constexpr std::size_t kMostConfigBytes = 4'000'000;
inline constexpr std::size_t kMostNesting = 64;  ///< of brackets, and of dotted names in TOML; ours have less than 10

/// Throws Error(config) naming line and column where brackets, or dots in a name, nest deeper than kMostNesting, and
/// where the text is longer than kMostConfigBytes. Says nothing about whether it is TOML.
void check_toml_bounds(std::string_view text, const std::string& name);

/// The document. Throws nlohmann's exceptions for what is no JSON, Error(integrity) where it nests deeper than
/// kMostNesting or has more than `most_values` values: each takes some 20 to 200 bytes of memory, and two of text.
nlohmann::json parse_bounded_json(std::string_view text, std::size_t most_values = SIZE_MAX);

/// As exact_integer(), within limits.
std::int64_t exact_signed(const nlohmann::json& json, std::string_view name, std::int64_t least, std::int64_t most);
std::uint64_t exact_unsigned(const nlohmann::json& json, std::string_view name, std::uint64_t most);
/// The integer that `json` holds. Throws Error(integrity) when it is none or does not fit: nlohmann's own conversion
/// would make another number of it.
template <std::integral Integer>
Integer exact_integer(const nlohmann::json& json, std::string_view name) {
    using Limits = std::numeric_limits<Integer>;
    if constexpr (std::signed_integral<Integer>) {
        return static_cast<Integer>(exact_signed(json, name, Limits::min(), Limits::max()));
    } else {
        return static_cast<Integer>(exact_unsigned(json, name, Limits::max()));
    }
}

}  // namespace sluice
