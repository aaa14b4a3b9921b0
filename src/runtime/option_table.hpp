#pragma once
/// The one table of options: parser, `config list`, docs/config.md and messages are made from it.

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/config.hpp"

namespace sluice {

enum class ValueKind : std::uint8_t { size, duration, integer, number, boolean, text, choice };
std::span<const Word<ValueKind>> words_of(ValueKind) noexcept;
/// Numbers and booleans stand bare in TOML, everything else in quotes.
bool stands_bare(ValueKind kind) noexcept;

/// One option: how its text is checked and stored, and how its value prints.
struct Option {
    std::string key;  ///< "io.read_size"
    ValueKind kind;
    std::string range;     ///< for people; empty when the type says it all
    std::string fallback;  ///< default, as text
    std::string help;
    /// Stores `text` in the config; returns what is wrong with it, or nothing.
    std::function<std::optional<std::string>(Config&, std::string_view text)> store;
    std::function<std::string(const Config&)> print;
    std::vector<std::string> words{};  ///< of a choice

    /// For people: "size", "integer", ..., or the words of a choice joined by |.
    std::string type() const;
};

const std::vector<Option>& option_table();
const Option* find_option(std::string_view key);
/// The known key or word nearest to `name`, if it is near enough to be meant.
/// @param most_distance  letters to add, drop or change; 0: a third of the name, at least two
std::optional<std::string> nearest(std::string_view name, const std::vector<std::string>& known,
                                   std::size_t most_distance = 0);

}  // namespace sluice
