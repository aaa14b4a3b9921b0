#include "record/uint128_text.hpp"

#include <algorithm>

namespace sluice {
namespace {

std::string to_base(Uint128 value, unsigned base) {
    std::string text;
    do {
        text += "0123456789abcdef"[static_cast<unsigned>(value % base)];
        value /= base;
    } while (value != 0);
    std::reverse(text.begin(), text.end());
    return text;
}

std::optional<Uint128> from_base(std::string_view text, unsigned base) {
    if (text.empty()) return std::nullopt;
    constexpr Uint128 kMax = ~Uint128{0};
    Uint128 value = 0;
    for (const char c : text) {
        const unsigned digit = c >= '0' && c <= '9'   ? static_cast<unsigned>(c - '0')
                               : c >= 'a' && c <= 'f' ? static_cast<unsigned>(c - 'a') + 10
                                                      : 99;
        if (digit >= base || value > (kMax - digit) / base) return std::nullopt;
        value = value * base + digit;
    }
    return value;
}

}  // namespace

std::string to_decimal(Uint128 value) { return to_base(value, 10); }
std::string to_hex(Uint128 value) { return to_base(value, 16); }
std::optional<Uint128> parse_decimal(std::string_view text) { return from_base(text, 10); }
std::optional<Uint128> parse_hex(std::string_view text) { return from_base(text, 16); }

}  // namespace sluice
