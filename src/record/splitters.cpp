#include "record/splitters.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>

#include "record/compare.hpp"
#include "runtime/error.hpp"

namespace sluice {
namespace {

constexpr double kWhole = 4294967296.0;          // 2^32: shares are fractions of it
constexpr std::uint32_t kEverythingBelow = ~0u;  // the largest share
constexpr std::uint32_t kRepeated = ~0u;         // on the wire, instead of a length
constexpr std::size_t kShortBytes = 256;         // up to here texts are whole: cutting would save nothing worth it
constexpr std::size_t kLeastBytes = 64;          // of a cut text, so that prefixes are always there

std::uint32_t to_share(double fraction) {
    return static_cast<std::uint32_t>(std::clamp(fraction * kWhole, 0.0, kWhole - 1));
}

/// A boundary falls among these records of the sample, which are identical.
struct Run {
    std::size_t first = 0, last = 0;  // in the sample, last exclusive
    std::size_t boundaries = 0;
    std::size_t text_bytes = 0;
};

/// Bytes by which two strings "key, then record" agree from their begin.
std::size_t common_bytes(const RecordFormat& format, const std::byte* a, const std::byte* b) {
    const std::byte *const key_a = a + format.key_offset, *const key_b = b + format.key_offset;
    const auto in_key = static_cast<std::size_t>(std::mismatch(key_a, key_a + format.key_bytes, key_b).first - key_a);
    if (in_key < format.key_bytes) return in_key;
    return in_key + static_cast<std::size_t>(std::mismatch(a, a + format.record_bytes, b).first - a);
}

/// How much of each run's record goes into its splitter.
void choose_lengths(const RecordFormat& format, std::span<const std::byte> sorted, std::vector<Run>& runs) {
    const std::size_t full = SplitterTexts::full_bytes(format);
    if (full <= kShortBytes) {
        for (Run& run : runs) run.text_bytes = full;
        return;
    }
    const auto record = [&](std::size_t i) { return sorted.data() + i * format.record_bytes; };
    const std::size_t most = std::min(full, std::max(kLeastBytes, kMostWholeBytes / (runs.size() + 1)));
    std::vector<Run*> divided;
    for (Run& run : runs) {
        const std::size_t needed =
            run.first == 0 ? kLeastBytes : common_bytes(format, record(run.first - 1), record(run.first)) + 1;
        run.text_bytes = std::clamp(needed, kLeastBytes, most);
        if (run.last - run.first > 1 || run.boundaries > 1) divided.push_back(&run);
    }
    std::stable_sort(divided.begin(), divided.end(), [](const Run* a, const Run* b) {
        return a->last - a->first + a->boundaries > b->last - b->first + b->boundaries;
    });
    for (std::size_t i = 0; i < std::min(divided.size(), kMostWholeBytes / full); ++i) divided[i]->text_bytes = full;
}

}  // namespace

std::string Splitters::serialize() const {
    std::string out;
    const auto put = [&](std::uint32_t word) { out.append(reinterpret_cast<const char*>(&word), sizeof word); };
    put(static_cast<std::uint32_t>(shares.size()));
    for (std::size_t i = 0; i < shares.size(); ++i) {
        put(shares[i]);
        put(texts.is_repeat(i) ? kRepeated : static_cast<std::uint32_t>(texts.length(i)));
    }
    for (std::size_t i = 0; i < shares.size(); ++i) {
        if (texts.is_repeat(i) || texts.length(i) == 0) continue;
        out.append(reinterpret_cast<const char*>(texts[i].data()), texts.length(i));
    }
    return out;
}

Splitters Splitters::deserialize(const std::string& text, const RecordFormat& format) {
    const auto word = [&](std::size_t at) {
        std::uint32_t value = 0;
        std::memcpy(&value, text.data() + at, sizeof value);
        return value;
    };
    const auto refuse = [&](const std::string& why) -> Splitters {
        throw Error(Errc::integrity, "splitters: " + std::to_string(text.size()) + " bytes, " + why +
                                         "; the network damaged them, sort again");
    };
    if (text.size() < 4) return refuse("fewer than their count takes");
    const std::size_t count = word(0), full = SplitterTexts::full_bytes(format);
    if ((text.size() - 4) / 8 < count) return refuse("too few for " + std::to_string(count));
    const auto bytes = std::as_bytes(std::span(text));
    std::size_t at = 4 + 8 * count;
    Splitters splitters(format);
    splitters.shares.reserve(count);
    splitters.texts.reserve(count, text.size() - at);
    for (std::size_t i = 0; i < count; ++i) {
        splitters.shares.push_back(word(4 + 8 * i));
        const std::uint32_t length = word(8 + 8 * i);
        if (length == kRepeated && i > 0) {
            splitters.texts.repeat();
            continue;
        }
        if (length > full || length > text.size() - at) return refuse("no room for number " + std::to_string(i));
        splitters.texts.add(bytes.subspan(at, length));
        at += length;
    }
    if (at != text.size()) return refuse(std::to_string(text.size() - at) + " too many");
    return splitters;
}

Splitters choose_splitters(const RecordFormat& format, std::span<const std::byte> sorted,
                           std::span<const double> shares) {
    SLUICE_CHECK(!shares.empty() && sorted.size() % format.record_bytes == 0);
    const std::size_t count = sorted.size() / format.record_bytes, boundaries = shares.size() - 1;
    Splitters chosen(format);
    chosen.shares.resize(boundaries);
    if (count == 0) {
        for (std::size_t i = 0; i < boundaries; ++i) chosen.texts.add({});  // before everything
        return chosen;
    }
    const auto record = [&](std::size_t i) { return sorted.data() + i * format.record_bytes; };
    std::vector<Run> runs;
    double below = 0;
    for (std::size_t i = 0; i < boundaries; ++i) {
        below += shares[i];
        const double position = std::clamp(below, 0.0, 1.0) * static_cast<double>(count);
        const std::size_t at = std::min(count - 1, static_cast<std::size_t>(position));
        const std::size_t after = runs.empty() ? 0 : runs.back().last;
        if (at >= after) {
            const auto same = [&](std::size_t k) { return compare_records(format, record(k), record(at)) == 0; };
            Run run{at, at + 1};
            while (run.first > after && same(run.first - 1)) --run.first;
            while (run.last < count && same(run.last)) ++run.last;
            runs.push_back(run);
        }
        Run& run = runs.back();
        ++run.boundaries;
        chosen.shares[i] =
            to_share((position - static_cast<double>(run.first)) / static_cast<double>(run.last - run.first));
    }
    choose_lengths(format, sorted, runs);
    std::size_t next = 0;
    for (const Run& run : runs) {
        const std::size_t begin = next;
        chosen.texts.add(record(run.first), run.text_bytes);
        // A text that was cut short may begin a whole one before it, and would then come before it: what is equal to
        // that one lies below, all else above.
        const bool behind = begin > 0 && chosen.texts.compare_texts(begin - 1, begin) > 0;
        if (behind) chosen.texts.replace_by_repeat();
        for (; next < begin + run.boundaries; ++next) {
            if (next > begin) chosen.texts.repeat();
            if (run.text_bytes < chosen.texts.full_bytes()) chosen.shares[next] = behind ? kEverythingBelow : 0;
        }
    }
    return chosen;
}

}  // namespace sluice
