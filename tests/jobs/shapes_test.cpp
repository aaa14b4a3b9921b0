// Records of 8 B to 1 MiB, keys of any length anywhere in them, through the whole sort.
#include <gtest/gtest.h>

#include "jobs/simulated_cluster.hpp"

namespace sluice::testing {
namespace {

ClusterShape shape_for(RecordFormat format, std::uint32_t ranks) {
    ClusterShape shape;
    shape.seed = format.record_bytes + ranks;
    shape.ranks = ranks;
    shape.partitions = 2 * ranks + 1;
    shape.record_bytes = format.record_bytes;
    shape.key_offset = format.key_offset;
    shape.key_bytes = format.key_bytes;
    shape.records = std::clamp<std::size_t>(400'000 / format.record_bytes, 7, 2000);
    shape.validate = true;
    return shape;
}

class RecordShapes : public ::testing::TestWithParam<std::uint32_t> {};

TEST_P(RecordShapes, KeysAnywhereComeOutInOrderWithMinimalPools) {
    const std::uint32_t bytes = GetParam();
    for (const RecordFormat format : {RecordFormat{bytes, 0, std::min(bytes, 10u)}, RecordFormat{bytes, bytes - 1, 1},
                                      RecordFormat{bytes, 0, bytes}, RecordFormat{bytes, bytes / 3, bytes / 2}}) {
        for (const std::uint32_t ranks : {1u, 2u, 3u}) {
            if (bytes > 500'000 && ranks != 2) continue;  // megabytes a record take their time
            const ClusterOutcome outcome = SimulatedCluster(shape_for(format, ranks)).run();
            ASSERT_TRUE(outcome.errors.empty()) << ranks << " ranks: " << outcome.errors.front();
            ASSERT_TRUE(outcome.output == outcome.expected)
                << ranks << " ranks, key " << format.key_bytes << " at " << format.key_offset;
        }
    }
}

TEST_P(RecordShapes, EqualKeysAreOrderedByTheWholeRecord) {
    for (const char* keys : {"all-equal", "few-distinct:3", "all-same"}) {
        ClusterShape shape = shape_for({GetParam(), GetParam() / 2, 2}, 2);
        shape.generated = keys;
        const ClusterOutcome outcome = SimulatedCluster(shape).run();
        ASSERT_TRUE(outcome.errors.empty()) << keys << ": " << outcome.errors.front();
        ASSERT_TRUE(outcome.output == outcome.expected) << keys;
    }
}

INSTANTIATE_TEST_SUITE_P(Sizes, RecordShapes,
                         ::testing::Values(8, 9, 100, 101, 128, 257, 1000, 1001, 4095, 4096, 4097, 65536, 65537,
                                           (1 << 20) - 1, 1 << 20));

}  // namespace
}  // namespace sluice::testing
