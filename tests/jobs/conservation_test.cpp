#include "jobs/conservation.hpp"

#include <gtest/gtest.h>

#include "net/collectives.hpp"
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
        std::vector<PeerWord> words(ranks);
        for (std::uint32_t other = 0; other < ranks; ++other) words[other].sent_records = peers[other].sent_records;
        return testing::texts_of(differing_pairs(rank, peers, exchange_by_rank(communicator, words)));
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

/// Two ranks of a host at the end of phase one: a file that both have read, and a record that each sent the other.
struct PhaseOneCheck : ::testing::Test {
    PhaseOneCheck() {
        here.put("data", std::string(200, 'x'));
        InputFile file;
        file.path = here.path("data");
        file.identity = *here.files->info(file.path);
        file.sum = {2, 30};
        prepared.input.files = {file};
        prepared.input.sums_are_known = true;
        prepared.slices.resize(1);
        prepared.slices.front().path = file.path;
        for (std::uint32_t rank = 0; rank < 2; ++rank) {
            peers[rank].resize(2);
            peers[rank][1 - rank].sent_records = peers[rank][1 - rank].received_records = 1;
            sums[rank] = {{1, rank == 0 ? 10u : 20u}};
        }
    }
    struct Ended {
        PhaseOneChecked checked;
        testing::Refusal refusal;
    };
    /// @returns by rank
    std::vector<Ended> check() {
        ThreadExecutor executor;
        InProcessCluster cluster(executor, 2);
        std::vector<Ended> ended(2);
        std::vector<std::unique_ptr<Task>> tasks;
        for (std::uint32_t rank = 0; rank < 2; ++rank) {
            tasks.push_back(executor.spawn("rank", [&, rank] {
                JobContext job = here.job_on(cluster, rank);
                const std::function<double()> since_launch_s = [rank] { return rank == 0 ? 5.0 : 7.0; };
                ended[rank].refusal = testing::refusal_of([&] {
                    ended[rank].checked = check_phase_one(job, prepared,
                                                          {.peers = peers[rank],
                                                           .sums_by_file = sums[rank],
                                                           .excess = excess[rank],
                                                           .since_launch_s = since_launch_s});
                });
            }));
        }
        for (auto& task : tasks) task->join();
        return ended;
    }
    /// That both ranks say this, with this code.
    void expect_refused(int code, const std::string& words) {
        for (const Ended& rank : check())
            EXPECT_TRUE(rank.refusal.code == code && rank.refusal.mentions(words)) << rank.refusal.text;
    }
    testing::OneRankJob here;
    PreparedSort prepared;
    std::vector<PeerCounters> peers[2];
    std::vector<RecordSum> sums[2];
    Excess excess[2];
};

TEST_F(PhaseOneCheck, TellsAllWhoHasMostTooMuchAndHowLongTheJobRuns) {
    for (const Ended& rank : check()) {
        EXPECT_EQ(rank.refusal.text, "");
        EXPECT_EQ(rank.checked.excess, "");
    }
    excess[0] = {1.5, "rank 0 got more"};
    excess[1] = {2.5, "rank 1 got most"};
    const auto ended = check();
    for (const Ended& rank : ended) EXPECT_EQ(rank.checked.excess, "rank 1 got most");
    EXPECT_DOUBLE_EQ(ended[0].checked.launch_lag_s, 2);
    EXPECT_DOUBLE_EQ(ended[1].checked.launch_lag_s, 0);
    EXPECT_EQ(here.said, "");
}

TEST_F(PhaseOneCheck, SaysWhichPairDiffersBeforeAnythingElse) {
    peers[1][0].received_records = 0;
    sums[0].front().sum = 11;
    excess[0] = {1.5, "rank 0 got more"};
    expect_refused(6, "rank 0 sent 1 records to rank 1, which received 0");
}

TEST_F(PhaseOneCheck, AddsUpWhatRanksReadOfAFile) {
    sums[1].front().sum = 21;
    expect_refused(6, "data' on host here: holds 2 records, checksum 1f, its manifest says 2 records, checksum 1e");
    here.config.run.verify = false;
    for (const Ended& rank : check()) EXPECT_EQ(rank.refusal.text, "") << "no sums are taken";
}

TEST_F(PhaseOneCheck, SaysThatAFileHasChangedAndNotThatItsSumHas) {
    here.put("data", std::string(300, 'y'));
    sums[1].front().sum = 21;
    for (const Ended& rank : check()) {
        EXPECT_TRUE(rank.refusal.code == 4 && rank.refusal.mentions("has 300 bytes, and had 200")) << rank.refusal.text;
        EXPECT_FALSE(rank.refusal.mentions("checksum")) << rank.refusal.text;
    }
}

