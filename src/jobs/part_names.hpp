#pragma once
/// What the parts of a sorted set are called.

#include <cstdint>
#include <string>

namespace sluice {

/// "part-000123". Names of one set order as texts as their keys do: all have as many digits as the number of partitions
/// has, six at the least. Patterns match them as "part-#".
/// @param partitions  of the whole set
std::string part_name(std::uint32_t partition, std::uint32_t partitions);
/// "part-000123.000002", a piece of a partition that was split: comes where that would have been. "part-#.#"
std::string part_name(std::uint32_t partition, std::uint32_t partitions, std::uint32_t piece);

}  // namespace sluice
