#include "net/traffic.hpp"

#include <array>
#include <numeric>
#include <utility>

#include "runtime/rng.hpp"

namespace sluice {
namespace {

using Kind = TrafficPattern::Kind;
constexpr std::array<std::pair<Kind, std::string_view>, 5> kNames{{
    {Kind::all_to_all, "all-to-all"},
    {Kind::one_to_all, "one-to-all"},
    {Kind::all_to_one, "all-to-one"},
    {Kind::permutation, "permutation"},
    {Kind::stride, "stride"},
}};

/// One cycle through all ranks, so that nobody sends to itself (Sattolo's shuffle).
std::vector<std::uint32_t> random_cycle(std::uint32_t ranks, std::uint64_t seed) {
    std::vector<std::uint32_t> to(ranks);
    std::iota(to.begin(), to.end(), 0u);
    Rng rng(seed);
    for (std::uint32_t last = ranks - 1; last > 0; --last) std::swap(to[last], to[rng.below(last)]);
    return to;
}

}  // namespace

std::string TrafficPattern::name() const {
    std::string text(kNames[static_cast<std::size_t>(kind)].second);
    return kind == Kind::stride ? text + " " + std::to_string(stride) : text;
}

std::optional<Kind> parse_pattern(std::string_view name) {
    for (const auto& [kind, known] : kNames) {
        if (known == name) return kind;
    }
    return std::nullopt;
}

std::vector<std::uint32_t> destinations_of(const TrafficPattern& pattern, std::uint32_t rank, std::uint32_t ranks) {
    std::vector<std::uint32_t> to;
    if (ranks < 2) return to;
    switch (pattern.kind) {
        case Kind::all_to_all:
        case Kind::one_to_all:
            if (pattern.kind == Kind::one_to_all && rank != 0) break;
            for (std::uint32_t other = 0; other < ranks; ++other) {
                if (other != rank) to.push_back(other);
            }
            break;
        case Kind::all_to_one:
            if (rank != 0) to.push_back(0);
            break;
        case Kind::permutation:
            to.push_back(random_cycle(ranks, pattern.seed)[rank]);
            break;
        case Kind::stride:
            if (pattern.stride % ranks != 0) to.push_back((rank + pattern.stride % ranks) % ranks);
            break;
    }
    return to;
}

}  // namespace sluice
