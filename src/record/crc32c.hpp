#pragma once
/// CRC-32C (Castagnoli): the checksum of a block on its way, of another polynomial than the record sum.

#include <cstddef>
#include <cstdint>
#include <span>

namespace sluice {

/// CRC-32C of `bytes` (initial value and final inversion as iSCSI has them), continuing from `seed`. SSE4.2 where the
/// processor has it, chosen at run time, else a table. Thread-safe.
std::uint32_t crc32c(std::span<const std::byte> bytes, std::uint32_t seed = 0);

}  // namespace sluice
