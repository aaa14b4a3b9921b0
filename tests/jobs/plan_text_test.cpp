// What `sluice config check` prints is what a run maps: the printed pools add up to the arena.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <regex>
#include <set>
#include <sstream>

#include "jobs/simulated_cluster.hpp"
#include "runtime/units.hpp"

namespace sluice {
namespace {

using testing::ClusterOutcome;
using testing::ClusterShape;
using ::testing::HasSubstr;
using testing::SimulatedCluster;

/// Bytes of each pool of one paragraph of the plan, from its "COUNT x SIZE".
std::map<std::string, std::uint64_t> pools_of(const std::string& paragraph) {
    std::map<std::string, std::uint64_t> pools;
    const std::regex line(R"(\n +([a-z ]+[a-z]) +(\d+) x (\S+) = )");
    for (std::sregex_iterator at(paragraph.begin(), paragraph.end(), line), end; at != end; ++at)
        pools[(*at)[1]] = std::stoull((*at)[2]) * parse_bytes((*at)[3].str()).value();
    return pools;
}

/// Arenas of the ranks, by the rules of ARCHITECTURE.md: the larger phase; in one pass the chunks stay beside it. The
/// window of rma is MPI's memory.
std::set<std::uint64_t> arenas_of(const std::string& plan, const ClusterShape& shape) {
    std::set<std::uint64_t> arenas;
    const std::regex heading(R"(\nranks? [0-9,-]+ on )");
    for (std::sregex_iterator at(plan.begin(), plan.end(), heading), end; at != end; ++at) {
        const auto next = std::next(at);
        const auto begin = static_cast<std::size_t>(at->position());
        const std::size_t stop = next == end ? plan.size() : static_cast<std::size_t>(next->position());
        auto pools = pools_of(plan.substr(begin, stop - begin));
        EXPECT_NE(pools["read buffers"], 0u) << plan;
        EXPECT_EQ(pools["partition slots"] == 0, shape.passes == 1) << plan;
        const std::uint64_t received = shape.transport == "rma" ? 0 : pools["receive buffers"];
        const std::uint64_t one = pools["read buffers"] + pools["send buffers"] + received;
        const std::uint64_t two = pools["partition slots"] + pools["tags"] + pools["write buffers"];
        const std::uint64_t chunks = pools["chunks"];
        arenas.insert(kMiB + (shape.passes == 1 ? chunks + std::max(one, two) : std::max(one + chunks, two)));
    }
    return arenas;
}

TEST(PlanText, PrintedPoolsAddUpToTheArenaOfARun) {
    for (const std::string transport : {"p2p", "alltoallv", "rma"}) {
        for (const unsigned passes : {1u, 2u}) {
            for (const std::uint32_t ranks : {1u, 2u, 3u}) {
                ClusterShape shape;
                shape.ranks = ranks;
                shape.records = 3000;
                shape.transport = transport;
                shape.passes = passes;
                shape.minimal_pools = false;
                SCOPED_TRACE(transport + ", " + std::to_string(passes) + " pass(es), " + std::to_string(ranks) +
                             " rank(s)");
                const ClusterOutcome outcome = SimulatedCluster(shape).run();
                ASSERT_TRUE(outcome.good()) << (outcome.errors.empty() ? "wrong bytes" : outcome.errors.front());
                EXPECT_EQ(outcome.mapped_bytes, arenas_of(outcome.plan_text, shape)) << outcome.plan_text;
                for (const std::uint64_t bytes : outcome.mapped_bytes)
                    EXPECT_THAT(outcome.plan_text,
                                HasSubstr("mapped at start            " + format_bytes(bytes) + ","));
            }
        }
    }
}

}  // namespace
}  // namespace sluice
