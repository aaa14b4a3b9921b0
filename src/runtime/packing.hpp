#pragma once
/// Plain structs as compact bytes, for what ranks tell each other. A struct lists its members once, by name where they
/// are reported too (runtime/fields.hpp):
///
///     struct Found { std::uint32_t disk; std::string host; static constexpr auto fields = std::tuple{&Found::disk,
///     &Found::host}; };
///
/// All ranks run one build on one byte order (the handshake sees to it), so numbers go as they are.

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <vector>

#include "runtime/error.hpp"
#include "runtime/fields.hpp"

namespace sluice {

/// Goes as its bytes, alone and in a row.
template <typename T>
constexpr bool is_plain() {
    return std::is_trivially_copyable_v<T> && !requires { T::fields; };
}

/// Appends values to a text.
class Packer {
public:
    template <typename T>
    void add(const T& value) {
        if constexpr (requires { T::fields; }) {
            std::apply([&](auto... entry) { (add(value.*member_of(entry)), ...); }, T::fields);
        } else {
            static_assert(std::is_trivially_copyable_v<T> && !std::is_pointer_v<T>);
            text_.append(reinterpret_cast<const char*>(&value), sizeof value);
        }
    }
    void add(const std::string& text) {
        add(static_cast<std::uint64_t>(text.size()));
        text_ += text;
    }
    template <typename T>
    void add(const std::vector<T>& values) {
        add(static_cast<std::uint64_t>(values.size()));
        if constexpr (is_plain<T>()) {
            text_.append(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T));
        } else {
            for (const T& value : values) add(value);
        }
    }
    std::string take() { return std::move(text_); }

private:
    std::string text_;
};

/// Reads them back in the same order. Throws Error(integrity) when the text is too short: what came is not what was
/// sent.
class Unpacker {
public:
    /// @param text  as Packer made it; must outlive this
    explicit Unpacker(std::string_view text) : text_(text) {}
    template <typename T>
    T take() {
        T value{};
        read(value);
        return value;
    }
    bool at_end() const noexcept { return text_.empty(); }

private:
    template <typename T>
    void read(T& value) {
        if constexpr (requires { T::fields; }) {
            std::apply([&](auto... entry) { (read(value.*member_of(entry)), ...); }, T::fields);
        } else {
            static_assert(std::is_trivially_copyable_v<T> && !std::is_pointer_v<T>);
            std::memcpy(&value, bytes(sizeof value), sizeof value);
        }
    }
    void read(std::string& value) {
        const auto size = take<std::uint64_t>();
        value.assign(bytes(size), size);
    }
    template <typename T>
    void read(std::vector<T>& values) {
        const auto count = take<std::uint64_t>();
        if (count > text_.size()) too_short();  // each takes a byte at least
        values.clear();
        if constexpr (is_plain<T>()) {
            if (count > text_.size() / sizeof(T)) too_short();
            values.resize(count);
            if (count > 0) std::memcpy(values.data(), bytes(count * sizeof(T)), count * sizeof(T));
        } else {
            values.reserve(count);
            for (std::uint64_t i = 0; i < count; ++i) values.push_back(take<T>());
        }
    }
    const char* bytes(std::uint64_t count) {
        if (count > text_.size()) too_short();
        const char* at = text_.data();
        text_.remove_prefix(count);
        return at;
    }
    [[noreturn]] static void too_short() {
        throw Error(Errc::integrity, "a message between ranks is shorter than it says; check network and memory");
    }
    std::string_view text_;
};

template <typename T>
std::string pack(const T& value) {
    Packer packer;
    packer.add(value);
    return packer.take();
}

template <typename T>
T unpack(std::string_view text) {
    Unpacker unpacker(text);
    T value = unpacker.take<T>();
    if (!unpacker.at_end())
        throw Error(Errc::integrity, "a message between ranks is longer than it says; check network and memory");
    return value;
}

}  // namespace sluice
