#pragma once
/// CRC-32 sums of gensort's binary records without making the records. Internal to the record layer; use
/// expected_sum() of generator.hpp.

#include <cstdint>

#include "record/uint128.hpp"

namespace sluice::window_sum {

/// Which records: without skew, or skewed towards one row of the skew table.
struct Skew {
    bool skewed = false;
    std::uint64_t row = 0;  ///< the row's six bytes, the first one most significant, then two zero bytes
};

/// Records a call takes at least, and of which it takes a multiple.
inline constexpr std::uint64_t kStreams = 8, kSmallest = 4096;

/// This processor has what it takes: AVX2 and VPCLMULQDQ.
bool supported() noexcept;

/// Sum of the CRC-32 of records first .. first+count-1.
/// @param first_crc  by stream s, the CRC-32 of record first + s * count / kStreams, skew applied.
/// @param count      a multiple of kStreams, from kSmallest to 2^31.
/// @param skew       must hold for all of them.
/// Cost: one step of the generator and seven carry-less multiplications a record, two at a time.
std::uint64_t sum(Uint128 first, std::uint64_t count, const std::uint32_t (&first_crc)[kStreams],
                  std::uint32_t mask_crc, Skew skew);

}  // namespace sluice::window_sum
