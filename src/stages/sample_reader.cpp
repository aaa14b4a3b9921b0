#include "stages/sample_reader.hpp"

#include <algorithm>
#include <cstring>
#include <numeric>

#include "record/record_format.hpp"
#include "runtime/error.hpp"
#include "runtime/metrics.hpp"
#include "runtime/units.hpp"

namespace sluice {
namespace {

constexpr std::uint64_t kWholeSpanBytes = 64 * kKiB;  // of spans that follow each other when everything is sampled

bool fits_block_twice(std::uint32_t record_bytes) { return record_bytes <= kDirectIoAlign / 2; }

/// The whole records of the blocks from `at` on, or those that begin there when the blocks hold none of this range's.
/// Records are counted from where the range begins, which in a log is no multiple of their size.
SampleSpan span_around(const ReadRange& range, std::uint32_t range_number, std::uint64_t at, std::uint32_t record_bytes,
                       std::uint32_t blocks) {
    const std::uint64_t begin = range.offset, block = round_down(begin + at, kDirectIoAlign);
    if (fits_block_twice(record_bytes)) {
        const std::uint64_t first = block > begin ? begin + round_up(block - begin, record_bytes) : begin;
        const std::uint64_t in_blocks = round_down(block + blocks * kDirectIoAlign - begin, record_bytes);
        const std::uint64_t last = begin + std::min(range.bytes, in_blocks);
        if (first < last) return {range_number, first, last - first};
    }
    const std::uint64_t first = round_down(at, record_bytes);
    const std::uint64_t records = fits_block_twice(record_bytes) ? 1 : SpanSize(record_bytes, blocks).most_records;
    return {range_number, begin + first, std::min(records * record_bytes, range.bytes - first)};
}

std::vector<SampleSpan> whole_spans(const std::vector<ReadRange>& ranges, std::uint32_t record_bytes) {
    std::vector<SampleSpan> spans;
    const std::uint64_t step = std::max<std::uint64_t>(record_bytes, round_down(kWholeSpanBytes, record_bytes));
    for (std::uint32_t range = 0; range < ranges.size(); ++range) {
        for (std::uint64_t at = 0; at < ranges[range].bytes; at += step)
            spans.push_back({range, ranges[range].offset + at, std::min(step, ranges[range].bytes - at)});
    }
    return spans;
}

}  // namespace

SpanSize::SpanSize(std::uint32_t record_bytes, std::uint32_t blocks) {
    const std::uint64_t bytes = blocks * kDirectIoAlign;
    most_records = std::max<std::uint64_t>(1, bytes / record_bytes);
    mean_records = static_cast<double>(most_records);
    if (fits_block_twice(record_bytes)) {
        const std::uint64_t phase = std::gcd<std::uint64_t>(record_bytes, kDirectIoAlign);
        mean_records = static_cast<double>(bytes - record_bytes + phase) / record_bytes;
        read_bytes = bytes;
    } else {
        read_bytes = round_up(most_records * record_bytes, kDirectIoAlign) + kDirectIoAlign;
    }
}

std::uint64_t whole_span_read_bytes(std::uint32_t record_bytes) {
    return round_up(std::max<std::uint64_t>(kWholeSpanBytes, record_bytes), kDirectIoAlign) + kDirectIoAlign;
}

std::vector<std::vector<SampleSpan>> plan_sample_spans(const std::vector<std::vector<ReadRange>>& ranges_by_reader,
                                                       std::uint32_t record_bytes, std::uint64_t strata,
                                                       std::uint32_t blocks, Rng& rng) {
    std::vector<std::vector<SampleSpan>> spans(ranges_by_reader.size());
    std::uint64_t total_bytes = 0;
    for (std::size_t reader = 0; reader < ranges_by_reader.size(); ++reader) {
        if (strata == 0) spans[reader] = whole_spans(ranges_by_reader[reader], record_bytes);
        for (const ReadRange& range : ranges_by_reader[reader]) total_bytes += range.bytes;
    }
    if (strata == 0 || total_bytes == 0) return spans;
    std::size_t reader = 0, range = 0;
    std::uint64_t before = 0;  // bytes of the ranges before this one
    const double stratum_bytes = static_cast<double>(total_bytes) / static_cast<double>(strata);
    const auto half = std::max<std::uint64_t>(1, static_cast<std::uint64_t>(stratum_bytes / 2));
    const std::uint64_t together = rng.below(half);
    for (std::uint64_t stratum = 0; stratum < strata; ++stratum) {
        const auto low = static_cast<std::uint64_t>(static_cast<double>(stratum) * stratum_bytes);
        const std::uint64_t at = std::min(total_bytes - 1, low + together + rng.below(half));
        while (range == ranges_by_reader[reader].size() || at >= before + ranges_by_reader[reader][range].bytes) {
            if (range == ranges_by_reader[reader].size()) {
                ++reader;
                range = 0;
            } else {
                before += ranges_by_reader[reader][range++].bytes;
            }
        }
        spans[reader].push_back(span_around(ranges_by_reader[reader][range], static_cast<std::uint32_t>(range),
                                            at - before, record_bytes, blocks));
    }
    return spans;
}

std::uint64_t largest_span_read_bytes(const std::vector<SampleSpan>& spans) {
    std::uint64_t largest = kDirectIoAlign;
    for (const SampleSpan& span : spans) {
        largest = std::max(
            largest, round_up(span.offset + span.bytes, kDirectIoAlign) - round_down(span.offset, kDirectIoAlign));
    }
    return largest;
}

SampleReader::SampleReader(IoBackend& backend, const std::vector<ReadRange>& ranges, std::vector<SampleSpan> spans,
                           Buffers buffers, std::span<std::byte> output)
    : backend_(backend),
      ranges_(ranges),
      spans_(std::move(spans)),
      buffers_(buffers.memory),
      buffer_bytes_(buffers.buffer_bytes),
      output_(output),
      slots_(buffers.depth),
      queue_(backend.make_queue(buffers.depth)) {
    SLUICE_CHECK(buffers.memory.size() >= buffers.depth * buffers.buffer_bytes);
    done_.reserve(buffers.depth);
}

void SampleReader::run() {
    for (std::size_t next = 0; next < spans_.size() || queue_->in_flight() > 0;) {
        while (next < spans_.size() && !slots_.all_taken()) submit(spans_[next++]);
        collect();
    }
    SLUICE_CHECK(filled_bytes_ == output_.size());
}

void SampleReader::submit(const SampleSpan& span) {
    if (!file_ || ranges_[last_range_].path != ranges_[span.range].path)
        file_ = open_range(backend_, ranges_[span.range]);
    last_range_ = span.range;
    const std::size_t slot = slots_.take();
    slots_[slot] = {span, file_};
    const std::uint64_t from = round_down(span.offset, kDirectIoAlign);
    queue_->read(*file_, from,
                 buffers_.subspan(slot * buffer_bytes_, round_up(span.offset + span.bytes, kDirectIoAlign) - from),
                 slot);
}

void SampleReader::collect() {
    done_.clear();
    queue_->wait(1, done_);
    for (const IoCompletion& completion : done_) {
        const SampleSpan& span = slots_[completion.token].span;
        const std::uint64_t skip = span.offset % kDirectIoAlign;
        if (completion.bytes < skip + span.bytes) {
            throw Error(Errc::input, "read '" + ranges_[span.range].path + "': the file ended before offset " +
                                         std::to_string(span.offset + span.bytes) +
                                         "; it changed while it was read, sort again when nobody writes to it");
        }
        std::memcpy(output_.data() + filled_bytes_, buffers_.data() + completion.token * buffer_bytes_ + skip,
                    span.bytes);
        filled_bytes_ += span.bytes;
        this_worker().input_bytes.add(completion.bytes);
        this_worker().output_bytes.add(span.bytes);
        this_worker().units.add(1);
        slots_[completion.token].file.reset();
        slots_.give_back(completion.token);
    }
}

}  // namespace sluice
