#include "plan/balance.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

namespace sluice {
namespace {

std::vector<RankResources> ranks_of_a_host(std::size_t count, unsigned output_disks) {
    RankResources rank;
    rank.host = "here";
    rank.output_disks = output_disks;
    rank.shares_output_disks = count > 1;
    return std::vector<RankResources>(count, rank);
}

Ownership equal_counts(std::uint32_t ranks, std::uint32_t each) {
    Ownership ownership;
    for (std::uint32_t rank = 0; rank <= ranks; ++rank) ownership.first_partition.push_back(rank * each);
    return ownership;
}

/// What each disk of the host gets, of all, with disks counted as parts go round them.
std::vector<double> share_of_disks(const std::vector<double>& shares, const Ownership& ownership,
                                   const std::vector<RankResources>& ranks) {
    std::vector<double> sums(ranks.front().output_disks);
    const auto firsts = first_output_disks(ownership, ranks);
    for (std::uint32_t rank = 0; rank < ranks.size(); ++rank) {
        for (std::uint32_t p = 0; p < ownership.count(rank); ++p)
            sums[(firsts[rank] + p) % sums.size()] += shares[ownership.first(rank) + p];
    }
    return sums;
}

TEST(PartitionShares, MakeDisksEqualWhoseNumberDoesNotDivideThePartitions) {
    // Parts begun at the first disk by each rank: 0.6 to 1.2, and 0.86 to 1.14 of a disk's share.
    struct Case {
        std::uint32_t ranks, each;
        unsigned disks;
    };
    for (const Case& one :
         {Case{4, 5, 3}, Case{4, 7, 2}, Case{4, 4, 3}, Case{3, 11, 2}, Case{5, 7, 4}, Case{7, 6, 5}}) {
        const auto ranks = ranks_of_a_host(one.ranks, one.disks);
        const auto ownership = equal_counts(one.ranks, one.each);
        const auto shares = partition_shares(ownership, ranks);
        ASSERT_EQ(shares.size(), one.ranks * one.each);
        for (const double disk : share_of_disks(shares, ownership, ranks))
            EXPECT_NEAR(disk * one.disks, 1, 0.035) << one.ranks << " x " << one.each << " on " << one.disks;
        for (std::uint32_t rank = 0; rank < one.ranks; ++rank) {
            const auto begin = shares.begin() + ownership.first(rank);
            EXPECT_NEAR(std::accumulate(begin, begin + one.each, 0.0) * one.ranks, 1, 1e-9);
        }
        EXPECT_LE(*std::max_element(shares.begin(), shares.end()) * one.ranks * one.each, 1.12);
    }
}

TEST(PartitionShares, StayEqualWhereDisksTakeEquallyManyAndWhereTheyCannotBeMadeEqual) {
    const auto even = partition_shares(equal_counts(4, 6), ranks_of_a_host(4, 3));
    EXPECT_NEAR(*std::max_element(even.begin(), even.end()), 1.0 / 24, 1e-12);
    // Two partitions on three disks: nothing helps.
    const auto few = partition_shares(equal_counts(2, 1), ranks_of_a_host(2, 3));
    EXPECT_NEAR(few[0], 0.5, 1e-12);
}

/// Two hosts of different weights with two output disks each, neighbours or every other rank.
TEST(OutputDiskShares, AreThoseOfTheHostWhereverItsRanksStand) {
    for (const bool cyclic : {false, true}) {
        auto ranks = ranks_of_a_host(6, 2);
        Ownership ownership;
        ownership.first_partition.push_back(0);
        for (std::uint32_t rank = 0; rank < ranks.size(); ++rank) {
            const bool first = cyclic ? rank % 2 == 0 : rank < 3;
            ranks[rank].host = first ? "a" : "b";
            ranks[rank].weight = first ? 2 : 1;
            ownership.first_partition.push_back(ownership.first_partition.back() + (first ? 10 : 5));
        }
        const auto by_rank = rank_shares(ownership, ranks, true);
        const auto firsts = first_output_disks(ownership, ranks);
        const auto shares = partition_shares(ownership, ranks);
        for (const auto& [host, of_disk] : {std::pair("a", 1.0 / 3), std::pair("b", 1.0 / 6)}) {
            std::vector<RankShare> here;
            std::vector<double> comes(2);
            for (std::uint32_t rank = 0; rank < ranks.size(); ++rank) {
                if (ranks[rank].host != host) continue;
                here.push_back({by_rank[rank], ownership.count(rank)});
                for (std::uint32_t p = 0; p < ownership.count(rank); ++p)
                    comes[(firsts[rank] + p) % 2] += shares[ownership.first(rank) + p];
            }
            const auto needed = output_disk_shares(here, 2);
            for (std::size_t disk = 0; disk < 2; ++disk) {
                EXPECT_GE(needed[disk], comes[disk] - 1e-9) << cyclic << ", host " << host << ", disk " << disk;
                EXPECT_NEAR(needed[disk], of_disk, 0.015) << cyclic << ", host " << host << ", disk " << disk;
            }
        }
    }
}

TEST(OutputDiskShares, DiskWithOnePartMoreNeedsThatMuchMore) {
    const auto one = output_disk_shares({{1.0, 1}}, 2);
    EXPECT_NEAR(one[0], 1.0, 1e-12) << "all of it, not half";
    EXPECT_NEAR(one[1], 0.5, 1e-12);
    const auto two = output_disk_shares({{0.3, 3}, {0.3, 3}}, 2);  // the second rank goes on at the other disk
    EXPECT_NEAR(two[0], 0.3, 1e-12);
    EXPECT_NEAR(two[1], 0.3, 1e-12);
}

TEST(RankShares, AreWeightsWhereSplittersCanMakeThemSoElseNumbersOfPartitions) {
    auto ranks = ranks_of_a_host(2, 1);
    ranks[1].weight = 0.5;
    const Ownership seven_three{{0, 7, 10}};
    EXPECT_NEAR(rank_shares(seven_three, ranks, true)[0], 2.0 / 3, 1e-12);
    EXPECT_NEAR(rank_shares(seven_three, ranks, false)[0], 0.7, 1e-12) << "equal pieces of the key space";
    const Ownership nine_one{{0, 9, 10}};
    EXPECT_NEAR(rank_shares(nine_one, ranks, true)[0], 0.9, 1e-12) << "one partition of a third would be too large";
}

TEST(MeasureBalance, DiskThatGotNothingIsThereWithItsTarget) {
    const auto ranks = ranks_of_a_host(2, 3);
    SortPlan plan;
    plan.ownership = equal_counts(2, 1);
    plan.format.record_bytes = 100;
    const std::vector<OutputDisk> disks = {{0, "/a"}, {1, "/b"}, {2, "/c"}};
    std::vector<RankOutput> output(2, {disks, std::vector<PartFact>(1)});
    for (std::uint32_t rank = 0; rank < 2; ++rank) {
        PartFact& part = output[rank].parts.front();
        part.partition = part.disk = rank;
        part.set_sum({30, 0});
    }
    const Balance balance = measure_balance(plan, ranks, {0.5, 0.5}, output);
    ASSERT_EQ(balance.output_disks.size(), 3u);
    EXPECT_DOUBLE_EQ(balance.output_disks[0].target_bytes, 2000);
    EXPECT_EQ(balance.output_disks[0].bytes, 3000u);
    EXPECT_EQ(balance.output_disks[2].bytes, 0u);
    EXPECT_DOUBLE_EQ(balance.smallest_of(balance.output_disks), 0);
    EXPECT_NE(balance.text().find("NOT within"), std::string::npos);
}

}  // namespace
}  // namespace sluice
