#include "io/input_slices.hpp"

#include <algorithm>

#include "runtime/units.hpp"

namespace sluice {

std::vector<InputSlice> slice_for_rank(const std::vector<SizedFile>& files, std::uint32_t rank, std::uint32_t ranks,
                                       std::uint64_t unit_bytes) {
    std::uint64_t total_units = 0;
    for (const SizedFile& file : files) total_units += ceil_div(file.bytes, unit_bytes);
    const std::uint64_t first = total_units * rank / ranks, last = total_units * (rank + 1) / ranks;
    std::vector<InputSlice> slices;
    std::uint64_t unit = 0;
    for (const SizedFile& file : files) {
        const std::uint64_t units = ceil_div(file.bytes, unit_bytes);
        const std::uint64_t begin = std::max(first, unit), end = std::min(last, unit + units);
        if (begin < end) {
            const std::uint64_t offset = (begin - unit) * unit_bytes;
            slices.push_back(
                {file.path, offset, std::min(file.bytes, (end - unit) * unit_bytes) - offset, file.number});
        }
        unit += units;
    }
    return slices;
}

std::vector<InputSlice> rotate(const std::vector<InputSlice>& slices, std::uint64_t numerator,
                               std::uint64_t denominator, std::uint64_t unit_bytes) {
    std::uint64_t total = 0;
    for (const InputSlice& slice : slices) total += slice.bytes;
    // total * numerator / denominator, without the product that would overflow.
    std::uint64_t skip = total / denominator * numerator + total % denominator * numerator / denominator;
    std::vector<InputSlice> head, tail;
    for (const InputSlice& slice : slices) {
        const std::uint64_t before = std::min(slice.bytes, round_down(skip, unit_bytes));
        skip -= std::min(skip, slice.bytes);
        if (before > 0) tail.push_back({slice.path, slice.offset, before, slice.file});
        if (before < slice.bytes) head.push_back({slice.path, slice.offset + before, slice.bytes - before, slice.file});
        if (before < slice.bytes) skip = 0;
    }
    head.insert(head.end(), tail.begin(), tail.end());
    return head;
}

}  // namespace sluice
