// What `sluice config check` prints is what a run maps: the printed pools add up to the arena.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "jobs/simulated_cluster.hpp"
#include "runtime/units.hpp"

namespace sluice {
namespace {

using testing::ClusterOutcome;
using testing::ClusterShape;
using ::testing::HasSubstr;
using testing::SimulatedCluster;

/// The plan's lines by rank or group of equal ranks: NAME in the first 26 columns after the indent -> bytes of its
/// "COUNT x SIZE".
std::vector<std::map<std::string, std::uint64_t>> pools_by_group(const std::string& plan) {
    std::vector<std::map<std::string, std::uint64_t>> groups;
    std::istringstream lines(plan);
    for (std::string line; std::getline(lines, line);) {
        if (line.rfind("rank", 0) == 0) groups.emplace_back();
        std::istringstream name_words(line.substr(0, 28)), value_words(line.size() > 28 ? line.substr(28) : "");
        std::string name, word, size;
        while (name_words >> word) name += (name.empty() ? "" : " ") + word;
        std::uint64_t count = 0;
        if (!groups.empty() && value_words >> count >> word >> size && word == "x")
            groups.back()[name] = count * parse_bytes(size).value();
    }
    return groups;
}

/// Arenas of the ranks, by the rules of ARCHITECTURE.md: the larger phase; in one pass the chunks stay beside it. The
/// window of rma is MPI's memory.
std::set<std::uint64_t> arenas_of(const std::string& plan, const ClusterShape& shape) {
    std::set<std::uint64_t> arenas;
    for (auto& pools : pools_by_group(plan)) {
        EXPECT_NE(pools["read buffers"], 0u) << plan;
        EXPECT_EQ(pools["partition slots"] == 0, shape.passes == 1) << plan;
        const std::uint64_t received = shape.transport == TransportKind::rma ? 0 : pools["receive buffers"];
        const std::uint64_t one = pools["read buffers"] + pools["send buffers"] + received;
        const std::uint64_t two = pools["partition slots"] + pools["tags"] + pools["write buffers"];
        const std::uint64_t chunks = pools["chunks"];
        arenas.insert(kMiB + (shape.passes == 1 ? chunks + std::max(one, two) : std::max(one + chunks, two)));
    }
    return arenas;
}

TEST(PlanText, PrintedPoolsAddUpToTheArenaOfARun) {
    for (const TransportKind transport : {TransportKind::p2p, TransportKind::alltoallv, TransportKind::rma}) {
        for (const unsigned passes : {1u, 2u}) {
            for (const std::uint32_t ranks : {1u, 2u, 3u}) {
                ClusterShape shape;
                shape.ranks = ranks;
                shape.records = 3000;
                shape.transport = transport;
                shape.passes = passes;
                shape.minimal_pools = false;
                SCOPED_TRACE(word_of(transport) + ", " + std::to_string(passes) + " pass(es), " +
                             std::to_string(ranks) + " rank(s)");
                const ClusterOutcome outcome = SimulatedCluster(shape).run();
                ASSERT_TRUE(outcome.good()) << (outcome.errors.empty() ? "wrong bytes" : outcome.errors.front());
                // Ranks that differ by a partition have one paragraph, with the numbers of the fullest.
                const std::set<std::uint64_t> printed = arenas_of(outcome.plan_text, shape);
                ASSERT_FALSE(printed.empty() || outcome.mapped_bytes.empty());
                EXPECT_EQ(*outcome.mapped_bytes.rbegin(), *printed.rbegin()) << outcome.plan_text;
                for (const std::uint64_t bytes : printed) {
                    EXPECT_EQ(outcome.mapped_bytes.count(bytes), 1u) << outcome.plan_text;
                    EXPECT_THAT(outcome.plan_text,
                                HasSubstr("mapped at start            " + format_bytes(bytes) + ","));
                }
            }
        }
    }
}

}  // namespace
}  // namespace sluice
