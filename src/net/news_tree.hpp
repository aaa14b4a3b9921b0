#pragma once
/// Who tells whom, where news spread from one rank to all.

#include <algorithm>
#include <cstdint>
#include <vector>

namespace sluice {

/// A tree over all ranks with `origin` as its root: each rank has `fan_out` children at most and is the child of one.
/// Depth: log(ranks) / log(fan_out), rounded up and one more at most. Arithmetic only, nothing is stored.
struct NewsTree {
    static constexpr std::uint32_t kFanOut = 16;  ///< up to 17 ranks the origin tells all others itself

    std::uint32_t origin = 0, ranks = 1;
    std::uint32_t fan_out = kFanOut;

    /// The rank that stands in this place from the origin on, which has place 0.
    std::uint32_t rank_at(std::uint64_t place) const { return static_cast<std::uint32_t>((origin + place) % ranks); }
    /// Those whom `rank` tells.
    std::vector<std::uint32_t> children_of(std::uint32_t rank) const {
        const std::uint64_t place = (std::uint64_t{rank} + ranks - origin) % ranks;
        const std::uint64_t first = place * fan_out + 1, end = std::min<std::uint64_t>(first + fan_out, ranks);
        std::vector<std::uint32_t> children;
        for (std::uint64_t child = first; child < end; ++child) children.push_back(rank_at(child));
        return children;
    }
};

}  // namespace sluice
