// Phase zero in the simulated cluster: balance on every distribution, the same bytes for any rank count.
#include "jobs/phase_zero.hpp"
#include "simulated/fault_backend.hpp"

#include <gtest/gtest.h>

#include "jobs/simulated_cluster.hpp"
#include "runtime/units.hpp"

namespace sluice::testing {
namespace {

class Distributions : public ::testing::TestWithParam<int> {};

ClusterShape shape_with(Keys keys, std::uint32_t ranks) {
    ClusterShape shape = shape_of_keys(keys, ranks);
    shape.seed = 17 + ranks;
    shape.input_seed = 5;
    return shape;
}

TEST_P(Distributions, KeepPartitionsAndRanksWithinTheirTargets) {
    ClusterShape shape = shape_with(static_cast<Keys>(GetParam()), 3);
    shape.samples = 400;
    const ClusterOutcome outcome = SimulatedCluster(shape).run();
    ASSERT_TRUE(outcome.errors.empty()) << outcome.errors.front();
    ASSERT_TRUE(outcome.output == outcome.expected);
    ASSERT_EQ(outcome.balance.partition_bytes.size(), 12u);
    EXPECT_LE(outcome.balance.worst_partition_of_mean(), 1.25);
    EXPECT_LE(outcome.balance.largest_of(outcome.balance.ranks), 1.05);
    EXPECT_GE(outcome.balance.smallest_of(outcome.balance.ranks), 0.95);
    EXPECT_LE(outcome.balance.largest_of(outcome.balance.output_disks), 1.05);
}

TEST_P(Distributions, SampledWhollyPartitionsAreEqualButForARecordOrTwo) {
    ClusterShape shape = shape_with(static_cast<Keys>(GetParam()), 2);
    shape.records = 2400;
    shape.samples = 1000;  // of the 200 there are
    const ClusterOutcome outcome = SimulatedCluster(shape).run();
    ASSERT_TRUE(outcome.errors.empty()) << outcome.errors.front();
    ASSERT_TRUE(outcome.output == outcome.expected);
    // Identical records are dealt out by each worker on its own, so their shares are met in the mean only.
    const double spread = GetParam() == static_cast<int>(Keys::few_records) ? 30 : 12;
    for (const std::uint64_t bytes : outcome.balance.partition_bytes)
        EXPECT_NEAR(static_cast<double>(bytes) / shape.record_bytes, 200, spread);
}

TEST_P(Distributions, GiveTheSameBytesForAnyRankCount) {
    std::vector<std::byte> first;
    for (const std::uint32_t ranks : {1u, 2u, 3u, 4u, 9u}) {
        ClusterShape shape = shape_with(static_cast<Keys>(GetParam()), ranks);
        shape.records = 3000;
        shape.samples = 30;
        shape.minimal_pools = ranks % 2 == 0;
        const ClusterOutcome outcome = SimulatedCluster(shape).run();
        ASSERT_TRUE(outcome.errors.empty()) << outcome.errors.front();
        ASSERT_TRUE(outcome.output == outcome.expected) << ranks << " ranks";
        if (first.empty()) first = outcome.output;
        EXPECT_TRUE(outcome.output == first) << ranks << " ranks";
    }
}
INSTANTIATE_TEST_SUITE_P(Each, Distributions, ::testing::Range(0, static_cast<int>(kKeysKinds)));

TEST(PhaseZero, ReadErrorWhileSamplingEndsTheSort) {
    ClusterShape shape;
    shape.ranks = 3;
    shape.records = 3000;
    shape.samples = 20;
    shape.io_faulty = true;
    shape.io_fault = {IoFault::Operation::read, 2, 5, "input"};
    const ClusterOutcome outcome = SimulatedCluster(shape).run();
    ASSERT_TRUE(outcome.fault_fired);
    ASSERT_EQ(outcome.errors.size(), 3u);
    EXPECT_FALSE(outcome.published);
    EXPECT_EQ(outcome.codes[0], static_cast<int>(Errc::device)) << outcome.errors[0];
}

/// Passes on, and counts what goes to all ranks or to one.
class CountingCommunicator final : public Communicator {
    template <typename Call>
    auto count(Call&& call) {
        ++calls;
        return call();
    }

public:
    explicit CountingCommunicator(Communicator& real) : real_(real) {}
    std::uint32_t rank() const override { return real_.rank(); }
    std::uint32_t size() const override { return real_.size(); }
    void barrier() override {
        count([&] { real_.barrier(); });
    }
    std::string broadcast(std::string text, std::uint32_t root) override {
        return count([&] {
            std::string got = real_.broadcast(std::move(text), root);
            if (damage && got.size() > 8) got[8] = static_cast<char>(got[8] ^ 1);
            return got;
        });
    }
    std::vector<std::string> all_gather(const std::string& text) override {
        return count([&] { return real_.all_gather(text); });
    }
    std::vector<std::string> gather(const std::string& text, std::uint32_t root) override {
        largest_text = std::max(largest_text, text.size());
        return count([&] { return real_.gather(text, root); });
    }
    std::vector<std::string> exchange(const std::vector<std::string>& to_rank) override {
        return count([&] { return real_.exchange(to_rank); });
    }
    std::vector<Uint128> sum(std::vector<Uint128> mine) override {
        return count([&] { return real_.sum(std::move(mine)); });
    }
    double maximum(double mine) override {
        return count([&] { return real_.maximum(mine); });
    }
    void announce_failure(const Failure& failure) override { real_.announce_failure(failure); }
    std::optional<Failure> poll_failure() override { return real_.poll_failure(); }
    void barrier_or_failure() override {
        count([&] { real_.barrier_or_failure(); });
    }

