// The shuffle alone, many ranks in one process, one seed at a time.
#include "jobs/shuffle_job.hpp"
#include "runtime/fake_processes.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "jobs/simulated_cluster.hpp"
#include "plan/cluster.hpp"

namespace sluice::testing {
namespace {

using Kind = TrafficPattern::Kind;

struct ShuffleShape {
    std::uint64_t seed = 1;
    std::uint32_t ranks = 2, partitions = 8, distributors = 1, logical_disk_distributors = 1, record_bytes = 128;
    bool minimal_pools = true;
    ShuffleOptions options;
    WireFault wire_fault;
};

struct ShuffleOutcome {
    std::vector<std::string> errors;
    std::vector<int> codes;
    std::vector<ShuffleResult> results;
    bool fault_fired = false;
};

Config config_of(const ShuffleShape& shape) {
    Config config;
    config.record.size_bytes = shape.record_bytes;
    config.memory.budget_bytes = 64 << 20;
    config.partitions.count = shape.partitions;
    config.io.read_size_bytes = config.io.chunk_size_bytes = 4096;
    config.net.buffer_size_bytes = 4096;
    config.stages.distributor.workers = shape.distributors;
    config.stages.logical_disk_distributor.workers = shape.logical_disk_distributors;
    return config;
}

ShuffleOutcome simulate(const ShuffleShape& shape) {
    SeededExecutor executor(shape.seed);
    InProcessCluster cluster(executor, shape.ranks);
    cluster.inject(shape.wire_fault);
    MemoryDisk disk(executor);  // there, and never used
    ShuffleOutcome outcome;
    outcome.results.resize(shape.ranks);
    const auto run_rank = [&](std::uint32_t rank) {
        Communicator& communicator = cluster.communicator(rank);
        try {
            const auto io = make_memory_backend(executor, disk, shape.seed);
            const auto files = make_memory_file_system(disk);
            const Config config = config_of(shape);
            FakeProcesses processes("host" + std::to_string(rank), rank + 1);
            JobContext job{.executor = executor,
                           .communicator = communicator,
                           .doorbell = cluster.doorbell(rank),
                           .io = *io,
                           .files = *files,
                           .processes = processes,
                           .config = config,
                           .place = find_place(communicator, "host" + std::to_string(rank)),
                           .make_transport = {},
                           .make_arena = {},
                           .bind = {},
                           .backoff = IdleBackoff(Polling::adaptive),
                           .say = {}};
            job.make_transport = [&](BufferPool& pool, std::uint64_t run_id, ReceiveWindow*) {
                return make_p2p_transport(cluster.wire(rank), pool, run_id);
            };
            job.make_arena = [](std::uint64_t bytes) {
                return std::make_unique<Arena>(bytes, ArenaOptions{HugePages::off, nullptr, -1, 1});
            };
            PreparedShuffle prepared =
                prepare_shuffle(job, {.memory_available_bytes = std::uint64_t{1} << 40}, shape.options);
            if (shape.minimal_pools) cut_to_minimum(prepared.plan, TransportKind::p2p);
            outcome.results[rank] = run_shuffle(job, prepared);
        } catch (const std::exception& error) {
            outcome.errors.push_back(error.what());
            const auto* known = dynamic_cast<const Error*>(&error);
            outcome.codes.push_back(known != nullptr ? known->exit_code() : 1);
            communicator.announce_failure({rank, outcome.codes.back(), error.what()});
        }
    };
    std::vector<std::unique_ptr<Task>> tasks;
    for (std::uint32_t rank = 0; rank < shape.ranks; ++rank)
        tasks.push_back(executor.spawn("rank-" + std::to_string(rank), [&run_rank, rank] { run_rank(rank); }));
    for (auto& task : tasks) task->join();
    outcome.fault_fired = cluster.fault_fired();
    return outcome;
}

ShuffleShape shape_of(std::uint64_t seed) {
    Rng rng(seed * 6007 + 5);
    ShuffleShape shape;
    shape.seed = seed + 1;
    shape.ranks = static_cast<std::uint32_t>(1 + rng.below(8));
    shape.partitions = shape.ranks + static_cast<std::uint32_t>(rng.below(16));
    shape.distributors = static_cast<std::uint32_t>(1 + rng.below(2));
    shape.logical_disk_distributors = static_cast<std::uint32_t>(1 + rng.below(2));
    shape.record_bytes = rng.below(2) == 0 ? 128 : 64;
    shape.minimal_pools = rng.below(4) != 0;
    shape.options.pattern = {static_cast<Kind>(rng.below(5)), static_cast<std::uint32_t>(1 + rng.below(3)), seed};
    if (shape.options.pattern.stride % shape.ranks == 0) shape.options.pattern.stride = shape.ranks + 1;
    shape.options.records = rng.below(10) == 0 ? rng.below(20) : rng.below(2'500);
    return shape;
}

std::string describe(const ShuffleShape& s) {
    return "seed=" + std::to_string(s.seed) + " ranks=" + std::to_string(s.ranks) + " " + s.options.pattern.name() +
           " partitions=" + std::to_string(s.partitions) + " records=" + std::to_string(s.options.records) +
           " minimal=" + std::to_string(s.minimal_pools);
}

/// What went where, counted from the pattern alone.
void expect_pattern(const ShuffleShape& shape, const ShuffleResult& result) {
    std::uint64_t total = 0;
    for (std::uint32_t from = 0; from < shape.ranks; ++from) {
        const auto to = destinations_of(shape.options.pattern, from, shape.ranks);
        for (std::uint32_t other = 0; other < shape.ranks; ++other) {
            const std::uint64_t count = result.pairs[from][other].count;
            total += count;
            const bool self = other == from && (shape.options.pattern.kind == Kind::all_to_all || shape.ranks == 1);
            const bool expected = self || std::find(to.begin(), to.end(), other) != to.end();
            if (!expected) {
                EXPECT_EQ(count, 0u) << describe(shape) << ": from " << from << " to " << other;
            }
        }
    }
    EXPECT_EQ(total, shape.options.records) << describe(shape);
}

class ShuffleSeeds : public ::testing::TestWithParam<int> {};

TEST_P(ShuffleSeeds, NoScheduleDeadlocksOrLosesARecord) {
    constexpr int kSeedsEach = 100, kSeedsRun = std::max(1, kSeedsEach * SLUICE_SEEDS_PERCENT / 100);
    for (int i = 0; i < kSeedsRun; ++i) {
        const ShuffleShape shape = shape_of(static_cast<std::uint64_t>(GetParam() * kSeedsEach + i));
        const ShuffleOutcome outcome = simulate(shape);
        ASSERT_TRUE(outcome.errors.empty()) << describe(shape) << ": " << outcome.errors.front();
        expect_pattern(shape, outcome.results.front());
        EXPECT_TRUE(outcome.results.front().verified);
    }
}
INSTANTIATE_TEST_SUITE_P(FiveHundred, ShuffleSeeds, ::testing::Range(0, 5));

class ShuffleWireFaults : public ::testing::TestWithParam<std::pair<WireFault::Kind, std::uint64_t>> {};

TEST_P(ShuffleWireFaults, EndTheShuffleOnAllRanks) {
    ShuffleShape shape;
    shape.ranks = 3;
    shape.options.records = 4000;
    shape.wire_fault = {GetParam().first, GetParam().second};
    const ShuffleOutcome outcome = simulate(shape);
    ASSERT_TRUE(outcome.fault_fired);
    ASSERT_EQ(outcome.errors.size(), 3u);
    // A lost message shows by the next one's number; where none follows, all wait, which the simulation calls a
    // deadlock.
    EXPECT_TRUE(outcome.codes.front() == static_cast<int>(Errc::integrity) ||
                outcome.errors.front().find("deadlock") != std::string::npos)
        << outcome.errors.front();
}
INSTANTIATE_TEST_SUITE_P(Each, ShuffleWireFaults,
                         ::testing::Values(std::pair{WireFault::Kind::duplicate, 4u},
                                           std::pair{WireFault::Kind::corrupt_header, 5u},
                                           std::pair{WireFault::Kind::drop, 3u}));

TEST(ShufflePreflight, StrideThatComesBackToItselfIsRefusedByAllRanks) {
    ShuffleShape shape;
    shape.ranks = 4;
    shape.options = {{Kind::stride, 8}, 100, 0, false};
    const ShuffleOutcome outcome = simulate(shape);
    ASSERT_EQ(outcome.errors.size(), 4u);
    for (const std::string& error : outcome.errors) EXPECT_NE(error.find("--stride 8"), std::string::npos) << error;
    EXPECT_EQ(outcome.codes, std::vector<int>(4, static_cast<int>(Errc::config)));
}

TEST(ShufflePreflight, FewerPartitionsThanRanksAreRefusedWhereDestinationsAreChosen) {
    ShuffleShape shape;
    shape.ranks = 4;
    shape.partitions = 3;
    shape.options = {{Kind::permutation}, 100, 0, false};
    const ShuffleOutcome outcome = simulate(shape);
    ASSERT_EQ(outcome.errors.size(), 4u);
    EXPECT_NE(outcome.errors.front().find("partitions.count >= 4"), std::string::npos) << outcome.errors.front();
    shape.options.pattern = {};
    EXPECT_TRUE(simulate(shape).errors.empty()) << "all-to-all leaves out who owns nothing";
}

}  // namespace
}  // namespace sluice::testing
