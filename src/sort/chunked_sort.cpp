#include "sort/chunked_sort.hpp"

#include "runtime/error.hpp"
#include "runtime/units.hpp"
#include "sort/gather_tags.hpp"

namespace sluice {
namespace {

constexpr std::uint64_t kNarrowRecords = std::uint64_t{1} << 24;  // as sort_scratch_bytes()

}  // namespace

void ChunkedSorter::sort(ChunkedRecords records, std::uint64_t count, PrefixRange range) {
    records_ = records;
    count_ = count;
    if (count_ == 0) return;
    wide_ = force_wide_ || count_ >= kNarrowRecords;
    const std::uint64_t half = round_up(count_ * (wide_ ? sizeof(WideTag) : sizeof(NarrowTag)), 64);
    SLUICE_CHECK(2 * half <= scratch_.size());
    const auto run = [&](auto* tags, auto* spare) {
        TagSorter sorter(format_, records_, count_, tags, spare);
        sorted_ = reinterpret_cast<const std::byte*>(sorter.run(range.low, range.high));
        index_bits_ = sorter.index_bits();
    };
    std::byte* const spare = scratch_.data() + half;
    if (wide_) {
        run(reinterpret_cast<WideTag*>(scratch_.data()), reinterpret_cast<WideTag*>(spare));
    } else {
        run(reinterpret_cast<NarrowTag*>(scratch_.data()), reinterpret_cast<NarrowTag*>(spare));
    }
}

void ChunkedSorter::gather(std::uint64_t first, std::span<std::byte> out) const {
    const std::uint64_t count = out.size() / format_.record_bytes;
    SLUICE_CHECK(first + count <= count_);
    const auto gather_by = [&](const auto* tags) {
        gather_tags(records_, format_.record_bytes, tags + first, count_ - first, count, index_bits_, out.data());
    };
    if (wide_) {
        gather_by(reinterpret_cast<const WideTag*>(sorted_));
    } else {
        gather_by(reinterpret_cast<const NarrowTag*>(sorted_));
    }
}

void ChunkedSorter::gather_out(std::uint64_t first, std::span<std::byte> out, RecordChecker* checker) const {
    gather_past_caches(*this, format_.record_bytes, first, out, checker);
}

}  // namespace sluice
