#pragma once
/// Sizes and durations with units: parsing, printing, rounding.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace sluice {

inline constexpr std::uint64_t kKiB = 1024, kMiB = 1024 * kKiB, kGiB = 1024 * kMiB;
inline constexpr std::uint64_t kKB = 1000, kMB = 1000 * kKB, kGB = 1000 * kMB;

/// Parses "4MiB" (2^20), "4MB" (10^6), "512B", "1.5GiB". The whole text must be consumed; a bare number, a sign, NaN
/// and anything beyond 2^63-1 bytes give nullopt. Units: B, kB, KB, KiB, MB, MiB, GB, GiB, TB, TiB, PB, PiB.
std::optional<std::uint64_t> parse_bytes(std::string_view text);
/// Prints so that parse_bytes gives the same number back: the largest binary or decimal unit that divides it.
std::string format_bytes(std::uint64_t bytes);
/// For people: "1.2 GB", three significant digits, decimal units.
std::string human_bytes(double bytes);

/// Parses "60s", "250ms", "5min", "1h", "10us"; the result is in nanoseconds. Same strictness as parse_bytes.
std::optional<std::uint64_t> parse_duration_ns(std::string_view text);
std::string format_duration_ns(std::uint64_t nanoseconds);

constexpr std::uint64_t round_up(std::uint64_t value, std::uint64_t step) { return (value + step - 1) / step * step; }
constexpr std::uint64_t round_down(std::uint64_t value, std::uint64_t step) { return value / step * step; }
constexpr std::uint64_t ceil_div(std::uint64_t value, std::uint64_t step) { return (value + step - 1) / step; }

/// Of sizes that are to be compared with what there is: 2^64-1 where that is less than the sum or product.
constexpr std::uint64_t saturating_sum(std::uint64_t a, std::uint64_t b) {
    std::uint64_t sum = 0;
    return __builtin_add_overflow(a, b, &sum) ? UINT64_MAX : sum;
}
constexpr std::uint64_t saturating_product(std::uint64_t a, std::uint64_t b) {
    std::uint64_t product = 0;
    return __builtin_mul_overflow(a, b, &product) ? UINT64_MAX : product;
}

}  // namespace sluice
