#include "stages/sample_reader.hpp"

#include <algorithm>
#include <cstring>

#include "record/record_format.hpp"
#include "runtime/error.hpp"
#include "runtime/metrics.hpp"
#include "runtime/units.hpp"

namespace sluice {
namespace {

constexpr std::uint64_t kWholeSpanBytes = 64 * kKiB;  // of spans that follow each other when everything is sampled

/// The whole records of the block around `at`, or the record there when the block holds none of this range's. Records
/// are counted from where the range begins, which in a log is no multiple of their size.
SampleSpan span_around(const ReadRange& range, std::uint32_t range_number, std::uint64_t at,
                       std::uint32_t record_bytes) {
    const std::uint64_t begin = range.offset, block = round_down(begin + at, kDirectIoAlign);
    const std::uint64_t first = block > begin ? begin + round_up(block - begin, record_bytes) : begin;
    const std::uint64_t last = begin + std::min(range.bytes, round_down(block + kDirectIoAlign - begin, record_bytes));
    if (first < last && record_bytes <= kDirectIoAlign / 2) return {range_number, first, last - first};
    return {range_number, begin + round_down(at, record_bytes), record_bytes};
}

}  // namespace

std::vector<SampleSpan> plan_sample_spans(const std::vector<ReadRange>& ranges, std::uint32_t record_bytes,
                                          std::uint64_t strata, Rng& rng) {
    std::vector<SampleSpan> spans;
    if (strata == 0) {
        const std::uint64_t step = std::max<std::uint64_t>(record_bytes, round_down(kWholeSpanBytes, record_bytes));
        for (std::uint32_t range = 0; range < ranges.size(); ++range) {
            for (std::uint64_t at = 0; at < ranges[range].bytes; at += step)
                spans.push_back({range, ranges[range].offset + at, std::min(step, ranges[range].bytes - at)});
        }
        return spans;
    }
    std::uint64_t total_bytes = 0;
    for (const ReadRange& range : ranges) total_bytes += range.bytes;
    if (total_bytes == 0) return spans;
    spans.reserve(strata);
    std::uint32_t range = 0;
    std::uint64_t before = 0;  // bytes of the ranges before this one
    const double stratum_bytes = static_cast<double>(total_bytes) / static_cast<double>(strata);
    for (std::uint64_t stratum = 0; stratum < strata; ++stratum) {
        const auto low = static_cast<std::uint64_t>(static_cast<double>(stratum) * stratum_bytes);
        const auto high = static_cast<std::uint64_t>(static_cast<double>(stratum + 1) * stratum_bytes);
        const std::uint64_t at = std::min(total_bytes - 1, low + rng.below(std::max<std::uint64_t>(1, high - low)));
        while (at >= before + ranges[range].bytes) before += ranges[range++].bytes;
        spans.push_back(span_around(ranges[range], range, at - before, record_bytes));
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
