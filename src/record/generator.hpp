#pragma once
/// gensort's records (sortbenchmark.org), bit for bit, from any record number on.

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "record/record_sum.hpp"
#include "record/uint128.hpp"

namespace sluice {

inline constexpr std::uint32_t kGensortRecordBytes = 100;

/// gensort's two switches: -a (printable records) and -s (skewed keys).
struct GeneratorOptions {
    bool ascii = false;
    bool skewed = false;
};

/// The generator's state for record `n`: f applied n+1 times to 0 (at most 128 multiplications).
Uint128 generator_state(Uint128 n);

/// Makes records first, first+1, ... (wrapping at 2^128). One thread per instance; instances over adjoining ranges give
/// the same bytes as one over both.
class RecordGenerator {
public:
    /// @param first_record  number of the first record that fill() makes. Cost: at most 128 multiplications
    RecordGenerator(GeneratorOptions options, Uint128 first_record);
    /// Fills `out`, whole records, and goes on where the last call ended.
    void fill(std::span<std::byte> out);
    /// The same, and the sum these records must have. Binary records of a few thousand or more at a time are summed
    /// from the generator's stream, not from `out`: cheaper, and what memory changes meanwhile does not go unnoticed
    /// later.
    RecordSum fill_summed(std::span<std::byte> out);

private:
    void fill_binary(std::byte* out, std::size_t count);
    void fill_ascii(std::byte* out, std::size_t count);
    void skew(std::byte* record, Uint128 n, Uint128 state) const;

    GeneratorOptions options_;
    Uint128 next_;   // number of the next record
    Uint128 state_;  // its state
};

/// What the checksum of records start .. start+count-1 must be, computed without storing them, by `threads` threads.
RecordSum expected_sum(GeneratorOptions options, Uint128 start, std::uint64_t count, unsigned threads);

}  // namespace sluice
