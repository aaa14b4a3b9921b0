#include "runtime/bounded_text.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace sluice {
namespace {

/// Walks over the text as TOML reads it, as far as strings, comments, brackets and names go.
class TomlBounds {
public:
    TomlBounds(std::string_view text, const std::string& name) : text_(text), name_(name) {}
    void check() {
        while (at_ < text_.size()) {
            const char c = text_[at_];
            if (c == '"' || c == '\'') {
                skip_string(c);
                continue;
            }
            if (c == '#') {
                at_ = std::min(text_.find('\n', at_), text_.size());
                continue;
            }
            if (c == '[' || c == '{') nest(++depth_);
            if ((c == ']' || c == '}') && depth_ > 0) --depth_;
            if (c == '.') nest(++dots_);
            // A name ends where a value, another name or a line begins; blanks may stand around its dots.
            if (c == '=' || c == ',' || c == '\n' || c == '[' || c == '{' || c == ']' || c == '}') dots_ = 0;
            ++at_;
        }
    }

private:
    void skip_string(char quote) {
        const bool is_long = text_.substr(at_, 3) == std::string(3, quote);
        const std::string end(is_long ? 3 : 1, quote);
        at_ += end.size();
        while (at_ < text_.size() && text_.substr(at_, end.size()) != end) {
            if (!is_long && text_[at_] == '\n') return;  // not closed: the parser will say so
            at_ += quote == '"' && text_[at_] == '\\' ? 2 : 1;
        }
        at_ = std::min(at_ + end.size(), text_.size());
    }
    void nest(std::size_t depth) const {
        if (depth <= kMostNesting) return;
        const std::string_view before = text_.substr(0, at_);
        const std::size_t line_begin = before.rfind('\n') + 1;  // npos + 1: the first line
        const auto line = 1 + std::count(before.begin(), before.end(), '\n');
        throw Error(Errc::config, name_ + ":" + std::to_string(line) + ":" + std::to_string(at_ - line_begin + 1) +
                                      ": nests deeper than " + std::to_string(kMostNesting) +
                                      " levels; no option does, remove brackets or dots");
    }
    std::string_view text_;
    const std::string& name_;
    std::size_t at_ = 0, depth_ = 0, dots_ = 0;
};

}  // namespace

void check_toml_bounds(std::string_view text, const std::string& name) {
    if (text.size() > kMostConfigBytes) {
        throw Error(Errc::config, "config file '" + name + "': has " + std::to_string(text.size()) +
                                      " bytes, at most " + std::to_string(kMostConfigBytes) +
                                      " are read; is it a data file?");
    }
    TomlBounds(text, name).check();
}

nlohmann::json parse_bounded_json(std::string_view text, std::size_t most_values) {
    std::size_t depth = 0, values = 1;
    bool in_string = false;
    for (std::size_t at = 0; at < text.size(); ++at) {
        const char c = text[at];
        // The parser takes it for the end, and all that follows for nothing: a block that was lost, or a forgery.
        if (c == '\0') throw Error(Errc::integrity, "holds a zero byte at " + std::to_string(at));
        if (in_string) {
            if (c == '\\') ++at;
            in_string = c != '"';
        } else if (c == '"') {
            in_string = true;
        } else if (c == ',' || c == '[' || c == '{') {
            if (++values > most_values)
                throw Error(Errc::integrity, "has more than " + std::to_string(most_values) +
                                                 " values, the last at byte " + std::to_string(at) +
                                                 ": more than it can need");
            if (c == ',') continue;
            if (++depth > kMostNesting)
                throw Error(Errc::integrity, "nests deeper than " + std::to_string(kMostNesting) + " levels at byte " +
                                                 std::to_string(at));
        } else if ((c == ']' || c == '}') && depth > 0) {
            --depth;
        }
    }
    return nlohmann::json::parse(text);
}

namespace {

Error no_number(std::string_view name) { return {Errc::integrity, std::string(name) + " is no number it can be"}; }

}  // namespace

std::int64_t exact_signed(const nlohmann::json& json, std::string_view name, std::int64_t least, std::int64_t most) {
    if (json.is_number_unsigned())
        return static_cast<std::int64_t>(exact_unsigned(json, name, static_cast<std::uint64_t>(most)));
    if (!json.is_number_integer()) throw no_number(name);
    const auto value = json.get<std::int64_t>();
    if (value < least || value > most) throw no_number(name);
    return value;
}

std::uint64_t exact_unsigned(const nlohmann::json& json, std::string_view name, std::uint64_t most) {
    if (!json.is_number_unsigned()) throw no_number(name);
    const auto value = json.get<std::uint64_t>();
    if (value > most) throw no_number(name);
    return value;
}

}  // namespace sluice
