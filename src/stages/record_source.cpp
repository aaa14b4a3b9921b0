#include "stages/record_source.hpp"

#include <algorithm>
#include <cstring>

#include "record/compare.hpp"
#include "record/uint128.hpp"

namespace sluice {

std::optional<std::pair<std::uint64_t, std::uint64_t>> prefix_range_of(const Partitioner& partitioner,
                                                                       const Ownership& ownership, std::uint32_t rank) {
    if (ownership.count(rank) == 0) return std::nullopt;
    return std::pair(partitioner.prefix_range(ownership.first(rank)).first,
                     partitioner.prefix_range(ownership.first(rank + 1) - 1).second);
}

RecordMaker::RecordMaker(RecordFormat format, std::uint64_t first_record)
    : format_(format), generator_({}, first_record), rng_(first_record + 1) {}

void RecordMaker::fill(std::span<std::byte> out, std::span<const std::pair<std::uint64_t, std::uint64_t>> ranges) {
    if (format_.record_bytes == kGensortRecordBytes) {
        generator_.fill(out);
    } else {
        for (std::byte& byte : out) byte = static_cast<std::byte>(rng_.next() >> 32);
    }
    if (ranges.empty()) return;
    SLUICE_CHECK(format_.key_bytes >= sizeof(std::uint64_t));
    for (std::byte* record = out.data(); record != out.data() + out.size(); record += format_.record_bytes) {
        const auto [low, high] = ranges[next_range_];
        next_range_ = (next_range_ + 1) % ranges.size();
        // The uniform prefix, scaled into the range: rank and partitions within it stay evenly used.
        const Uint128 width = static_cast<Uint128>(high - low) + 1;
        const std::uint64_t prefix = low + static_cast<std::uint64_t>(key_prefix(format_, record) * width >> 64);
        const std::uint64_t big_endian = __builtin_bswap64(prefix);
        std::memcpy(record + format_.key_offset, &big_endian, sizeof big_endian);
    }
}

RecordSource::RecordSource(RecordFormat format, const Partitioner& partitioner, const Ownership& ownership,
                           Options options, BufferPool& pool, WorkQueue<Buffer>& output)
    : executor_(pool.executor()),
      format_(format),
      ranks_(ownership.ranks()),
      options_(std::move(options)),
      pool_(pool),
      output_(output),
      made_(ownership.ranks()) {
    for (const std::uint32_t rank : options_.destinations) {
        if (const auto range = prefix_range_of(partitioner, ownership, rank)) ranges_.push_back(*range);
    }
    for (std::uint32_t rank = 0; rank < ranks_; ++rank) {
        if (const auto range = prefix_range_of(partitioner, ownership, rank)) borders_.push_back({range->first, rank});
    }
}

void RecordSource::prepare() {
    RecordMaker maker(format_, options_.first_record);
    std::vector<Buffer> all;
    while (auto buffer = pool_.try_take()) all.push_back(std::move(*buffer));
    SLUICE_CHECK(all.size() == pool_.count());
    std::sort(all.begin(), all.end(),
              [](const Buffer& a, const Buffer& b) { return a.data().data() < b.data().data(); });
    first_buffer_ = all.front().data().data();
    for (Buffer& buffer : all) {
        const auto records = buffer.storage().first(buffer.capacity() / format_.record_bytes * format_.record_bytes);
        maker.fill(records, ranges_);
        sums_.push_back(sums_of(records));
    }
}

void RecordSource::run() {
    const std::uint64_t begin_ns = executor_.now_ns();
    const std::uint64_t per_buffer = pool_.buffer_bytes() / format_.record_bytes;
    std::uint64_t left = options_.idle ? 0 : options_.duration_ns > 0 ? ~std::uint64_t{0} : options_.records;
    while (left > 0 && (options_.duration_ns == 0 || executor_.now_ns() - begin_ns < options_.duration_ns)) {
        Buffer buffer = pool_.take();
        const std::uint64_t records = std::min(left, per_buffer);
        buffer.set_size(records * format_.record_bytes);
        const auto index = static_cast<std::size_t>(buffer.data().data() - first_buffer_) / pool_.buffer_bytes();
        const auto partial = records < per_buffer ? sums_of(buffer.data()) : std::vector<RecordSum>{};
        const auto& sums = records < per_buffer ? partial : sums_[index];
        for (std::uint32_t rank = 0; rank < ranks_; ++rank) made_[rank] += sums[rank];
        this_worker().input_bytes.add(buffer.size());
        this_worker().output_bytes.add(buffer.size());
        this_worker().records.add(records);
        this_worker().units.add(1);
        left -= records;
        output_.push(std::move(buffer));
    }
    output_.producer_done();
}

std::uint32_t RecordSource::owner_of(const std::byte* record) const {
    const auto after = std::upper_bound(borders_.begin(), borders_.end(), key_prefix(format_, record),
                                        [](std::uint64_t prefix, const auto& border) { return prefix < border.first; });
    return std::prev(after)->second;
}

std::vector<RecordSum> RecordSource::sums_of(std::span<const std::byte> records) const {
    std::vector<RecordSum> sums(ranks_);
    for (; !records.empty(); records = records.subspan(format_.record_bytes)) {
        RecordSum& sum = sums[owner_of(records.data())];
        ++sum.count;
        if (options_.sum) sum.sum += record_crc(records.first(format_.record_bytes));
    }
    return sums;
}

}  // namespace sluice
