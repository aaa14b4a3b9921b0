#pragma once
/// Splitters as texts: of each only as many leading bytes as it needs, since whole records may be a mebibyte each.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

#include "record/compare.hpp"
#include "record/record_format.hpp"

namespace sluice {

/// A list of places in the total order of records. Records are ordered as the strings "key, then whole record" are; a
/// text is a prefix of such a string and stands for the place before all records that begin with it. Only a text of
/// full length is a record itself, and can be equal to one.
class SplitterTexts {
public:
    /// An empty list. @param format  of the records that texts are cut from; copied
    explicit SplitterTexts(const RecordFormat& format) : format_(format) {}

    /// Memory for so many texts of so many bytes in all; more is no error.
    void reserve(std::size_t texts, std::size_t bytes) {
        places_.reserve(texts);
        bytes_.reserve(bytes);
    }

    /// Appends the first `length` bytes of the record's string, at most full_bytes().
    void add(const std::byte* record, std::size_t length) {
        const std::size_t of_key = std::min<std::size_t>(length, format_.key_bytes);
        add({record + format_.key_offset, of_key}, {record, length - of_key});
    }
    void add(std::span<const std::byte> text) { add(text, {}); }
    /// Appends the last one once more, without its bytes.
    void repeat() { places_.push_back(places_.back()); }

    /// Turns the last one into a repetition of the one before it.
    void replace_by_repeat() {
        bytes_.resize(places_.back().at);
        places_.pop_back();
        repeat();
    }

    std::size_t size() const noexcept { return places_.size(); }
    std::span<const std::byte> operator[](std::size_t i) const { return {bytes_.data() + places_[i].at, length(i)}; }
    std::size_t length(std::size_t i) const { return places_[i].length; }
    bool is_repeat(std::size_t i) const {
        return i > 0 && places_[i].at == places_[i - 1].at && places_[i].length == places_[i - 1].length;
    }
    std::size_t full_bytes() const noexcept { return full_bytes(format_); }
    static std::size_t full_bytes(const RecordFormat& format) {
        return std::size_t{format.key_bytes} + format.record_bytes;
    }

    /// Below zero where text i comes before the record, zero where it is the record, above where it comes after.
    int compare(std::size_t i, const std::byte* record) const {
        if (places_[i].length == 0) return -1;  // memcmp wants a pointer even for nothing
        const std::byte* const text = bytes_.data() + places_[i].at;
        const std::size_t bytes = places_[i].length, of_key = std::min<std::size_t>(bytes, format_.key_bytes);
        if (const int by_key = std::memcmp(text, record + format_.key_offset, of_key)) return by_key;
        if (const int by_rest = std::memcmp(text + of_key, record, bytes - of_key)) return by_rest;
        return bytes == full_bytes() ? 0 : -1;
    }
    /// The order of two texts.
    int compare_texts(std::size_t left, std::size_t right) const;
    /// As key_prefix of a record; what the text lacks counts as zeros.
    std::uint64_t prefix(std::size_t i) const {
        std::uint64_t prefix = 0;
        if (length(i) == 0) return prefix;  // as memcpy does
        std::memcpy(&prefix, bytes_.data() + places_[i].at, std::min<std::size_t>({8, format_.key_bytes, length(i)}));
        return __builtin_bswap64(prefix);
    }

private:
    struct Place {
        std::size_t at;
        std::size_t length;
    };
    void add(std::span<const std::byte> first, std::span<const std::byte> second) {
        places_.push_back({bytes_.size(), first.size() + second.size()});
        bytes_.insert(bytes_.end(), first.begin(), first.end());
        bytes_.insert(bytes_.end(), second.begin(), second.end());
    }
    RecordFormat format_;
    std::vector<std::byte> bytes_;
    std::vector<Place> places_;
};

}  // namespace sluice
