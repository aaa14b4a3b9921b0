#pragma once
/// CRC-32 sums of 100-byte records by carry-less multiplication. Internal to the record layer; use record_sum.hpp.

#include <cstddef>
#include <cstdint>

namespace sluice::crc100 {

enum class Kernel { zlib, pclmul, avx2, avx512 };  ///< slowest first; each processor runs all up to its best

/// The fastest kernel this processor runs.
Kernel best_kernel() noexcept;
/// Sum of the CRC-32 of `count` adjacent 100-byte records; below 2^64 for fewer than 2^32 records.
std::uint64_t sum(const std::byte* records, std::size_t count, Kernel kernel);

}  // namespace sluice::crc100
