#include "runtime/utf8.hpp"

#include <cstddef>
#include <cstdio>

namespace sluice {
namespace {

/// Bytes of the character at the begin of `text`; 0: it is none. No overlong forms, no surrogates, up to U+10FFFF.
std::size_t character_bytes(std::string_view text) noexcept {
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
    const auto follows = [&](std::size_t i) { return i < text.size() && (byte(i) & 0xc0) == 0x80; };
    const unsigned char lead = byte(0);
    if (lead < 0x80) return 1;
    if (lead < 0xc2 || lead > 0xf4 || !follows(1)) return 0;
    if (lead < 0xe0) return 2;
    if ((lead == 0xe0 && byte(1) < 0xa0) || (lead == 0xed && byte(1) > 0x9f) || !follows(2)) return 0;
    if (lead < 0xf0) return 3;
    if ((lead == 0xf0 && byte(1) < 0x90) || (lead == 0xf4 && byte(1) > 0x8f) || !follows(3)) return 0;
    return 4;
}

}  // namespace

bool is_utf8(std::string_view text) noexcept {
    while (!text.empty()) {
        const std::size_t bytes = character_bytes(text);
        if (bytes == 0) return false;
        text.remove_prefix(bytes);
    }
    return true;
}

std::string escape_bytes(std::string_view text) {
    std::string escaped;
    while (!text.empty()) {
        const std::size_t bytes = character_bytes(text);
        if (bytes == 0) {
            char code[8];
            std::snprintf(code, sizeof code, "\\x%02x", static_cast<unsigned char>(text.front()));
            escaped += code;
        } else {
            escaped += text.front() == '\\' ? std::string_view("\\\\") : text.substr(0, bytes);
        }
        text.remove_prefix(bytes == 0 ? 1 : bytes);
    }
    return escaped;
}

}  // namespace sluice
