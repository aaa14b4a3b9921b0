#pragma once
/// JSON and CSV of structs with a list of named fields (runtime/fields.hpp).

#include <spdlog/fmt/fmt.h>

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "runtime/choices.hpp"
#include "runtime/fields.hpp"

namespace sluice {

/// A choice is its word.
template <typename Enum>
requires std::is_enum_v<Enum> && requires { words_of(Enum{}); }
void to_json(nlohmann::json& json, Enum value) { json = word_of(value); }

/// An object with all of its fields.
template <HasNamedFields Struct>
void to_json(nlohmann::json& json, const Struct& value) {
    json = nlohmann::json::object();
    for_each_field<Struct>([&](const auto& entry) { json[entry.name] = value.*entry.member; });
}

/// A line of CSV.
struct CsvCell {
    std::string column, text;
};
using CsvRow = std::vector<CsvCell>;

/// Adds the cells of one value: a number or text has one (nanoseconds are shown as seconds), a struct those of its
/// fields that are in CSV, under their own names, and a list of structs those of its total_of().
template <typename Value>
void add_cells(CsvRow& row, const std::string& name, const Value& value) {
    constexpr std::string_view kNanoseconds = "_ns";
    if constexpr (HasNamedFields<Value>) {
        for_each_field<Value>([&](const auto& entry) {
            if (entry.is_in_csv) add_cells(row, entry.name, value.*entry.member);
        });
    } else if constexpr (requires { total_of(value); }) {
        add_cells(row, name, total_of(value));
    } else if constexpr (std::is_floating_point_v<Value>) {
        row.push_back({name, fmt::format("{:.6g}", value)});
    } else if constexpr (std::is_unsigned_v<Value>) {
        if (name.ends_with(kNanoseconds)) {
            row.push_back({name.substr(0, name.size() - kNanoseconds.size()) + "_s",
                           fmt::format("{:.6f}", static_cast<double>(value) * 1e-9)});
        } else {
            row.push_back({name, fmt::format("{}", value)});
        }
    } else if constexpr (std::is_same_v<Value, std::string>) {
        row.push_back({name, value});
    }
}

/// Each ends its line.
inline std::string csv_header(const CsvRow& row) {
    std::string text;
    for (const CsvCell& cell : row) text += (text.empty() ? "" : ",") + cell.column;
    return text + "\n";
}
inline std::string csv_line(const CsvRow& row) {
    std::string text;
    for (const CsvCell& cell : row) text += (&cell == &row.front() ? "" : ",") + cell.text;
    return text + "\n";
}

}  // namespace sluice
