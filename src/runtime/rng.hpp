#pragma once
/// Seeded random numbers: the only source of randomness of the program, so that a run can be repeated.

#include <cstdint>

namespace sluice {

/// SplitMix64 (Steele, Lea, Flood 2014): one 64-bit state, passes BigCrush, good enough for sampling and schedules.
class Rng {
public:
    /// @param seed  any number: equal seeds give equal sequences
    explicit Rng(std::uint64_t seed) noexcept : state_(seed) {}
    std::uint64_t next() noexcept {
        std::uint64_t z = (state_ += 0x9e3779b97f4a7c15u);
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
        return z ^ (z >> 31);
    }
    /// Uniform in [0, bound); bound > 0. The bias of the modulo is below bound / 2^64.
    std::uint64_t below(std::uint64_t bound) noexcept { return next() % bound; }

private:
    std::uint64_t state_;
};

}  // namespace sluice
