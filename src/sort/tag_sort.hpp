#pragma once
/// Tags and the radix sort of them. Internal to the sort layer; use sort_partition.hpp.

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <utility>

#include "record/compare.hpp"

namespace sluice {

/// 64 - index_bits bits of key over the record's index.
struct NarrowTag {
    std::uint64_t value;
};
struct WideTag {
    std::uint64_t key, index;
};

/// Sorts one partition's tags. Tag is NarrowTag or WideTag.
template <typename Tag>
class TagSorter {
public:
    TagSorter(RecordFormat format, const std::byte* records, std::uint64_t count, Tag* tags, Tag* spare)
        : format_(format), records_(records), count_(count), tags_(tags), spare_(spare) {
        index_bits_ = kWide ? 0 : static_cast<unsigned>(std::bit_width(std::max<std::uint64_t>(count, 2) - 1));
        key_bits_ = 64 - index_bits_;
    }
    unsigned index_bits() const noexcept { return index_bits_; }

    /// Returns where the sorted tags are: tags or spare.
    Tag* run(std::uint64_t low_prefix, std::uint64_t high_prefix) {
        low_ = low_prefix;
        shift_ = static_cast<unsigned>(std::countl_zero(std::max<std::uint64_t>(high_prefix - low_prefix, 1)));
        const std::byte* record = records_;
        for (std::uint64_t i = 0; i < count_; ++i, record += format_.record_bytes)
            tags_[i] = make((key_prefix(format_, record) - low_) << shift_, i);
        // Bits that tell most records apart: as many as count them, and ten more; the few ties are settled below.
        const unsigned wanted = static_cast<unsigned>(std::bit_width(count_)) + 10;
        const unsigned sorted_bits = std::min(key_bits_, (wanted + 7) / 8 * 8);
        Tag* sorted = radix(tags_, spare_, count_, sorted_bits);
        other_ = sorted == tags_ ? spare_ : tags_;
        settle_runs(sorted, count_, sorted_bits, kPrefixRest);
        return sorted;
    }
    static std::uint64_t index_of(const Tag& tag, unsigned index_bits) {
        if constexpr (kWide) {
            return tag.index;
        } else {
            return tag.value & ((std::uint64_t{1} << index_bits) - 1);
        }
    }

private:
    static constexpr bool kWide = sizeof(Tag) == 16;
    static constexpr unsigned kPrefixRest = ~0u;       // position: the bits of the prefix that the tag left out
    static constexpr std::uint64_t kInsertion = 24;    // runs up to here are compared as records
    static constexpr std::uint64_t kRadixFrom = 1500;  // below, std::sort of tags is faster than clearing histograms

    Tag make(std::uint64_t key, std::uint64_t index) const {
        if constexpr (kWide) {
            return {key, index};
        } else {
            return {(key & ~((std::uint64_t{1} << index_bits_) - 1)) | index};
        }
    }
    static std::uint64_t word(const Tag& tag) {
        if constexpr (kWide) {
            return tag.key;
        } else {
            return tag.value;
        }
    }
    const std::byte* record_of(const Tag& tag) const {
        return records_ + index_of(tag, index_bits_) * format_.record_bytes;
    }

    /// Least significant digit first over the `bits` highest bits; digits that all tags share are skipped.
    Tag* radix(Tag* from, Tag* to, std::uint64_t count, unsigned bits) {
        const unsigned digits = (bits + 7) / 8;
        const unsigned lowest = 64 - 8 * digits;
        std::array<std::array<std::uint32_t, 256>, 8> histogram;
        for (unsigned d = 0; d < digits; ++d) histogram[d].fill(0);
        for (std::uint64_t i = 0; i < count; ++i) {
            std::uint64_t value = word(from[i]) >> lowest;
            for (unsigned d = 0; d < digits; ++d, value >>= 8) ++histogram[d][value & 255];
        }
        for (unsigned d = 0; d < digits; ++d) {
            const unsigned down = lowest + 8 * d;
            auto& next = histogram[d];
            if (next[(word(from[0]) >> down) & 255] == count) continue;
            std::uint32_t sum = 0;
            for (std::uint32_t& slot : next) sum += std::exchange(slot, sum);
            for (std::uint64_t i = 0; i < count; ++i) to[next[(word(from[i]) >> down) & 255]++] = from[i];
            std::swap(from, to);
        }
        return from;
    }

