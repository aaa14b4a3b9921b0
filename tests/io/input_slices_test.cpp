#include "io/input_slices.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <utility>

#include "record/record_format.hpp"
#include "runtime/rng.hpp"

namespace sluice::testing {
namespace {

using Ranges = std::vector<std::pair<std::uint64_t, std::uint64_t>>;  // offset, bytes

/// Each byte of each file exactly once, by counting: the ranges of a file, sorted, must adjoin from 0 to its end.
void expect_exact_cover(const std::vector<SizedFile>& files, const std::vector<InputSlice>& slices) {
    std::uint64_t bytes = 0;
    for (const SizedFile& file : files) {
        Ranges ranges;
        for (const InputSlice& slice : slices) {
            if (slice.path != file.path) continue;
            EXPECT_EQ(slice.file, file.number);
            ranges.emplace_back(slice.offset, slice.bytes);
        }
        std::sort(ranges.begin(), ranges.end());
        std::uint64_t end = 0;
        for (const auto& [offset, length] : ranges) {
            EXPECT_EQ(offset, end) << file.path;
            EXPECT_GT(length, 0u);
            end = offset + length;
        }
        EXPECT_EQ(end, file.bytes) << file.path;
        bytes += file.bytes;
    }
    std::uint64_t sliced = 0;
    for (const InputSlice& slice : slices) sliced += slice.bytes;
    EXPECT_EQ(sliced, bytes);
}

std::vector<SizedFile> random_files(Rng& rng, std::uint64_t record_bytes) {
    std::vector<SizedFile> files;
    for (std::uint64_t count = 1 + rng.below(6); count > 0; --count) {
        const std::uint64_t records = rng.below(4) == 0 ? rng.below(3) : rng.below(20'000);
        files.push_back(
            {"/disk/" + std::to_string(count), records * record_bytes, static_cast<std::uint32_t>(files.size())});
    }
    return files;
}

TEST(InputSlices, CoverEveryByteOnceInAlignedWholeRecords) {
    for (std::uint64_t seed = 1; seed <= 200; ++seed) {
        Rng rng(seed);
        const RecordFormat format{std::vector<std::uint32_t>{100, 128, 4096, 1000}[rng.below(4)], 0, 10};
        const std::uint64_t unit = format.aligned_unit_bytes();
        const auto files = random_files(rng, format.record_bytes);
        const auto ranks = static_cast<std::uint32_t>(1 + rng.below(17));
        std::vector<InputSlice> all;
        std::vector<std::uint64_t> units_of_rank;
        for (std::uint32_t rank = 0; rank < ranks; ++rank) {
            const auto slices = slice_for_rank(files, rank, ranks, unit);
            std::uint64_t units = 0;
            for (const InputSlice& slice : slices) {
                EXPECT_EQ(slice.offset % unit, 0u);
                EXPECT_EQ(slice.offset % kDirectIoAlign, 0u);
                EXPECT_EQ(slice.bytes % format.record_bytes, 0u);
                units += (slice.bytes + unit - 1) / unit;
            }
            units_of_rank.push_back(units);
            const auto turned = rotate(slices, rank, ranks, unit);
            for (const InputSlice& slice : turned) {
                EXPECT_EQ(slice.offset % unit, 0u);
                EXPECT_EQ(slice.bytes % format.record_bytes, 0u);
            }
            all.insert(all.end(), turned.begin(), turned.end());
        }
        expect_exact_cover(files, all);
        const auto [least, most] = std::minmax_element(units_of_rank.begin(), units_of_rank.end());
        EXPECT_LE(*most - *least, 1u) << "as even as whole units allow";
    }
}

TEST(InputSlices, RankStartsAtItsShareOfItsInputAndWraps) {
    const std::uint64_t unit = 102'400;
    const std::vector<InputSlice> slices{{"/a", 0, 10 * unit, 7}, {"/b", 4 * unit, 10 * unit, 8}};
    const auto none = rotate(slices, 0, 4, unit);
    ASSERT_EQ(none.size(), 2u);
    EXPECT_EQ(none[0].path, "/a");
    EXPECT_EQ(none[0].bytes, 10 * unit);
    const auto three_quarters = rotate(slices, 3, 4, unit);  // 15 units in: five of /b left
    ASSERT_EQ(three_quarters.size(), 3u);
    EXPECT_EQ(three_quarters[0].path, "/b");
    EXPECT_EQ(three_quarters[0].offset, 9 * unit);
    EXPECT_EQ(three_quarters[0].bytes, 5 * unit);
    EXPECT_EQ(three_quarters[1].path, "/a");
    EXPECT_EQ(three_quarters[2].path, "/b");
    EXPECT_EQ(three_quarters[2].offset, 4 * unit);
    EXPECT_EQ(three_quarters[1].file, 7u);
    EXPECT_EQ(three_quarters[2].file, 8u);
    EXPECT_EQ(three_quarters[2].bytes, 5 * unit);
    EXPECT_TRUE(rotate({}, 1, 2, unit).empty());
}

TEST(InputSlices, RotationIsExactForSizesBeyondWhatADoubleHolds) {
    const std::uint64_t unit = 4096, units = (std::uint64_t{1} << 51) + 5;  // 8 EiB and a bit
    const auto turned = rotate({{"/a", 0, units * unit, 0}}, 1, 5, unit);
    ASSERT_EQ(turned.size(), 2u);
    EXPECT_EQ(turned[0].offset, units / 5 * unit);
    EXPECT_EQ(turned[0].bytes + turned[1].bytes, units * unit);
}

}  // namespace
}  // namespace sluice::testing
