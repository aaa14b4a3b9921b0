#include "report/straggler_report.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace sluice {
namespace {

using ::testing::HasSubstr;
constexpr std::uint64_t kSecond = 1'000'000'000, kMb = 1'000'000;

StageReport stage(StageKind kind, std::uint64_t first_ns, std::uint64_t last_ns) {
    StageReport report;
    report.stage = kind;
    report.workers = 1;
    report.first_done_ns = first_ns;
    report.last_done_ns = last_ns;
    return report;
}

/// Four hosts, a rank each, that all did the same: 100 MB read in 2 s of disk time, 25 MB to each other in 1 s.
std::vector<RankReport> equal_ranks() {
    std::vector<RankReport> ranks(4);
    for (std::size_t r = 0; r < ranks.size(); ++r) {
        ranks[r].host = "n" + std::to_string(r);
        for (auto* phase : {&ranks[r].one, &ranks[r].two}) {
            phase->phase = phase == &ranks[r].one ? "phase one" : "phase two";
            phase->stages = {stage(StageKind::reader, 3 * kSecond, 4 * kSecond),
                             stage(StageKind::writer, 4 * kSecond, 5 * kSecond)};
            phase->io.read_bytes = phase->io.written_bytes = 100 * kMb;
            phase->disks = {{"/mnt/d0", DiskUse::reads, 100 * kMb, 2 * kSecond},
                            {"/mnt/d1", DiskUse::writes, 100 * kMb, 4 * kSecond}};
        }
        for (std::size_t to = 0; to < ranks.size(); ++to)
            ranks[r].links.push_back(to == r ? LinkReport{} : LinkReport{25 * kMb, kSecond});
    }
    return ranks;
}

TEST(Stragglers, DiskAtHalfTheRateOfItsLikeIsNamedWithHostAndUse) {
    auto ranks = equal_ranks();
    ranks[2].one.disks[1].busy_ns = 8 * kSecond;  // writes: 12.5 MB/s among three of 25
    const auto disk = find_stragglers(ranks).disk;
    ASSERT_TRUE(disk);
    EXPECT_EQ(disk->name, "/mnt/d1 on n2 (writes of phase one)");
    EXPECT_NEAR(disk->mb_per_s, 12.5, 1e-9);
    EXPECT_NEAR(disk->of_median, 0.5, 1e-9);
    EXPECT_EQ(disk->among, 4u);
    EXPECT_THAT(stragglers_text(find_stragglers(ranks)),
                HasSubstr("slowest disk: /mnt/d1 on n2 (writes of phase one), 12 MB/s, 0.50 of the median of 4"));
}

TEST(Stragglers, SlowLinkIsTheHostAllOfWhoseMessagesTakeLong) {
    auto ranks = equal_ranks();
    for (std::size_t other = 0; other < ranks.size(); ++other) {
        if (other == 1) continue;
        ranks[1].links[other].busy_ns = ranks[other].links[1].busy_ns = 5 * kSecond;
    }
    const auto link = find_stragglers(ranks).link;
    ASSERT_TRUE(link);
    EXPECT_EQ(link->name, "of n1");
    EXPECT_NEAR(link->mb_per_s, 5, 1e-9);
    EXPECT_NEAR(link->of_median, 0.2, 1e-9);
}

TEST(Stragglers, HostThatIsDoneLastIsNamedWithThePhaseThatMadeItLate) {
    auto ranks = equal_ranks();
    ranks[3].two.stages[1].last_done_ns = 10 * kSecond;
    ranks[0].one.stages[1].last_done_ns = 6 * kSecond;  // late as well, but less
    const auto host = find_stragglers(ranks).host;
    ASSERT_TRUE(host);
    EXPECT_EQ(host->name, "n3");
    EXPECT_EQ(host->phase, "phase two");
    EXPECT_NEAR(host->last_done_s, 10, 1e-9);
    EXPECT_NEAR(host->mb_per_s, 20, 1e-9);
    EXPECT_NEAR(host->of_median, 0.5, 1e-9);
}

TEST(Stragglers, RanksOfOneHostShareADiskAndHaveNoLink) {
    auto ranks = equal_ranks();
    for (RankReport& rank : ranks) rank.host = "only";
    const Stragglers found = find_stragglers(ranks);
    EXPECT_FALSE(found.host || found.disk || found.link);
    EXPECT_EQ(stragglers_text(found), "");
    EXPECT_TRUE(nlohmann::json::parse(stragglers_json(found))["disk"].is_null());
}

TEST(Stragglers, LinksThatNobodyMeasuredAreNotJudged) {
    auto ranks = equal_ranks();
    for (RankReport& rank : ranks) rank.links.clear();
    EXPECT_FALSE(find_stragglers(ranks).link);
}

TEST(Stragglers, RanksCsvHasFirstAndLastDoneOfEachRankAndPhase) {
    auto ranks = equal_ranks();
    ranks[3].two.stages[1].last_done_ns = 10 * kSecond;
    const std::string csv = ranks_csv(ranks);
    EXPECT_EQ(std::count(csv.begin(), csv.end(), '\n'), 9);
    EXPECT_THAT(csv, HasSubstr("\n3,n3,phase two,3.000000,10.000000,"));
    EXPECT_THAT(csv, HasSubstr("\n0,n0,phase one,3.000000,5.000000,"));
}

TEST(Stragglers, ShuffleNamesTheLastHostAndTheSlowLinkAndNoDisk) {
    std::vector<ShuffleRankReport> ranks(4);
    for (std::size_t r = 0; r < ranks.size(); ++r) {
        ranks[r].host = "n" + std::to_string(r);
        ranks[r].phase.stages = {stage(StageKind::source, kSecond, kSecond),
                                 stage(StageKind::sink, 4 * kSecond, 4 * kSecond)};
        ranks[r].peers.resize(4);
        for (std::size_t peer = 0; peer < 4; ++peer) {
            if (peer == r) continue;
            ranks[r].peers[peer].sent_bytes = ranks[r].peers[peer].received_bytes = 20 * kMb;
            ranks[r].peers[peer].send_busy_ns = r == 2 || peer == 2 ? 4 * kSecond : kSecond;
        }
    }
    ranks[2].phase.stages[1].last_done_ns = 5 * kSecond;
    const Stragglers found = find_stragglers(ranks);
    EXPECT_EQ(stragglers_text(found),
              "slowest host: n2, 24 MB/s, 0.80 of the median of 4; done with the shuffle after 5.00 s\n"
              "slowest link: of n2, 5 MB/s, 0.25 of the median of 4\n");
    for (auto& rank : ranks) {
        for (PeerCounters& peer : rank.peers) peer.send_busy_ns = 0;
    }
    EXPECT_FALSE(find_stragglers(ranks).link) << "a transport that cannot tell";
}

}  // namespace
}  // namespace sluice
