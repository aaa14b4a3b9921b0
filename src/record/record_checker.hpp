#pragma once
/// Order, count and checksum of records as they pass by: what valsort finds, and the sorter's last look.

#include <cstddef>
#include <cstdint>
#include <span>
#include <tuple>
#include <vector>

#include "record/record_format.hpp"
#include "record/record_sum.hpp"

namespace sluice {

/// What a run of records is like. Summaries of adjoining runs combine to the summary of the whole.
struct SortSummary {
    RecordSum sum;
    Uint128 count = 0;                                 ///< as sum.count, 128-bit as valsort's summaries have it
    Uint128 unordered = 0;                             ///< records whose key is smaller than the one before
    Uint128 first_unordered = 0;                       ///< index of the first of those; 0 if there is none
    Uint128 duplicate_keys = 0;                        ///< records whose key equals the one before
    Uint128 unordered_ties = 0;                        ///< of those the ones that are smaller as a whole, if asked for
    std::vector<std::byte> first_record, last_record;  ///< empty without records

    bool empty() const noexcept { return count == 0; }
    static constexpr auto fields = std::tuple{&SortSummary::sum,
                                              &SortSummary::count,
                                              &SortSummary::unordered,
                                              &SortSummary::first_unordered,
                                              &SortSummary::duplicate_keys,
                                              &SortSummary::unordered_ties,
                                              &SortSummary::first_record,
                                              &SortSummary::last_record};
};

/// How keys are compared.
enum class KeyOrder { bytes, ignore_case };

/// <0, 0 or >0, unsigned bytes of the keys of two whole records.
int compare_keys(const RecordFormat& format, KeyOrder order, const std::byte* left, const std::byte* right);

/// Whether records with equal keys are compared as a whole: the order of our own sort, not what valsort asks for.
enum class Ties { any_order, whole_records };

/// Of first and last record keeps the keys alone: records may have 1 MiB, and borders are judged by keys. Afterwards it
/// is the summary of records that are their keys and nothing else.
void keep_keys(SortSummary& summary, const RecordFormat& format);
/// The same, and of each record its first bytes behind the key, by which ties are settled; afterwards it is the summary
/// of records of border_format().
void keep_borders(SortSummary& summary, const RecordFormat& format);
inline constexpr std::uint32_t kBorderBytes = 256;
constexpr RecordFormat border_format(const RecordFormat& format) {
    return {format.key_bytes + (format.record_bytes < kBorderBytes ? format.record_bytes : kBorderBytes), 0,
            format.key_bytes};
}

/// `next` follows `total`: afterwards total describes both, as valsort -s has it. A side without records is neutral.
void combine(SortSummary& total, const SortSummary& next, const RecordFormat& format = kGensortFormat,
             KeyOrder order = KeyOrder::bytes, Ties ties = Ties::any_order);

/// Fed whole records in order, in pieces of any number. One thread. Best fed pieces that are still in the cache.
class RecordChecker {
public:
    /// @param order  how keys compare. @param ties  whether records with equal keys must be in order too
    explicit RecordChecker(RecordFormat format, KeyOrder order = KeyOrder::bytes, Ties ties = Ties::any_order)
        : format_(format), order_(order), ties_(ties) {}
    void feed(std::span<const std::byte> records);
    const SortSummary& summary();

private:
    void check_gensort_keys(const std::byte* records, std::size_t count);
    void check_keys(const std::byte* records, std::size_t count);
    void found_unordered(Uint128 index);

    RecordFormat format_;
    KeyOrder order_;
    Ties ties_;
    SortSummary summary_;
};

}  // namespace sluice
