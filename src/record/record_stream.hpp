#pragma once
/// Records laid end to end into buffers that end anywhere, so that files of records of any size have no gaps.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

namespace sluice {

/// Fills buffers one after the other with the bytes of whole records, made in order; a record that does not fit in what
/// is left of a buffer is made aside and copied to both sides of the border. Used by one worker; allocates only when
/// constructed, and nothing where every buffer holds whole records.
class RecordStream {
public:
    /// @param buffer_bytes  size of the buffers, only to know whether records will ever be split.
    RecordStream(std::uint32_t record_bytes, std::uint64_t buffer_bytes)
        : record_bytes_(record_bytes), split_(buffer_bytes % record_bytes == 0 ? 0 : record_bytes) {}

    /// A new stream of `records` records.
    void begin(std::uint64_t records) {
        records_left_ = records;
        split_left_ = 0;
    }
    std::uint64_t bytes_left() const noexcept { return records_left_ * record_bytes_ + split_left_; }
    /// Fills `out` from its front as far as there are records; returns the bytes filled.
    /// @param make  fills a span of whole records, the next ones.
    template <typename Make>
    std::size_t fill(std::span<std::byte> out, Make&& make) {
        std::size_t filled = take_rest(out);
        const std::uint64_t whole = std::min<std::uint64_t>(records_left_, (out.size() - filled) / record_bytes_);
        if (whole > 0) make(out.subspan(filled, whole * record_bytes_));
        filled += whole * record_bytes_;
        records_left_ -= whole;
        if (filled == out.size() || records_left_ == 0) return filled;
        make(std::span<std::byte>(split_));
        --records_left_;
        split_left_ = record_bytes_;
        return filled + take_rest(out.subspan(filled));
    }

private:
    std::size_t take_rest(std::span<std::byte> out) {
        const std::size_t bytes = std::min(out.size(), split_left_);
        if (bytes > 0) std::memcpy(out.data(), split_.data() + split_.size() - split_left_, bytes);
        split_left_ -= bytes;
        return bytes;
    }

    std::uint32_t record_bytes_;
    std::vector<std::byte> split_;  // the record that lies across a border
    std::size_t split_left_ = 0;    // its bytes still to be copied
    std::uint64_t records_left_ = 0;
};

/// The other way round: whole records from a byte stream cut anywhere. Used by one worker; allocates only when
/// constructed.
class RecordJoiner {
public:
    /// Allocates one record. @param record_bytes  > 0
    explicit RecordJoiner(std::uint32_t record_bytes) : record_bytes_(record_bytes), split_(record_bytes) {}

    /// Hands the records that `bytes` completes to `take`, in order, in spans of whole records.
    template <typename Take>
    void feed(std::span<const std::byte> bytes, Take&& take) {
        if (split_filled_ > 0) {
            keep(bytes);
            if (split_filled_ < record_bytes_) return;
            take(std::span<const std::byte>(split_));
            split_filled_ = 0;
        }
        const std::size_t whole = bytes.size() / record_bytes_ * record_bytes_;
        if (whole > 0) take(bytes.first(whole));
        bytes = bytes.subspan(whole);
        keep(bytes);
    }
    /// Bytes of a record whose rest has not come.
    std::size_t pending_bytes() const noexcept { return split_filled_; }

private:
    void keep(std::span<const std::byte>& bytes) {
        const std::size_t moved = std::min(bytes.size(), record_bytes_ - split_filled_);
        if (moved > 0) std::memcpy(split_.data() + split_filled_, bytes.data(), moved);
        split_filled_ += moved;
        bytes = bytes.subspan(moved);
    }

    std::size_t record_bytes_;
    std::vector<std::byte> split_;
    std::size_t split_filled_ = 0;
};

}  // namespace sluice
