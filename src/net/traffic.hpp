#pragma once
/// Who sends to whom: the patterns by which a fabric is measured.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sluice {

/// A pattern and its parameters. Plain data, the same on all ranks.
struct TrafficPattern {
    enum class Kind {
        all_to_all,   ///< every rank to every rank
        one_to_all,   ///< rank 0 to all others
        all_to_one,   ///< all others to rank 0 (incast)
        permutation,  ///< each rank to one other, all of them in one random cycle
        stride,       ///< rank r to rank r + k, modulo the ranks
    };
    Kind kind = Kind::all_to_all;
    std::uint32_t stride = 1;
    std::uint64_t seed = 0;  ///< of the permutation

    /// "all-to-all", "stride 3", ...
    std::string name() const;
};

/// all-to-all, one-to-all, all-to-one, permutation, stride; anything else gives nullopt.
std::optional<TrafficPattern::Kind> parse_pattern(std::string_view name);

/// The ranks that `rank` sends to, ascending, never itself; for all-to-all all others. Empty for a rank that only
/// receives, and with one rank.
std::vector<std::uint32_t> destinations_of(const TrafficPattern& pattern, std::uint32_t rank, std::uint32_t ranks);

}  // namespace sluice