    std::uint64_t calls = 0;
    std::size_t largest_text = 0;
    bool damage = false;  ///< what is broadcast

private:
    Communicator& real_;
};

/// Phase zero alone, of ranks that read one file a reader of a common disk.
struct SamplingShape {
    std::uint64_t seed = 1, schedule = 1;
    std::uint32_t ranks = 3, readers = 2, partitions = 16, sorters = 1, record_bytes = 100;
    std::uint64_t records_a_reader = 40'000;
    std::uint64_t gather_records = 0, round_records = 0;  ///< 0: as planned
    std::uint32_t samples = 2000;                         ///< a partition
    int other_plan_on = -1;                               ///< rank
    int damaged_on = -1;
};

struct Sampling {
    std::vector<std::string> errors;
    std::vector<int> codes;
    std::vector<std::uint64_t> calls, samples;             ///< by rank
    std::vector<std::vector<std::uint32_t>> partition_of;  ///< by rank: of all records, what it makes of them
    std::size_t largest_text = 0;
    std::uint64_t rounds = 0;
};

class SamplingCluster {
public:
    explicit SamplingCluster(const SamplingShape& shape)
        : shape_(shape), executor_(shape.schedule), cluster_(executor_, shape.ranks), disk_(executor_) {
        config_.run.seed = shape.seed;
        config_.keys.samples = shape.samples;
        make_files();
        result_.calls.resize(shape.ranks);
        result_.samples.resize(shape.ranks);
        result_.partition_of.resize(shape.ranks);
    }

    Sampling run() {
        std::vector<std::unique_ptr<Task>> tasks;
        for (std::uint32_t rank = 0; rank < shape_.ranks; ++rank)
            tasks.push_back(executor_.spawn("rank-" + std::to_string(rank), [this, rank] { run_rank(rank); }));
        for (auto& task : tasks) task->join();
        return std::move(result_);
    }

private:
    void make_files() {
        Rng rng(99);
        ranges_.resize(shape_.ranks);
        for (std::uint32_t file = 0; file < shape_.ranks * shape_.readers; ++file) {
            auto content = std::make_shared<MemoryDisk::Content>();
            content->bytes.resize(file_bytes());
            for (std::byte& byte : content->bytes) byte = static_cast<std::byte>(rng.next() >> 40);
            all_.insert(all_.end(), content->bytes.begin(), content->bytes.end());
            const std::string path = "/d/" + std::to_string(file);
            disk_.files[path] = std::move(content);
            ranges_[file / shape_.readers].push_back({{path, 0, file_bytes()}});
        }
    }
    std::uint64_t file_bytes() const { return shape_.records_a_reader * shape_.record_bytes; }

