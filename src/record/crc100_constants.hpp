#pragma once
/// Powers of x modulo the CRC-32 polynomial for carry-less multiplication. Internal to the record layer.
///
/// Notation (bit-reflected, as zlib's CRC-32): bit k of a 64-bit word stands for x^(63-k), and the carry-less product
/// of two words, read as a 128-bit register whose bit j stands for x^(127-j), is their product times x.

#include <cstdint>

namespace sluice::crc100 {

inline constexpr std::uint32_t kPolynomial = 0x04C11DB7;  // of degree 32, top bit left out

constexpr std::uint32_t x_power(unsigned exponent) {
    std::uint32_t value = 1;
    for (unsigned i = 0; i < exponent; ++i) value = (value << 1) ^ ((value >> 31) != 0 ? kPolynomial : 0);
    return value;
}

/// x^exponent mod P as a reflected word.
constexpr std::uint64_t reflected_constant(unsigned exponent) {
    const std::uint32_t value = x_power(exponent);
    std::uint64_t reflected = 0;
    for (unsigned i = 0; i < 32; ++i) {
        if ((value >> i & 1) != 0) reflected |= std::uint64_t{1} << (63 - i);
    }
    return reflected;
}

inline constexpr std::uint64_t kFold = reflected_constant(63);  // x^64 with the product's extra x
// Barrett reduction of 64 bits: quotient of x^64 by P, and P, both bit-reflected over 33 bits (zlib's well-known
// constants).
inline constexpr std::uint64_t kQuotient = 0x1F7011641, kModulus = 0x1DB710641;

}  // namespace sluice::crc100