    /// In `tags`, sorted by their `sorted_bits` highest bits, puts each run that agrees in them in order by what
    /// follows: `position` says which bytes come next.
    void settle_runs(Tag* tags, std::uint64_t count, unsigned sorted_bits, unsigned position) {
        const std::uint64_t mask = sorted_bits >= 64 ? ~std::uint64_t{0} : ~(~std::uint64_t{0} >> sorted_bits);
        for (std::uint64_t first = 0; first + 1 < count;) {
            std::uint64_t last = first + 1;
            while (last < count && ((word(tags[first]) ^ word(tags[last])) & mask) == 0) ++last;
            if (last - first > 1) settle(tags + first, last - first, sorted_bits, position);
            first = last;
        }
    }
    void settle(Tag* tags, std::uint64_t count, unsigned sorted_bits, unsigned position) {
        if (count <= kInsertion) {
            insertion_sort(tags, count);
            return;
        }
        unsigned next_position = 0, bits = 0;
        if (position == kPrefixRest) {
            // What the first tag had no room for, in one more tag: all the bits of the relative prefix below the sorted
            // ones.
            const unsigned used = shift_ + sorted_bits;
            for (std::uint64_t i = 0; i < count; ++i) {
                const std::uint64_t rest = used >= 64 ? 0 : (key_prefix(format_, record_of(tags[i])) - low_) << used;
                tags[i] = make(rest, index_of(tags[i], index_bits_));
            }
            bits = used >= 64 ? 0 : std::min(key_bits_, 64 - used);
            if (used + bits < 64) {  // index bits are in the way: one more round for the remainder
                sort_tags(tags, count, bits);
                settle_prefix_remainder(tags, count, bits, used + bits);
                return;
            }
            next_position = std::min<unsigned>(8, format_.key_bytes);
        } else {
            if (position >= text_bytes()) return;  // byte-identical: any order is the same bytes
            const unsigned bytes = key_bits_ / 8;
            for (std::uint64_t i = 0; i < count; ++i)
                tags[i] = make(window(record_of(tags[i]), position), index_of(tags[i], index_bits_));
            bits = 8 * bytes;
            next_position = position + bytes;
        }
        if (bits > 0) sort_tags(tags, count, bits);
        settle_runs(tags, count, bits, next_position);
    }
    void settle_prefix_remainder(Tag* tags, std::uint64_t count, unsigned bits, unsigned used) {
        const std::uint64_t mask = ~(~std::uint64_t{0} >> bits);
        for (std::uint64_t first = 0; first + 1 < count;) {
            std::uint64_t last = first + 1;
            while (last < count && ((word(tags[first]) ^ word(tags[last])) & mask) == 0) ++last;
            if (last - first > 1) settle(tags + first, last - first, used - shift_, kPrefixRest);
            first = last;
        }
    }
    void sort_tags(Tag* tags, std::uint64_t count, unsigned bits) {
        if (count < kRadixFrom) {
            std::sort(tags, tags + count, [](const Tag& a, const Tag& b) { return word(a) < word(b); });
            return;
        }
        const Tag* sorted = radix(tags, other_, count, bits);
        if (sorted != tags) std::copy_n(sorted, count, tags);
    }
    void insertion_sort(Tag* tags, std::uint64_t count) const {
        for (std::uint64_t i = 1; i < count; ++i) {
            const Tag moving = tags[i];
            std::uint64_t at = i;
            for (; at > 0 && compare_records(format_, record_of(moving), record_of(tags[at - 1])) < 0; --at)
                tags[at] = tags[at - 1];
            tags[at] = moving;
        }
    }

    /// Records compare as this text: the key, then the record; where the key leads the record, just the record.
    unsigned text_bytes() const {
        return format_.key_offset == 0 ? format_.record_bytes : format_.key_bytes + format_.record_bytes;
    }
    /// Eight bytes of the text from `position` on, zeros past its end.
    std::uint64_t window(const std::byte* record, unsigned position) const {
        std::byte bytes[8] = {};
        unsigned at = 0;
        if (format_.key_offset != 0) {
            for (; at < 8 && position + at < format_.key_bytes; ++at)
                bytes[at] = record[format_.key_offset + position + at];
            position -= std::min(position, format_.key_bytes);
            if (at > 0) position = 0;
        }
        const unsigned left = position < format_.record_bytes ? std::min(8 - at, format_.record_bytes - position) : 0;
        std::memcpy(bytes + at, record + position, left);
        std::uint64_t value;
        std::memcpy(&value, bytes, 8);
        return __builtin_bswap64(value);
    }

    RecordFormat format_;
    const std::byte* records_;
    std::uint64_t count_;
    Tag *tags_, *spare_, *other_ = nullptr;
    unsigned index_bits_ = 0, key_bits_ = 64, shift_ = 0;
    std::uint64_t low_ = 0;
};

}  // namespace sluice