/// One equation is broken at a time, so that no other one hides it.
TEST(Conservation, EachSumIsComparedByItself) {
    const RecordSum sum{100, 5}, other_sum{100, 6}, other_count{99, 5};
    InputSet input;
    input.total = sum;
    input.sums_are_known = true;
    const auto problem = [&](const RecordSum& written, bool verified = true) {
        return conservation_problem(sum, written, input, verified);
    };
    EXPECT_TRUE(problem(sum).empty());
    for (const RecordSum& wrong : {other_sum, other_count}) {
        EXPECT_EQ(problem(wrong).code, Errc::integrity);
        EXPECT_NE(problem(wrong).text.find("what phase two wrote is"), std::string::npos) << problem(wrong).text;
        input.total = wrong;
        EXPECT_EQ(problem(sum).code, Errc::integrity);
        EXPECT_NE(problem(sum).text.find("the input's manifest is"), std::string::npos) << problem(sum).text;
        input.sums_are_known = false;
        EXPECT_TRUE(problem(sum).empty()) << "nobody has said what there was";
        input.sums_are_known = true;
        input.total = sum;
    }
    EXPECT_TRUE(problem(other_sum, false).empty()) << "only counts are known";
    EXPECT_EQ(problem(other_count, false).code, Errc::integrity);
}

std::vector<std::byte> key(int value) { return {std::byte(value)}; }

TEST(Conservation, PartsFollowEachOtherOverTheirBorders) {
    PartOrder order;
    order.add({"part-0", {}, {}});
    order.add({"part-1", key(1), key(4)});
    order.add({"part-2", {}, {}});
    order.add({"part-3", key(4), key(9)});
    EXPECT_TRUE(order.problem().empty());
    EXPECT_EQ(order.whole().part, "part-1");
    EXPECT_EQ(order.whole().first_key, key(1));
    EXPECT_EQ(order.whole().last_key, key(9));
    order.add({"part-4", key(8), key(9)});
    order.add({"part-5", key(7), key(9)});
    EXPECT_EQ(order.problem().code, Errc::integrity);
    EXPECT_EQ(order.problem().text.rfind("part 'part-4' begins with a smaller key", 0), 0u) << order.problem().text;
}

/// What rank 0 makes of two ranks' accounts, each with a record read and written and a key of its own.
struct TwoAccounts : ::testing::Test {
    TwoAccounts() {
        for (int rank = 0; rank < 2; ++rank) {
            RankAccount& mine = accounts[static_cast<std::size_t>(rank)];
            mine.read = mine.written = {1, 5};
            mine.keys = {"part-" + std::to_string(rank), key(rank), key(rank)};
            mine.report = "report " + std::to_string(rank);
            mine.output.parts.resize(1);
            mine.output.parts.front().partition = static_cast<std::uint32_t>(rank);
        }
    }
    SortAccount gathered() {
        ThreadExecutor executor;
        InProcessCluster cluster(executor, 2);
        SortAccount found;
        std::vector<std::unique_ptr<Task>> tasks;
        for (std::uint32_t rank = 0; rank < 2; ++rank) {
            tasks.push_back(executor.spawn("rank", [&, rank] {
                JobContext job = here.job_on(cluster, rank);
                SortAccount mine = gather_account(job, accounts[rank], input);
                EXPECT_EQ(mine.problems.empty(), rank != 0);
                if (rank == 0) found = std::move(mine);
            }));
        }
        for (auto& task : tasks) task->join();
        return found;
    }
    /// The one problem that rank 0 adds to what ranks say.
    std::string problem() {
        const SortAccount found = gathered();
        EXPECT_EQ(found.problems.size(), 2u);
        return found.problems.empty() || found.problems[0].empty() ? "" : found.problems[0].front().text;
    }
    testing::OneRankJob here;
    InputSet input;
    RankAccount accounts[2];
};

TEST_F(TwoAccounts, AddUpAndStayApartByRank) {
    accounts[1].problems = {{Errc::config, "a name is taken"}};
    const SortAccount found = gathered();
    EXPECT_EQ(found.read, (RecordSum{2, 10}));
    EXPECT_EQ(found.written, (RecordSum{2, 10}));
    EXPECT_EQ(found.reports, (std::vector<std::string>{"report 0", "report 1"}));
    ASSERT_EQ(found.output.size(), 2u);
    EXPECT_EQ(found.output[1].parts.front().partition, 1u);
    EXPECT_TRUE(found.problems[0].empty());
    ASSERT_EQ(found.problems[1].size(), 1u);
    EXPECT_EQ(found.problems[1].front().text, "a name is taken");
}

TEST_F(TwoAccounts, AreNotOfOneSortWhereRecordsOrTheirOrderAreLost) {
    EXPECT_EQ(problem(), "");
    accounts[1].keys.first_key = key(0);
    EXPECT_EQ(problem(), "") << "equal keys may be divided";
    accounts[0].keys.last_key = key(1);
    EXPECT_EQ(problem().rfind("part 'part-1' begins with a smaller key", 0), 0u) << problem();
    accounts[0].keys.last_key = key(0);
    accounts[1].written.sum = 4;
    EXPECT_EQ(problem().rfind("what phase one read is", 0), 0u) << problem();
}

}  // namespace
}  // namespace sluice
