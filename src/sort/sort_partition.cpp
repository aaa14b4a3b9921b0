#include "sort/sort_partition.hpp"

#include "runtime/error.hpp"
#include "runtime/units.hpp"
#include "sort/gather_tags.hpp"

namespace sluice {
namespace {

constexpr std::uint64_t kNarrowRecords = std::uint64_t{1} << 24;

}  // namespace

std::uint64_t sort_scratch_bytes(std::uint64_t max_records, RecordFormat) {
    const std::uint64_t tag_bytes = max_records < kNarrowRecords ? sizeof(NarrowTag) : sizeof(WideTag);
    return 2 * round_up(max_records * tag_bytes, 64) + 64;
}

template <typename Records>
void TaggedSorter<Records>::sort(Records records, std::uint64_t count, PrefixRange range) {
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

template <typename Records>
void TaggedSorter<Records>::gather(std::uint64_t first, std::span<std::byte> out) const {
    const std::uint64_t count = out.size() / format_.record_bytes;
    SLUICE_CHECK(first + count <= count_);
    const auto gather_by = [&](const auto* tags) {
        gather_tags(records_, format_.record_bytes, TagRun{tags + first, count_ - first, count, index_bits_},
                    out.data());
    };
    if (wide_) {
        gather_by(reinterpret_cast<const WideTag*>(sorted_));
    } else {
        gather_by(reinterpret_cast<const NarrowTag*>(sorted_));
    }
}

template <typename Records>
void TaggedSorter<Records>::gather_out(std::uint64_t first, std::span<std::byte> out, RecordChecker* checker) const {
    gather_past_caches(*this, format_.record_bytes, first, out, checker);
}

template class TaggedSorter<AdjacentRecords>;
template class TaggedSorter<ChunkedRecords>;

void PartitionSorter::sort(std::span<const std::byte> records, PrefixRange range) {
    SLUICE_CHECK(records.size() % format().record_bytes == 0);
    TaggedSorter::sort({records.data()}, records.size() / format().record_bytes, range);
}

}  // namespace sluice
