#include "runtime/printable.hpp"

namespace sluice {
namespace {

std::string escape(unsigned char byte) {
    const char* digits = "0123456789abcdef";
    return {'\\', 'x', digits[byte >> 4], digits[byte & 15]};
}

std::string without_controls(std::string_view text, std::string_view allowed) {
    std::string shown;
    shown.reserve(text.size());
    for (std::size_t at = 0; at < text.size(); ++at) {
        const auto byte = static_cast<unsigned char>(text[at]);
        const auto next = at + 1 < text.size() ? static_cast<unsigned char>(text[at + 1]) : 0u;
        if ((byte < 0x20 || byte == 0x7f) && allowed.find(text[at]) == std::string_view::npos) {
            shown += escape(byte);
        } else if (byte == 0xc2 && next >= 0x80 && next < 0xa0) {  // U+0080 to U+009F: the other half of the controls
            shown += escape(byte) + escape(static_cast<unsigned char>(next));
            ++at;
        } else {
            shown += text[at];
        }
    }
    return shown;
}

}  // namespace

std::string printable(std::string_view name) { return without_controls(name, ""); }

std::string printable_lines(std::string_view text) { return without_controls(text, "\n\t"); }

}  // namespace sluice