    SortPlan plan_on(std::uint32_t rank) const {
        SortPlan plan;
        plan.format = {shape_.record_bytes, 0, 10};
        plan.input_bytes = all_.size();
        for (std::uint32_t owner = 0; owner <= shape_.ranks; ++owner)
            plan.ownership.first_partition.push_back(shape_.partitions * owner / shape_.ranks);
        plan.mean_partition_bytes = all_.size() / shape_.partitions;
        plan.ranks.resize(shape_.ranks);
        for (RankPlan& each : plan.ranks) {
            each.one.readers = shape_.readers;
            each.two.sorters = shape_.sorters;
        }
        if (shape_.other_plan_on == static_cast<int>(rank)) plan.ranks[0].one.message_bytes += 4096;
        return plan;
    }
    SamplePlan sample_of(const SortPlan& plan) const {
        SamplePlan sample =
            plan_sample({.config = config_,
                         .plan = plan,
                         .input_bytes = std::vector<std::uint64_t>(shape_.ranks, shape_.readers * file_bytes()),
                         .memory_bytes = std::vector<std::uint64_t>(shape_.ranks, kMemoryBytes)});
        if (shape_.gather_records != 0) sample.gather_records = shape_.gather_records;
        if (shape_.round_records != 0) sample.round_records = shape_.round_records;
        return sample;
    }

    void run_rank(std::uint32_t rank) {
        CountingCommunicator communicator(cluster_.communicator(rank));
        communicator.damage = shape_.damaged_on == static_cast<int>(rank);
        try {
            sample_on(rank, communicator);
        } catch (const Error& error) {
            result_.errors.push_back(error.what());
            result_.codes.push_back(error.exit_code());
            communicator.announce_failure({rank, error.exit_code(), error.what()});
        }
        result_.calls[rank] = communicator.calls;
        result_.largest_text = std::max(result_.largest_text, communicator.largest_text);
    }

    void sample_on(std::uint32_t rank, Communicator& communicator) {
        const auto io = make_memory_backend(executor_, disk_, shape_.schedule + rank);
        const auto files = make_memory_file_system(disk_);
        FakeProcesses processes("host", rank + 1);
        JobContext job{.executor = executor_,
                       .communicator = communicator,
                       .doorbell = cluster_.doorbell(rank),
                       .io = *io,
                       .files = *files,
                       .processes = processes,
                       .config = config_,
                       .place = {},
                       .make_transport = {},
                       .make_arena = {},
                       .bind = {},
                       .backoff = IdleBackoff(Polling::adaptive),
                       .say = {}};
        const SortPlan plan = plan_on(rank);
        const SamplePlan sample = sample_of(plan);
        Arena arena(kMemoryBytes, ArenaOptions{HugePages::off, nullptr, -1, 1});
        const PhaseZeroResult zero = run_phase_zero(job, arena, plan, sample, ranges_[rank],
                                                    std::vector<double>(shape_.partitions, 1.0 / shape_.partitions));
        result_.rounds = sample.rounds();
        result_.samples[rank] = zero.samples;
        result_.partition_of[rank].resize(all_.size() / shape_.record_bytes);
        zero.partitioner->classify(all_.data(), result_.partition_of[rank]);
    }

