#include "jobs/part_names.hpp"

#include <spdlog/fmt/fmt.h>

#include <algorithm>

namespace sluice {
namespace {

constexpr std::size_t kFewestDigits = 6;

}  // namespace

std::string part_name(std::uint32_t partition, std::uint32_t partitions) {
    const std::size_t digits = std::max(kFewestDigits, std::to_string(partitions).size());
    return fmt::format("part-{:0{}}", partition, digits);
}

std::string part_name(std::uint32_t partition, std::uint32_t partitions, std::uint32_t piece) {
    return fmt::format("{}.{:0{}}", part_name(partition, partitions), piece, kFewestDigits);
}

}  // namespace sluice
