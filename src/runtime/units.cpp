#include "runtime/units.hpp"

#include <array>
#include <charconv>
#include <cmath>

namespace sluice {
namespace {

struct Unit {
    std::string_view name;
    std::uint64_t size;
};
constexpr std::array kByteUnits = {
    Unit{"EiB", kGiB << 30}, Unit{"EB", kGB* kGB}, Unit{"PiB", kGiB << 20}, Unit{"PB", kGB* kMB},
    Unit{"TiB", kGiB << 10}, Unit{"TB", kGB* kKB}, Unit{"GiB", kGiB},       Unit{"GB", kGB},
    Unit{"MiB", kMiB},       Unit{"MB", kMB},      Unit{"KiB", kKiB},       Unit{"kB", kKB},
    Unit{"KB", kKB},         Unit{"B", 1}};
constexpr std::array kTimeUnits = {Unit{"h", 3'600'000'000'000}, Unit{"min", 60'000'000'000}, Unit{"s", 1'000'000'000},
                                   Unit{"ms", 1'000'000},        Unit{"us", 1'000},           Unit{"ns", 1}};
constexpr std::uint64_t kMost = (std::uint64_t{1} << 63) - 1;

/// Digits with an optional decimal fraction, then exactly one of `units`, nothing else.
template <std::size_t N>
std::optional<std::uint64_t> parse_with_unit(std::string_view text, const std::array<Unit, N>& units) {
    const std::size_t number_end = text.find_first_not_of("0123456789.");
    if (number_end == 0 || number_end == std::string_view::npos) return std::nullopt;
    const std::string_view number = text.substr(0, number_end), name = text.substr(number_end);
    for (const Unit& unit : units) {
        if (unit.name != name) continue;
        if (number.find('.') == std::string_view::npos) {
            std::uint64_t whole = 0;
            const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), whole);
            if (error != std::errc{} || end != number.data() + number.size() || whole > kMost / unit.size)
                return std::nullopt;
            return whole * unit.size;
        }
        double value = 0;
        const auto [end, error] =
            std::from_chars(number.data(), number.data() + number.size(), value, std::chars_format::fixed);
        if (error != std::errc{} || end != number.data() + number.size() || number.front() == '.' ||
            number.back() == '.')
            return std::nullopt;
        value *= static_cast<double>(unit.size);
        if (!(value <= static_cast<double>(kMost) / 2)) return std::nullopt;
        return static_cast<std::uint64_t>(std::llround(value));
    }
    return std::nullopt;
}

/// The unit that gives the shortest exact text.
template <std::size_t N>
std::string format_with_unit(std::uint64_t value, const std::array<Unit, N>& units) {
    std::string best;
    for (const Unit& unit : units) {
        if (unit.name == "KB" || value % unit.size != 0 || (value == 0 && unit.size != 1)) continue;
        std::string text = std::to_string(value / unit.size) + std::string(unit.name);
        if (best.empty() || text.size() < best.size()) best = std::move(text);
    }
    return best;
}

}  // namespace

std::optional<std::uint64_t> parse_bytes(std::string_view text) { return parse_with_unit(text, kByteUnits); }
std::string format_bytes(std::uint64_t bytes) { return format_with_unit(bytes, kByteUnits); }
std::optional<std::uint64_t> parse_duration_ns(std::string_view text) { return parse_with_unit(text, kTimeUnits); }
std::string format_duration_ns(std::uint64_t nanoseconds) { return format_with_unit(nanoseconds, kTimeUnits); }

std::string human_bytes(double bytes) {
    constexpr std::array<const char*, 7> kNames = {"B", "kB", "MB", "GB", "TB", "PB", "EB"};
    std::size_t unit = 0;
    while (bytes >= 999.5 && unit + 1 < kNames.size()) {
        bytes /= 1000;
        ++unit;
    }
    char text[32];
    const int digits = unit == 0 || bytes >= 99.95 ? 0 : bytes >= 9.995 ? 1 : 2;
    std::snprintf(text, sizeof text, "%.*f %s", digits, bytes, kNames[unit]);
    return text;
}

}  // namespace sluice