    static constexpr std::uint64_t kMemoryBytes = 64 * kMiB;
    SamplingShape shape_;
    SeededExecutor executor_;
    InProcessCluster cluster_;
    MemoryDisk disk_;
    Config config_;
    std::vector<std::byte> all_;                               // records, file after file
    std::vector<std::vector<std::vector<ReadRange>>> ranges_;  // by rank and reader
    Sampling result_;
};

Sampling sample_once(const SamplingShape& shape) { return SamplingCluster(shape).run(); }

double largest_of_mean(const std::vector<std::uint32_t>& partition_of, std::uint32_t partitions) {
    std::vector<double> counts(partitions);
    for (const std::uint32_t partition : partition_of) ++counts[partition];
    return *std::max_element(counts.begin(), counts.end()) * partitions / static_cast<double>(partition_of.size());
}

TEST(PhaseZero, TakesOneGatherAndOneBroadcastAndAllRanksGetTheSameSplitters) {
    const SamplingShape shape;
    const Sampling sampling = sample_once(shape);
    ASSERT_TRUE(sampling.errors.empty()) << sampling.errors.front();
    EXPECT_EQ(sampling.rounds, 1u);
    EXPECT_EQ(sampling.calls, std::vector<std::uint64_t>(3, 2));
    for (std::uint32_t rank = 0; rank < 3; ++rank) {
        EXPECT_TRUE(sampling.partition_of[rank] == sampling.partition_of[0]) << rank;
        EXPECT_EQ(sampling.samples[rank], 32'000u) << "800 blocks of 40";
    }
    EXPECT_LE(largest_of_mean(sampling.partition_of[0], shape.partitions), 1.1);
}

TEST(PhaseZero, ASampleOfManyRoundsGivesTheSameSplittersInTextsNoLongerThanARound) {
    SamplingShape shape;
    const Sampling at_once = sample_once(shape);
    shape.round_records = 1000;
    const Sampling rounds = sample_once(shape);
    ASSERT_TRUE(rounds.errors.empty()) << rounds.errors.front();
    EXPECT_EQ(rounds.rounds, 32u);
    EXPECT_EQ(rounds.calls, std::vector<std::uint64_t>(3, 33));
    EXPECT_LE(rounds.largest_text, 1000 * shape.record_bytes + 16u);
    EXPECT_TRUE(rounds.partition_of[2] == at_once.partition_of[2]);
}

TEST(PhaseZero, ASampleThatRankZeroCannotHoldIsThinnedAndStillBalances) {
    SamplingShape shape;
    shape.gather_records = 3000;
    const Sampling sampling = sample_once(shape);
    ASSERT_TRUE(sampling.errors.empty()) << sampling.errors.front();
    EXPECT_EQ(sampling.samples[0], 32'000u) << "what was read";
    EXPECT_LE(largest_of_mean(sampling.partition_of[0], shape.partitions), 1.1);
}

TEST(PhaseZero, SplittersFollowFromTheSeedAndNotFromSchedulesOrSorters) {
    std::set<std::vector<std::uint32_t>> by_seed;
    for (const std::uint64_t seed : {1u, 2u}) {
        SamplingShape shape;
        shape.seed = seed;
        const Sampling first = sample_once(shape);
        ASSERT_TRUE(first.errors.empty()) << first.errors.front();
        by_seed.insert(first.partition_of[0]);
        for (const std::uint32_t sorters : {2u, 7u}) {
            shape.sorters = sorters;
            shape.schedule = 100 * seed + sorters;
            const Sampling again = sample_once(shape);
            ASSERT_TRUE(again.errors.empty()) << again.errors.front();
            EXPECT_TRUE(again.partition_of[0] == first.partition_of[0]) << sorters << " sorters";
        }
    }
    EXPECT_EQ(by_seed.size(), 2u) << "another seed reads other places";
}

TEST(PhaseZero, OneRankHasNobodyToTell) {
    SamplingShape shape;
    shape.ranks = 1;
    shape.sorters = 3;
    const Sampling sampling = sample_once(shape);
    ASSERT_TRUE(sampling.errors.empty()) << sampling.errors.front();
    EXPECT_LE(largest_of_mean(sampling.partition_of[0], shape.partitions), 1.1);
}

TEST(PhaseZero, ARankWithAnotherPlanEndsTheSortBeforeItsRecordsAreTaken) {
    SamplingShape shape;
    shape.other_plan_on = 2;
    const Sampling sampling = sample_once(shape);
    ASSERT_EQ(sampling.errors.size(), 3u) << "all ranks hear of it";
    EXPECT_EQ(sampling.codes, std::vector<int>(3, static_cast<int>(Errc::integrity)));
    for (const std::string& error : sampling.errors)
        EXPECT_NE(error.find("rank 2 has another plan"), std::string::npos) << error;
}

TEST(PhaseZero, SplittersThatWereDamagedOnTheirWayEndThatRankWithoutAnotherCollective) {
    SamplingShape shape;
    shape.damaged_on = 1;
    const Sampling sampling = sample_once(shape);
    ASSERT_EQ(sampling.errors.size(), 1u) << "the others go on, and hear of it by the news of a failure";
    EXPECT_EQ(sampling.codes.front(), static_cast<int>(Errc::integrity));
    EXPECT_NE(sampling.errors.front().find("do not match their hash"), std::string::npos);
    EXPECT_EQ(sampling.calls, std::vector<std::uint64_t>(3, 2));
}

TEST(PartitionShares, FollowTheRanksWeights) {
    const std::vector<RankResources> ranks = [] {
        std::vector<RankResources> list(3);
        list[1].weight = 0.5;
        return list;
    }();
    const auto shares = partition_shares({{0, 40, 61, 101}}, ranks);
    ASSERT_EQ(shares.size(), 101u);
    EXPECT_DOUBLE_EQ(shares[0] * 40, 0.4);
    EXPECT_DOUBLE_EQ(shares[40] * 21, 0.2);
    EXPECT_DOUBLE_EQ(shares[100] * 40, 0.4);
    const auto equal = partition_shares({{0, 1, 1, 2}}, ranks);
    EXPECT_EQ(equal, std::vector<double>({0.5, 0.5}));
}

}  // namespace
}  // namespace sluice::testing
