#pragma once
/// gensort's random numbers. Internal to the record layer. Source: gensort (sortbenchmark.org).

#include <cstdint>

#include "record/uint128.hpp"

namespace sluice::gensort {

inline constexpr Uint128 kMultiplier = make_uint128(0x2360ed051fc65da4, 0x4385df649fccf645);
inline constexpr Uint128 kIncrement = make_uint128(0x4a696d4772617952, 0x4950202020202001);

/// f applied k times: X -> factor * X + offset.
struct Affine {
    Uint128 factor = 1, offset = 0;
};

constexpr Affine jump(Uint128 k) {
    Affine result, power{kMultiplier, kIncrement};
    for (; k != 0; k >>= 1) {
        if ((k & 1) != 0) result = {power.factor * result.factor, power.factor * result.offset + power.offset};
        power = {power.factor * power.factor, power.factor * power.offset + power.offset};
    }
    return result;
}

/// State of record n: f applied n+1 times to 0.
constexpr Uint128 state_of(Uint128 n) { return jump(n + 1).offset; }

constexpr Uint128 next(Uint128 state) { return state * kMultiplier + kIncrement; }
constexpr std::uint64_t high(Uint128 x) { return static_cast<std::uint64_t>(x >> 64); }
constexpr std::uint64_t low(Uint128 x) { return static_cast<std::uint64_t>(x); }

/// How many leading bits of the key of the binary record with this state skew replaces.
constexpr unsigned skewed_bits(Uint128 state) {
    const auto bits = static_cast<unsigned>(low(state) >> 32) & 63;
    return bits > 48 ? 0 : bits;
}

}  // namespace sluice::gensort
