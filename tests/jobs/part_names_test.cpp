#include "jobs/part_names.hpp"

#include <gtest/gtest.h>

#include <string>

#include "io/owner_record.hpp"

namespace sluice {
namespace {

TEST(PartNames, HaveSixDigitsBelowAMillionPartitionsAndMoreForAllPartsFromThereOn) {
    EXPECT_EQ(part_name(0, 1), "part-000000");
    EXPECT_EQ(part_name(123, 999'999), "part-000123");
    EXPECT_EQ(part_name(123, 1'000'000), "part-0000123");
    EXPECT_EQ(part_name(9'999'999, 10'000'000), "part-09999999");
    EXPECT_EQ(part_name(4'294'967'294, 4'294'967'295), "part-4294967294");
    EXPECT_EQ(part_name(7, 10, 2), "part-000007.000002");
    EXPECT_EQ(part_name(7, 2'000'000, 2), "part-0000007.000002");
}

TEST(PartNames, SortAsTextsInTheOrderOfThePartitionsAndTheirPieces) {
    for (const std::uint32_t partitions : {5u, 999'999u, 1'000'000u, 1'048'577u, 2'147'483'648u}) {
        std::string before;
        for (std::uint64_t at = 0; at < partitions; at += partitions / 5) {
            for (const std::uint64_t partition : {at, at + 1, at + 9, at + 10}) {
                if (partition >= partitions || (partition > at && partition >= at + partitions / 5)) continue;
                const auto number = static_cast<std::uint32_t>(partition);
                for (const std::string& name : {part_name(number, partitions), part_name(number, partitions, 0),
                                                part_name(number, partitions, 11)}) {
                    EXPECT_LT(before, name) << partitions;
                    before = name;
                }
            }
        }
    }
}

TEST(PartNames, AreOursByThePatternsOfAnOwnerRecord) {
    OwnerRecord record;
    record.patterns = {"part-#", "part-#.#"};
    for (const std::uint32_t partitions : {10u, 1'000'000u, 2'000'000'000u}) {
        EXPECT_TRUE(record.matches(part_name(partitions - 1, partitions))) << partitions;
        EXPECT_TRUE(record.matches(part_name(partitions - 1, partitions, 7))) << partitions;
    }
}

}  // namespace
}  // namespace sluice
