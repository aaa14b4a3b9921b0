#pragma once
/// 128-bit unsigned numbers: record numbers, generator states and checksums of the gensort format.

#include <cstdint>

namespace sluice {
__extension__ using Uint128 = unsigned __int128;
constexpr Uint128 make_uint128(std::uint64_t high, std::uint64_t low) {
    return (static_cast<Uint128>(high) << 64) | low;
}
}  // namespace sluice
