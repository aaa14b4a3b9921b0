#pragma once
/// Dividing files among ranks: ranges of whole units, as even as the units allow.

#include <cstdint>
#include <string>
#include <vector>

namespace sluice {

/// What is divided: a file, and the number by which whoever asks knows it.
struct SizedFile {
    std::string path;
    std::uint64_t bytes = 0;
    std::uint32_t number = 0;
};

/// A file range that one rank reads; offset and, but for a file's end, length are multiples of `unit` bytes.
struct InputSlice {
    std::string path;
    std::uint64_t offset = 0, bytes = 0;
    std::uint32_t file = 0;  ///< SizedFile::number
};

/// Deals the files out to `ranks` ranks in pieces of whole units, as even as the unit allows; ranks' pieces adjoin.
std::vector<InputSlice> slice_for_rank(const std::vector<SizedFile>& files, std::uint32_t rank, std::uint32_t ranks,
                                       std::uint64_t unit_bytes);
/// The same ranges starting at `numerator/denominator` of the bytes (a multiple of the unit) and wrapping.
std::vector<InputSlice> rotate(const std::vector<InputSlice>& slices, std::uint64_t numerator,
                               std::uint64_t denominator, std::uint64_t unit_bytes);

}  // namespace sluice
