#include "jobs/conservation.hpp"

#include <gtest/gtest.h>

#include "plan/one_rank_job.hpp"
#include "plan/problem_texts.hpp"
#include "runtime/executor.hpp"
#include "runtime/thread_clock.hpp"
#include "simulated/in_process.hpp"

namespace sluice {
namespace {

/// What everybody found, when each rank has sent to each as many records as `sent` says and got what `received` says.
struct Checked {
    std::vector<std::vector<std::string>> problems;  // by rank
    double longest_cpu_s = 0;
};
template <typename Check>
Checked check_on_all(std::uint32_t ranks, Check check) {
    ThreadExecutor executor;
    InProcessCluster cluster(executor, ranks);
    Checked checked;
    checked.problems.resize(ranks);
    std::vector<double> cpu_s(ranks);
    std::vector<std::unique_ptr<Task>> tasks;
    for (std::uint32_t rank = 0; rank < ranks; ++rank) {
        tasks.push_back(executor.spawn("rank-" + std::to_string(rank), [&, rank] {
            const std::uint64_t begin_ns = thread_cpu_ns();
            checked.problems[rank] = check(cluster.communicator(rank), rank);
            cpu_s[rank] = static_cast<double>(thread_cpu_ns() - begin_ns) * 1e-9;
        }));
    }
    for (auto& task : tasks) task->join();
    for (const double s : cpu_s) checked.longest_cpu_s = std::max(checked.longest_cpu_s, s);
    return checked;
}

template <typename Sent, typename Received>
Checked check_all(std::uint32_t ranks, Sent sent, Received received) {
    return check_on_all(ranks, [&](Communicator& communicator, std::uint32_t rank) {
        std::vector<PeerCounters> peers(ranks);
        for (std::uint32_t other = 0; other < ranks; ++other) {
            peers[other].sent_records = sent(rank, other);
            peers[other].received_records = received(other, rank);
        }
        return testing::texts_of(pair_problems(communicator, peers));
    });
}

std::uint64_t records_between(std::uint32_t from, std::uint32_t to) { return from * 1000 + to; }

TEST(PairCheck, NamesThePairThatDiffersOnTheRankThatGotIt) {
    const auto received = [](std::uint32_t from, std::uint32_t to) {
        return records_between(from, to) - (from == 1 && to == 3 ? 2 : 0);
    };
    const Checked checked = check_all(5, records_between, received);
    for (std::uint32_t rank = 0; rank < 5; ++rank) EXPECT_EQ(checked.problems[rank].size(), rank == 3 ? 1u : 0u);
    EXPECT_EQ(checked.problems[3].front(),
              "[6] rank 1 sent 1003 records to rank 3, which received 1001; nothing was published, check the network "
              "and sort again");
}

TEST(PairCheck, NamesWhatWasMadeForARankThatGotOtherRecords) {
    const Checked checked = check_on_all(3, [&](Communicator& communicator, std::uint32_t rank) {
        std::vector<RecordSum> made(3), received(3);
        for (std::uint32_t other = 0; other < 3; ++other) {
            made[other] = {records_between(rank, other), 7};
            received[other] = {records_between(other, rank), other == 0 && rank == 2 ? 8u : 7u};
        }
        return testing::texts_of(pair_problems(communicator, made, received));
    });
    EXPECT_TRUE(checked.problems[0].empty());
    EXPECT_TRUE(checked.problems[1].empty());
    ASSERT_EQ(checked.problems[2].size(), 1u);  // the same number of records, and another sum
    EXPECT_EQ(checked.problems[2].front().rfind("[6] rank 0 made ", 0), 0u) << checked.problems[2].front();
}

TEST(PairCheck, CostsAThousandRanksLessThanTenMillisecondsEach) {
    const Checked checked = check_all(1000, records_between, records_between);
    for (const auto& problems : checked.problems) EXPECT_TRUE(problems.empty());
    EXPECT_LT(checked.longest_cpu_s, 0.010);
}

/// One equation is broken at a time, so that no other one hides it.
TEST(Conservation, EachSumIsComparedByItself) {
    SortResult result;
    InputSet input;
    const auto refused = [&] { return testing::refusal_of([&] { check_conservation(result, input); }); };
    const RecordSum sum{100, 5}, other_sum{100, 6}, other_count{99, 5};
    result.verified = true;
    result.input = result.output = input.total = sum;
    input.sums_are_known = true;
    EXPECT_EQ(refused().text, "");
    for (const RecordSum& wrong : {other_sum, other_count}) {
        result.output = wrong;
        EXPECT_TRUE(refused().code == 6 && refused().mentions("what phase two wrote is")) << refused().text;
        result.output = sum;
        input.total = wrong;
        EXPECT_TRUE(refused().code == 6 && refused().mentions("the input's manifest is")) << refused().text;
        input.sums_are_known = false;
        EXPECT_EQ(refused().text, "") << "nobody has said what there was";
        input.sums_are_known = true;
        input.total = sum;
    }
    result.verified = false;  // only counts are known
    result.output = other_sum;
    EXPECT_EQ(refused().text, "");
    result.output = other_count;
    EXPECT_EQ(refused().code, 6);
}

TEST(Conservation, PartsFollowEachOtherOverTheirBorders) {
    testing::OneRankJob here;
    JobContext job = here.job();
    const auto key = [](int value) { return std::vector<std::byte>{std::byte(value)}; };
    std::vector<PartFact> parts = {{"part-0", 0, 0, {1, 1}, key(1), key(4)},
                                   {"part-1", 0, 1, {0, 0}, {}, {}},
                                   {"part-2", 0, 2, {1, 1}, key(4), key(9)}};
    EXPECT_EQ(gather_parts(job, parts).size(), 3u);
    parts[2].first_key = key(3);
    const auto refused = testing::refusal_of([&] { gather_parts(job, parts); });
    EXPECT_TRUE(refused.code == 6 && refused.mentions("part 'part-2' begins with a smaller key")) << refused.text;
}

}  // namespace
}  // namespace sluice
