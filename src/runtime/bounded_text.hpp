#pragma once
/// Readers of JSON and TOML that no text can hurt: size and nesting are looked at before anything is built, since
/// both libraries build and take down values recursively, and a number is taken as it stands or not at all.

#include <concepts>
#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>
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

/// The integer that `json` holds. Throws Error(integrity) when it is none or does not fit: nlohmann's own conversion
/// would make another number of it.
template <std::integral Integer>
Integer exact_integer(const nlohmann::json& json, std::string_view name) {
    const auto refuse = [&] { return Error(Errc::integrity, std::string(name) + " is no number it can be"); };
    if (json.is_number_unsigned()) {
        const auto value = json.get<std::uint64_t>();
        if (value > static_cast<std::uint64_t>(std::numeric_limits<Integer>::max())) throw refuse();
        return static_cast<Integer>(value);
    }
    if (!json.is_number_integer() || !std::signed_integral<Integer>) throw refuse();
    const auto value = json.get<std::int64_t>();
    if (value < static_cast<std::int64_t>(std::numeric_limits<Integer>::min())) throw refuse();
    return static_cast<Integer>(value);
}

}  // namespace sluice
