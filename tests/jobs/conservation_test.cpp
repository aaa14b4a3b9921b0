#include "jobs/conservation.hpp"

#include <gtest/gtest.h>

#include "net/in_process.hpp"
#include "runtime/executor.hpp"
#include "runtime/thread_clock.hpp"

namespace sluice {
namespace {

/// What everybody found, when each rank has sent to each as many records as `sent` says and got what `received` says.
struct Checked {
    std::vector<std::vector<std::string>> problems;  // by rank
    double longest_cpu_s = 0;
};
template <typename Sent, typename Received>
Checked check_all(std::uint32_t ranks, Sent sent, Received received) {
    ThreadExecutor executor;
    InProcessCluster cluster(executor, ranks);
    Checked checked;
    checked.problems.resize(ranks);
    std::vector<double> cpu_s(ranks);
    std::vector<std::unique_ptr<Task>> tasks;
    for (std::uint32_t rank = 0; rank < ranks; ++rank) {
        tasks.push_back(executor.spawn("rank-" + std::to_string(rank), [&, rank] {
            std::vector<PeerCounters> peers(ranks);
            for (std::uint32_t other = 0; other < ranks; ++other) {
                peers[other].sent_records = sent(rank, other);
                peers[other].received_records = received(other, rank);
            }
            const std::uint64_t begin_ns = thread_cpu_ns();
            checked.problems[rank] = pair_problems(cluster.communicator(rank), peers);
            cpu_s[rank] = static_cast<double>(thread_cpu_ns() - begin_ns) * 1e-9;
        }));
    }
    for (auto& task : tasks) task->join();
    for (const double s : cpu_s) checked.longest_cpu_s = std::max(checked.longest_cpu_s, s);
    return checked;
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

TEST(PairCheck, CostsAThousandRanksLessThanTenMillisecondsEach) {
    const Checked checked = check_all(1000, records_between, records_between);
    for (const auto& problems : checked.problems) EXPECT_TRUE(problems.empty());
    EXPECT_LT(checked.longest_cpu_s, 0.010);
}

}  // namespace
}  // namespace sluice
