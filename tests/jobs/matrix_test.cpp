// Every key distribution, on 1, 2 and 4 ranks, in two passes and in one, with as little memory as the plan allows and
// with plenty: the sorted data validates and is byte for byte what an independent sort makes.
#include <gtest/gtest.h>

#include "jobs/simulated_cluster.hpp"

namespace sluice::testing {
namespace {

class Matrix : public ::testing::TestWithParam<const char*> {};

TEST_P(Matrix, SortedDataIsValidAndTheSameBytesAsAnIndependentSort) {
    const char* keys = GetParam();
    for (const std::uint32_t ranks : {1u, 2u, 4u}) {
        for (const auto& [passes, minimal] : {std::pair{2u, true}, {2u, false}, {1u, true}, {1u, false}}) {
            ClusterShape shape;
            shape.seed = ranks;
            shape.input_seed = 7;
            shape.ranks = ranks;
            shape.ranks_per_host = 2;
            shape.partitions = 3 * ranks;
            shape.record_bytes = 100;
            shape.records = 20'000;
            shape.generated = keys;
            shape.passes = passes;
            shape.minimal_pools = minimal;
            shape.validate = true;
            const ClusterOutcome outcome = SimulatedCluster(shape).run();
            ASSERT_TRUE(outcome.errors.empty())
                << ranks << " ranks, " << passes << " passes: " << outcome.errors.front();
            ASSERT_TRUE(outcome.published);
            ASSERT_TRUE(outcome.output == outcome.expected)
                << ranks << " ranks, " << passes << " passes, minimal " << minimal;
        }
    }
}

INSTANTIATE_TEST_SUITE_P(All, Matrix,
                         ::testing::Values("uniform", "skewed", "zipf:0.99", "zipf:2", "all-equal", "all-same",
                                           "few-distinct:7", "sorted", "reverse", "nearly-sorted", "drift",
                                           "hot-range"));

}  // namespace
}  // namespace sluice::testing
