#pragma once
/// valsort's 280-byte summary of a partition. Source: valsort -o (sortbenchmark.org).

#include <array>
#include <cstddef>
#include <span>

#include "record/record_checker.hpp"

namespace sluice {

inline constexpr std::size_t kSummaryBytes = 280;

/// Of a summary with records; its first and last record are 100 bytes.
std::array<std::byte, kSummaryBytes> encode_summary(const SortSummary& summary);
SortSummary decode_summary(std::span<const std::byte, kSummaryBytes> bytes);

}  // namespace sluice
