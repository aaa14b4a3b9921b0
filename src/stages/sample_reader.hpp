#pragma once
/// Phase zero: reads small samples scattered over the input.

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "io/io_backend.hpp"
#include "runtime/rng.hpp"
#include "stages/in_flight_slots.hpp"
#include "stages/reader.hpp"

namespace sluice {

/// Adjacent whole records of an input file, read together.
struct SampleSpan {
    std::uint32_t range = 0;   ///< number of the input range it lies in
    std::uint64_t offset = 0;  ///< in the file, whole records from where the range begins
    std::uint64_t bytes = 0;
};

/// What one span reads and brings: the whole records of some neighbouring blocks (kDirectIoAlign) or, for records of
/// more than half a block, as many records as are that long, at least one.
struct SpanSize {
    /// @param blocks  of each span, at least one; longer records are as many as fit in so many bytes
    SpanSize(std::uint32_t record_bytes, std::uint32_t blocks);
    double mean_records = 1;         ///< over all places where it may lie
    std::uint64_t most_records = 1;  ///< at any
    std::uint64_t read_bytes = 0;    ///< at most, aligned
};
/// Of the largest read where everything is sampled.
std::uint64_t whole_span_read_bytes(std::uint32_t record_bytes);

/// A rank's spans, by reader: one from a random place of each equal stratum of what it reads, never just the heads of
/// files. The places of all strata are drawn together within a half of each, and one by one within the other half: two
/// neighbours are at most one and a half strata apart.
/// @param strata  how many; 0 samples everything, in spans of about 64 KiB.
/// @param blocks  of a span: SpanSize(record_bytes, blocks).
std::vector<std::vector<SampleSpan>> plan_sample_spans(const std::vector<std::vector<ReadRange>>& ranges_by_reader,
                                                       std::uint32_t record_bytes, std::uint64_t strata,
                                                       std::uint32_t blocks, Rng& rng);
/// Bytes of one aligned read that holds any of the spans.
std::uint64_t largest_span_read_bytes(const std::vector<SampleSpan>& spans);

/// One worker per instance and input disk. Reads its spans with `depth` requests in flight and copies their records, in
/// the order they come, to `output`; has at most depth + 1 files open. Waits only for the disk. Throws Error(input)
/// when a file ends too early.
class SampleReader {
public:
    /// Room for `depth` reads; the caller's for as long as the reader lives.
    struct Buffers {
        std::span<std::byte> memory;     ///< depth * buffer_bytes, aligned to kDirectIoAlign
        std::uint64_t buffer_bytes = 0;  ///< >= largest_span_read_bytes
        unsigned depth = 1;
    };
    /// @param spans    as planned for these ranges.
    /// @param output   exactly the spans' bytes; the caller's for as long as this lives.
    SampleReader(IoBackend& backend, const std::vector<ReadRange>& ranges, std::vector<SampleSpan> spans,
                 Buffers buffers, std::span<std::byte> output);
    void run();
    IoCounters counters() const { return queue_->counters(); }

private:
    void submit(const SampleSpan& span);
    void collect();

    IoBackend& backend_;
    const std::vector<ReadRange>& ranges_;
    std::vector<SampleSpan> spans_;
    std::span<std::byte> buffers_;
    std::uint64_t buffer_bytes_;
    std::span<std::byte> output_;
    std::size_t filled_bytes_ = 0;
    struct Slot {
        SampleSpan span;
        std::shared_ptr<IoFile> file;
    };
    InFlightSlots<Slot> slots_;
    std::vector<IoCompletion> done_;
    std::shared_ptr<IoFile> file_;  // of the range read from last: once for neighbours in the same file
    std::uint32_t last_range_ = 0;
    std::unique_ptr<IoQueue> queue_;  // last: its destructor waits for the kernel while buffers and files still live
};

}  // namespace sluice
