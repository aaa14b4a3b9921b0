#include "stages/part_writer.hpp"

#include <gtest/gtest.h>

namespace sluice {
namespace {

TEST(CountFinishers, SeveralOnlyWhereSyncsOfSmallPartsCanBeCommittedTogether) {
    EXPECT_EQ(count_finishers(0, 0), 1U);
    EXPECT_EQ(count_finishers(1, 100), 1U);  // no more than there are parts
    EXPECT_EQ(count_finishers(3, 300), 3U);
    EXPECT_EQ(count_finishers(100'000, 12'800'000), kFinishers);
    EXPECT_EQ(count_finishers(100, 100 * kOneFinisherBytes - 100), kFinishers);
    EXPECT_EQ(count_finishers(100, 100 * kOneFinisherBytes), 1U);
}

}  // namespace
}  // namespace sluice
