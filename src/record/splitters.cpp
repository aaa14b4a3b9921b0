#include "record/splitters.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "record/compare.hpp"
#include "runtime/error.hpp"

namespace sluice {
namespace {

constexpr double kWhole = 4294967296.0;  // 2^32: shares are fractions of it

std::uint32_t to_share(double fraction) {
    return static_cast<std::uint32_t>(std::clamp(fraction * kWhole, 0.0, kWhole - 1));
}

}  // namespace

std::string Splitters::serialize() const {
    std::string text(shares.size() * sizeof(std::uint32_t) + records.size(), '\0');
    if (!shares.empty()) std::memcpy(text.data(), shares.data(), shares.size() * sizeof(std::uint32_t));
    if (!records.empty())
        std::memcpy(text.data() + shares.size() * sizeof(std::uint32_t), records.data(), records.size());
    return text;
}

Splitters Splitters::deserialize(const std::string& text, const RecordFormat& format) {
    const std::size_t each = sizeof(std::uint32_t) + format.record_bytes;
    if (text.size() % each != 0)
        throw Error(Errc::integrity, "splitters: " + std::to_string(text.size()) + " bytes are no multiple of " +
                                         std::to_string(each) + "; the network damaged them, sort again");
    Splitters splitters;
    splitters.shares.resize(text.size() / each);
    splitters.records.resize(splitters.shares.size() * format.record_bytes);
    const std::size_t shares_bytes = splitters.shares.size() * sizeof(std::uint32_t);
    if (!splitters.shares.empty()) {
        std::memcpy(splitters.shares.data(), text.data(), shares_bytes);
        std::memcpy(splitters.records.data(), text.data() + shares_bytes, splitters.records.size());
    }
    return splitters;
}

Splitters choose_splitters(const RecordFormat& format, std::span<const std::byte> sorted,
                           std::span<const double> shares) {
    SLUICE_CHECK(!shares.empty() && sorted.size() % format.record_bytes == 0);
    const std::size_t count = sorted.size() / format.record_bytes, boundaries = shares.size() - 1;
    Splitters chosen;
    chosen.shares.resize(boundaries);
    chosen.records.resize(boundaries * format.record_bytes);
    if (count == 0) return chosen;
    const auto record = [&](std::size_t i) { return sorted.data() + i * format.record_bytes; };
    double below = 0;
    std::size_t first = 0, last = 0;  // records of the sample identical to the current splitter
    for (std::size_t i = 0; i < boundaries; ++i) {
        below += shares[i];
        const double position = std::clamp(below, 0.0, 1.0) * static_cast<double>(count);
        const std::size_t at = std::min(count - 1, static_cast<std::size_t>(position));
        if (at >= last) {
            const auto same = [&](std::size_t k) { return compare_records(format, record(k), record(at)) == 0; };
            for (first = at; first > last && same(first - 1);) --first;
            for (last = at + 1; last < count && same(last);) ++last;
        }
        std::memcpy(chosen.records.data() + i * format.record_bytes, record(at), format.record_bytes);
        chosen.shares[i] = to_share((position - static_cast<double>(first)) / static_cast<double>(last - first));
    }
    return chosen;
}

}  // namespace sluice
