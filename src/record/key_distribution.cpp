#include "record/key_distribution.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>

#include "runtime/error.hpp"
#include "runtime/rng.hpp"

namespace sluice {
namespace {

using Kind = KeyDistribution::Kind;

struct KindName {
    Kind kind;
    std::string_view name, parameter;
};
constexpr KindName kKinds[] = {
    {Kind::uniform, "uniform", ""},     {Kind::skewed, "skewed", ""},
    {Kind::zipf, "zipf", "THETA"},      {Kind::all_equal, "all-equal", ""},
    {Kind::all_same, "all-same", ""},   {Kind::few_distinct, "few-distinct", "K"},
    {Kind::sorted, "sorted", ""},       {Kind::reverse, "reverse", ""},
    {Kind::drift, "drift", ""},         {Kind::nearly_sorted, "nearly-sorted", ""},
    {Kind::hot_range, "hot-range", ""},
};

constexpr std::uint64_t kMostZipfKeys = 1 << 20;
constexpr std::uint64_t kDisplacedOneIn = 100;  // nearly-sorted: records that have the key of another place
constexpr std::uint64_t kHotPercent = 90;       // hot-range: records in the hot hundredth of the key space
constexpr std::uint64_t kHotLow = ~std::uint64_t{0} / 100 * 37, kHotWidth = ~std::uint64_t{0} / 100;

/// A bijection of 64-bit numbers that looks random: different inputs give different keys.
std::uint64_t mixed(std::uint64_t value) { return Rng(value).next(); }

/// Place `place` of `count` in the key space: rises strictly.
std::uint64_t spread(std::uint64_t place, std::uint64_t count) {
    return static_cast<std::uint64_t>((static_cast<Uint128>(place) << 64) / count);
}

/// floor(2^64 * P(rank <= k)) for ranks 1.. of a Zipf distribution.
std::vector<std::uint64_t> zipf_table(double theta, std::uint64_t keys) {
    std::vector<long double> sums(keys);
    long double sum = 0;
    for (std::uint64_t k = 0; k < keys; ++k) sums[k] = sum += std::pow(static_cast<double>(k + 1), -theta);
    std::vector<std::uint64_t> table(keys);
    for (std::uint64_t k = 0; k + 1 < keys; ++k)
        table[k] = static_cast<std::uint64_t>(std::min(sums[k] / sum, 1 - 0x1p-63L) * 0x1p64L);
    table.back() = ~std::uint64_t{0};
    return table;
}

template <typename Number>
std::optional<Number> parse_number(std::string_view text) {
    Number value{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (text.empty() || error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return value;
}

}  // namespace

std::optional<KeyDistribution> KeyDistribution::parse(std::string_view text) {
    const std::size_t colon = text.find(':');
    const std::string_view name = text.substr(0, colon);
    for (const KindName& one : kKinds) {
        if (one.name != name || one.parameter.empty() != (colon == std::string_view::npos)) continue;
        KeyDistribution parsed;
        parsed.kind = one.kind;
        if (one.kind == Kind::zipf) {
            const auto theta = parse_number<double>(text.substr(colon + 1));
            if (!theta || !(*theta >= 0 && *theta <= 10) || std::signbit(*theta)) return std::nullopt;
            parsed.theta = *theta;
        }
        if (one.kind == Kind::few_distinct) {
            const auto distinct = parse_number<std::uint64_t>(text.substr(colon + 1));
            if (!distinct || *distinct == 0) return std::nullopt;
            parsed.distinct = *distinct;
        }
        return parsed;
    }
    return std::nullopt;
}

std::string KeyDistribution::text() const {
    const auto found =
        std::find_if(std::begin(kKinds), std::end(kKinds), [&](const auto& k) { return k.kind == kind; });
    std::string name(found->name);
    if (kind == Kind::zipf) {
        char digits[32];
        const auto end = std::to_chars(std::begin(digits), std::end(digits), theta).ptr;
        name += ":" + std::string(std::begin(digits), end);
    }
    if (kind == Kind::few_distinct) name += ":" + std::to_string(distinct);
    return name;
}

std::vector<std::string> key_distribution_names() {
    std::vector<std::string> names;
    for (const KindName& one : kKinds) {
        names.emplace_back(one.name);
        if (!one.parameter.empty()) names.back() += ":" + std::string(one.parameter);
    }
    return names;
}

std::string GeneratedData::problem() const {
    if (keys.kind != Kind::few_distinct) return {};
    const std::string what = "--keys " + keys.text() + ": more keys than ";
    if (keys.distinct > records && records > 0) {
        return what + "there are records; K is a whole number from 1 to --records " + std::to_string(records);
    }
    if (format.key_bytes < 8 && keys.distinct > std::uint64_t{1} << (8 * format.key_bytes)) {
        return what + "a key of " + std::to_string(format.key_bytes) +
               " bytes can tell apart; K is a whole number from 1 to " +
               std::to_string(std::uint64_t{1} << (8 * format.key_bytes)) + ", or record.key_size larger";
    }
    return {};
}

DataGenerator::DataGenerator(const GeneratedData& data, std::uint64_t first)
    : data_(data),
      next_(first),
      gensort_({data.ascii, data.keys.kind == Kind::skewed && data.format.key_offset == 0}, data.start + first),
      skewed_({false, true}, data.start + first) {
    const RecordFormat& format = data.format;
    SLUICE_CHECK(format.key_bytes > 0 && format.key_offset + format.key_bytes <= format.record_bytes);
    SLUICE_CHECK(!data.ascii || format.record_bytes == kGensortRecordBytes);
    if (data.keys.kind == Kind::zipf) {
        zipf_ = std::make_shared<const std::vector<std::uint64_t>>(
            zipf_table(data.keys.theta, std::clamp<std::uint64_t>(data.records, 1, kMostZipfKeys)));
    }
    if (data.keys.kind == Kind::all_same) {
        GeneratedData one = data;
        one.keys = {};
        std::vector<std::byte> record(format.record_bytes);
        DataGenerator(one, 0).fill(record);
        same_ = std::make_shared<const std::vector<std::byte>>(std::move(record));
    }
}

DataGenerator DataGenerator::from(std::uint64_t first) const {
    DataGenerator other(*this);
    other.next_ = first;
    other.gensort_ = RecordGenerator({data_.ascii, data_.keys.kind == Kind::skewed && data_.format.key_offset == 0},
                                     data_.start + first);
    other.skewed_ = RecordGenerator({false, true}, data_.start + first);
    return other;
}

void DataGenerator::fill(std::span<std::byte> out) {
    const std::uint32_t record_bytes = data_.format.record_bytes;
    SLUICE_CHECK(out.size() % record_bytes == 0);
    const std::uint64_t count = out.size() / record_bytes;
    if (same_) {
        for (std::uint64_t i = 0; i < count; ++i) std::copy(same_->begin(), same_->end(), &out[i * record_bytes]);
        next_ += count;
        return;
    }
    make_payload(out);
    const bool keys_are_made =
        data_.keys.kind == Kind::uniform ||
        (data_.keys.kind == Kind::skewed && data_.format.key_offset == 0 && record_bytes == kGensortRecordBytes);
    for (std::uint64_t i = 0; i < count && !keys_are_made; ++i) {
        const std::uint64_t value = key_value(next_ + i, data_.start + next_ + i);
        std::byte* const record = out.data() + i * record_bytes;
        data_.ascii ? put_printable_key(record, value) : put_key(record, value);
    }
    next_ += count;
}

void DataGenerator::make_payload(std::span<std::byte> out) {
    const std::uint32_t record_bytes = data_.format.record_bytes;
    if (record_bytes == kGensortRecordBytes) {
        gensort_.fill(out);
        return;
    }
    Uint128 number = data_.start + next_;
    for (auto rest = out; !rest.empty(); rest = rest.subspan(record_bytes), ++number) {
        Rng random(
            mixed(mixed(data_.seed ^ static_cast<std::uint64_t>(number >> 64)) ^ static_cast<std::uint64_t>(number)));
        for (std::uint32_t at = 0; at < record_bytes; at += 8) {
            const std::uint64_t word = random.next();
            std::memcpy(rest.data() + at, &word, std::min<std::size_t>(8, record_bytes - at));
        }
    }
}

/// What orders the record: the first eight bytes of its key.
std::uint64_t DataGenerator::key_value(std::uint64_t place, Uint128 number) {
    // Two independent draws, functions of seed and record number alone.
    const std::uint64_t own = mixed(data_.seed ^ static_cast<std::uint64_t>(number >> 64) ^ 0x6b657973);  // "keys"
    const std::uint64_t draw = mixed(own ^ static_cast<std::uint64_t>(number)), second = mixed(draw);
    switch (data_.keys.kind) {
        case Kind::zipf: {
            const auto rank = std::upper_bound(zipf_->begin(), zipf_->end() - 1, draw) - zipf_->begin();
            return mixed(mixed(data_.seed) + static_cast<std::uint64_t>(rank));
        }
        case Kind::few_distinct:
            return mixed(mixed(data_.seed) + draw % data_.keys.distinct);
        case Kind::sorted:
            return spread(place, data_.records);
        case Kind::reverse:
            return spread(data_.records - 1 - place, data_.records);
        case Kind::nearly_sorted:
            return spread(draw % kDisplacedOneIn == 0 ? second % data_.records : place, data_.records);
        case Kind::drift:  // a window of an eighth of the key space moves through all of it
            return spread(place, data_.records) / 8 * 7 + (second >> 3);
        case Kind::hot_range:
            return draw % 100 < kHotPercent ? kHotLow + second % kHotWidth : second;
        case Kind::skewed: {
            std::byte record[kGensortRecordBytes];
            skewed_.fill(record);
            std::uint64_t value;
            std::memcpy(&value, record, 8);
            return __builtin_bswap64(value);
        }
        default:
            return mixed(data_.seed);
    }
}

void DataGenerator::put_key(std::byte* record, std::uint64_t value) const {
    Rng more(value);  // bytes after the eighth follow from them, so that equal values are equal keys
    std::uint64_t word = __builtin_bswap64(value);
    for (std::uint32_t at = 0; at < data_.format.key_bytes; at += 8, word = more.next()) {
        std::memcpy(record + data_.format.key_offset + at, &word,
                    std::min<std::size_t>(8, data_.format.key_bytes - at));
    }
}

/// Ten base-95 digits order as the value does; the line end of an ASCII record stays.
void DataGenerator::put_printable_key(std::byte* record, std::uint64_t value) const {
    constexpr unsigned kDigits = 10;
    constexpr Uint128 kValues = static_cast<Uint128>(95 * 95 * 95) * (95 * 95 * 95) * (95 * 95) * (95 * 95);  // 95^10
    char digits[kDigits];
    Uint128 left = static_cast<Uint128>(value) * (static_cast<std::uint64_t>(kValues >> 4)) >> 60;
    for (unsigned i = kDigits; i > 0; --i, left /= 95) digits[i - 1] = static_cast<char>(' ' + left % 95);
    Rng more(value);
    const std::uint32_t end = std::min(data_.format.key_offset + data_.format.key_bytes, kGensortRecordBytes - 2);
    for (std::uint32_t at = data_.format.key_offset, i = 0; at < end; ++at, ++i)
        record[at] = static_cast<std::byte>(i < kDigits ? digits[i] : static_cast<char>(' ' + more.below(95)));
}

}  // namespace sluice
