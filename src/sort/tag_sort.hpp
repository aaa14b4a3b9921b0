#pragma once
/// Tags and the radix sort of them. Internal to the sort layer; use sort_partition.hpp.

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <utility>

#include "record/compare.hpp"
#include "sort/chunked_records.hpp"

namespace sluice {

/// 64 - index_bits bits of key over the record's index.
struct NarrowTag {
    std::uint64_t value;
};
/// Eight bytes of key and the record's index, for partitions of many records.
struct WideTag {
    std::uint64_t key, index;
};

/// Sorts one partition's tags. Tag is NarrowTag or WideTag; Records says where record i lies.
template <typename Tag, typename Records = AdjacentRecords>
class TagSorter {
public:
    /// @param records  where record i lies; must stay there while this and its tags are used
    /// @param count    of records
    /// @param tags, spare  room for `count` tags each; the caller's, undefined afterwards but for what run() returns
    TagSorter(RecordFormat format, Records records, std::uint64_t count, Tag* tags, Tag* spare)
        : format_(format), records_(records), count_(count), tags_(tags), spare_(spare) {
        index_bits_ = kWide ? 0 : static_cast<unsigned>(std::bit_width(std::max<std::uint64_t>(count, 2) - 1));
        key_bits_ = 64 - index_bits_;
    }
    unsigned index_bits() const noexcept { return index_bits_; }

    /// Returns where the sorted tags are: tags or spare.
    Tag* run(std::uint64_t low_prefix, std::uint64_t high_prefix) {
        if (count_ == 0) return tags_;
        const auto shift =
            static_cast<unsigned>(std::countl_zero(std::max<std::uint64_t>(high_prefix - low_prefix, 1)));
        std::array<std::uint32_t, kBuckets> bucket_ends{};
        for (std::uint64_t i = 0; i < count_; ++i) {
            const std::byte* record = records_.at(i, format_.record_bytes);
            __builtin_prefetch(record + kAheadBytes);
            tags_[i] = make((key_prefix(format_, record) - low_prefix) << shift, i);
            ++bucket_ends[bucket_of(tags_[i])];
        }
        if (bucket_ends[bucket_of(tags_[0])] == count_) return sort_bucket(tags_, spare_, count_);
        std::uint32_t sum = 0;
        for (std::uint32_t& end : bucket_ends) sum += std::exchange(end, sum);
        for (std::uint64_t i = 0; i < count_; ++i) {
            Tag* const to = spare_ + bucket_ends[bucket_of(tags_[i])]++;
            __builtin_prefetch(to + kTagsOfALine, 1);  // no longer in the caches, after the records of a partition
            *to = tags_[i];
        }
        for (std::uint64_t bucket = 0, first = 0; bucket < kBuckets; first = bucket_ends[bucket++]) {
            const std::uint64_t count = bucket_ends[bucket] - first;
            const Tag* const sorted = sort_bucket(spare_ + first, tags_ + first, count);
            if (sorted != spare_ + first) std::copy_n(sorted, count, spare_ + first);
        }
        return spare_;
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
    // The lines that the cursors of all buckets write to fit the first-level cache, and so does a bucket of spread
    // keys.
    static constexpr unsigned kBucketBits = 8, kBuckets = 1u << kBucketBits;
    static constexpr std::size_t kTagsOfALine = 64 / sizeof(Tag);
    static constexpr std::uint64_t kInsertion = 24;  // runs up to here are sorted in place
    static constexpr std::uint64_t kAhead = 16;      // records whose lines are on their way while one is looked at
    static constexpr std::uint64_t kAheadBytes =
        4096;                                          // in order, across pages: the processor's prefetcher stops there
    static constexpr std::uint64_t kRadixFrom = 1000;  // below, std::sort of tags is faster than clearing histograms

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
        return records_.at(index_of(tag, index_bits_), format_.record_bytes);
    }

    static unsigned bucket_of(const Tag& tag) { return static_cast<unsigned>(word(tag) >> (64 - kBucketBits)); }
    /// As many bits as count the records, and two more, leave short runs, which are sorted in place.
    unsigned digits_in_buckets() const {
        const auto wanted = static_cast<unsigned>(std::bit_width(count_)) + 2;
        const unsigned most = (key_bits_ - kBucketBits) / kBucketBits;
        return wanted <= kBucketBits ? 0 : std::min((wanted - 1) / kBucketBits, most);
    }
    /// Sorts the tags of a bucket, with `spare` as long: by a few digits below those that all agree in, least
    /// significant first; then each run that agrees in all of them. Returns where they are: tags or spare.
    Tag* sort_bucket(Tag* tags, Tag* spare, std::uint64_t count) {
        unsigned bits = kBucketBits;
        if (count > kInsertion) {
            const unsigned digits = digits_in_buckets();
            bits += digits * kBucketBits;
            if (sort_by_digits(tags, spare, count, kBucketBits, digits) != tags) std::swap(tags, spare);
        }
        other_ = spare;
        for_each_run(tags, count, bits, [this](Tag* run, std::uint64_t length) {
            if (length <= kInsertion) {
                insertion_sort(run, length);
            } else {
                sort_tags(run, length);
                settle_runs(run, length, 0);
            }
        });
        return tags;
    }
    /// By the `digits` digits below the `above` highest bits, least significant first; those that all tags share cost
    /// one look. Returns where the sorted tags are: tags or spare.
    static Tag* sort_by_digits(Tag* tags, Tag* spare, std::uint64_t count, unsigned above, unsigned digits) {
        std::uint64_t differing = 0;
        for (std::uint64_t i = 0; i < count; ++i) differing |= word(tags[i]) ^ word(tags[0]);
        for (unsigned d = 0; d < digits; ++d) {
            const auto turn = static_cast<int>(above + kBucketBits * (digits - d));
            const auto digit = [turn](std::uint64_t bits) { return std::rotl(bits, turn) & (kBuckets - 1); };
            if (digit(differing) == 0) continue;
            std::array<std::uint32_t, kBuckets> next{};
            for (std::uint64_t i = 0; i < count; ++i) {
                __builtin_prefetch(spare + i, 1);
                ++next[digit(word(tags[i]))];
            }
            std::uint32_t sum = 0;
            for (std::uint32_t& slot : next) sum += std::exchange(slot, sum);
            for (std::uint64_t i = 0; i < count; ++i) spare[next[digit(word(tags[i]))]++] = tags[i];
            std::swap(tags, spare);
        }
        return tags;
    }
    /// Sorts by all key bits of the tags. Never inlined: settle_runs() nests, its histograms must not.
    __attribute__((noinline)) void sort_tags(Tag* tags, std::uint64_t count) {
        if (count < kRadixFrom) {
            std::sort(tags, tags + count, [](const Tag& a, const Tag& b) { return word(a) < word(b); });
            return;
        }
        const unsigned digits = (key_bits_ + kBucketBits - 1) / kBucketBits;
        const Tag* sorted = sort_by_digits(tags, other_, count, 0, digits);
        if (sorted != tags) std::copy_n(sorted, count, tags);
    }

    /// Calls run(first tag, length) for each run of two or more tags that agree in their `bits` highest bits.
    template <typename Run>
    static void for_each_run(Tag* tags, std::uint64_t count, unsigned bits, Run run) {
        const std::uint64_t mask = bits >= 64 ? ~std::uint64_t{0} : ~(~std::uint64_t{0} >> bits);
        for (std::uint64_t first = 0; first + 1 < count;) {
            std::uint64_t last = first + 1;
            while (last < count && ((word(tags[first]) ^ word(tags[last])) & mask) == 0) ++last;
            if (last - first > 1) run(tags + first, last - first);
            first = last;
        }
    }
    /// In `tags`, in order of their key bits, puts each run that agrees in them in order by the records' text, of which
    /// the first `known` bytes are the same within a run.
    void settle_runs(Tag* tags, std::uint64_t count, unsigned known) {
        for_each_run(tags, count, key_bits_, [this, known](Tag* run, std::uint64_t length) {
            if (length <= kInsertion) {
                insertion_sort(run, length);
                return;
            }
            const unsigned common = retag(run, length, known);
            if (common == text_bytes()) return;  // byte-identical: any order is the same bytes
            sort_tags(run, length);
            settle_runs(run, length, common + key_bits_ / 8);
        });
    }
    /// Tags the records of the run with what follows the leading bytes of the text that they all share; returns how
    /// many those are (at least `known`). A few records mostly tell, so that one pass over the records is enough.
    unsigned retag(Tag* run, std::uint64_t length, unsigned known) const {
        unsigned common = common_prefix(run, std::min<std::uint64_t>(length, 32), known);
        const std::byte* const first = record_of(run[0]);
        for (std::uint64_t i = 0; i < length; ++i) {
            if (i + kAhead < length) {
                const std::byte* const ahead = record_of(run[i + kAhead]);
                __builtin_prefetch(ahead);
                __builtin_prefetch(ahead + 64);
            }
            const std::byte* const record = record_of(run[i]);
            if (shared_prefix(first, record, known, common) < common) {
                common = common_prefix(run, length, known);
                i = ~std::uint64_t{0};  // once more from the start
                continue;
            }
            run[i] = make(window(record, common), index_of(run[i], index_bits_));
        }
        return common;
    }
    unsigned common_prefix(const Tag* run, std::uint64_t length, unsigned known) const {
        unsigned common = text_bytes();
        const std::byte* const first = record_of(run[0]);
        for (std::uint64_t i = 1; i < length && common > known; ++i) {
            if (i + kAhead < length) __builtin_prefetch(record_of(run[i + kAhead]));
            common = shared_prefix(first, record_of(run[i]), known, common);
        }
        return common;
    }
    /// Leading bytes of the text that two records share, which is known of the first `known`; no more than `most`.
    unsigned shared_prefix(const std::byte* left, const std::byte* right, unsigned known, unsigned most) const {
        if (format_.key_offset == 0 ? std::memcmp(left, right, most) == 0
                                    : std::memcmp(left, right, format_.record_bytes) == 0) {
            return most;
        }
        for (unsigned at = known; at < most; at += 8) {
            const std::uint64_t difference = window(left, at) ^ window(right, at);
            if (difference != 0) return std::min(most, at + static_cast<unsigned>(std::countl_zero(difference)) / 8);
        }
        return most;
    }
    /// By key bits, then whole records.
    void insertion_sort(Tag* tags, std::uint64_t count) const {
        const auto less = [this](const Tag& a, const Tag& b) {
            const std::uint64_t key_a = word(a) >> (64 - key_bits_), key_b = word(b) >> (64 - key_bits_);
            if (key_a != key_b) return key_a < key_b;
            return compare_records(format_, record_of(a), record_of(b)) < 0;
        };
        for (std::uint64_t i = 1; i < count; ++i) {
            const Tag moving = tags[i];
            std::uint64_t at = i;
            for (; at > 0 && less(moving, tags[at - 1]); --at) tags[at] = tags[at - 1];
            tags[at] = moving;
        }
    }

    /// Records compare as this text: the key, then the record; where the key leads the record, just the record.
    unsigned text_bytes() const {
        return format_.key_offset == 0 ? format_.record_bytes : format_.key_bytes + format_.record_bytes;
    }
    /// Eight bytes of the text from `position` on, zeros past its end.
    std::uint64_t window(const std::byte* record, unsigned position) const {
        if (format_.key_offset == 0 && position + 8 <= format_.record_bytes) {
            std::uint64_t value;
            std::memcpy(&value, record + position, 8);
            return __builtin_bswap64(value);
        }
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
    Records records_;
    std::uint64_t count_;
    Tag *tags_, *spare_, *other_ = nullptr;
    unsigned index_bits_ = 0, key_bits_ = 64;
};

}  // namespace sluice
