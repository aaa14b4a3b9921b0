// `sluice validate` over ranks of one host: every rank reads, whatever the number of parts, and the verdict is one.
#include <gtest/gtest.h>

#include <array>

#include "jobs/simulated_cluster.hpp"

namespace sluice::testing {
namespace {

ClusterOutcome sorted_and_validated(std::uint32_t ranks, std::uint32_t partitions, std::size_t records) {
    ClusterShape shape;
    shape.seed = ranks * 100 + partitions;
    shape.ranks = shape.ranks_per_host = ranks;
    shape.partitions = partitions;
    shape.records = records;
    shape.validate = true;
    return SimulatedCluster(shape).run();
}

TEST(Validate, FewPartsAreDividedSoThatEveryRankReads) {
    const ClusterOutcome outcome = sorted_and_validated(4, 1, 4000);
    ASSERT_TRUE(outcome.good());
    std::uint64_t bytes = 0;
    for (const ValidateResult& rank : outcome.validations) {
        EXPECT_GT(rank.checked_bytes, 4000u * 128 / 8);
        EXPECT_EQ(rank.summary.sum.count, 4000u);
        bytes += rank.checked_bytes;
    }
    EXPECT_EQ(bytes, 4000u * 128);
}

TEST(Validate, EmptyPartsAreNeutralAndCounted) {
    const ClusterOutcome outcome = sorted_and_validated(3, 17, 5);
    ASSERT_TRUE(outcome.good());
    for (const ValidateResult& rank : outcome.validations) {
        EXPECT_EQ(rank.parts, 17u);
        EXPECT_GE(rank.empty_parts, 12u);
        EXPECT_EQ(rank.summary.sum.count, 5u);
        EXPECT_EQ(rank.summary.unordered, 0u);
    }
}

TEST(Validate, AllRanksCountTheSameDuplicatesAndSums) {
    for (const std::uint32_t ranks : {1u, 2u, 5u}) {
        const ClusterOutcome outcome = sorted_and_validated(ranks, 7, 3000);
        ASSERT_TRUE(outcome.good()) << ranks;
        for (const ValidateResult& rank : outcome.validations) {
            EXPECT_EQ(rank.summary.sum.sum, outcome.validations.front().summary.sum.sum);
            EXPECT_TRUE(rank.sum_is_known);
            EXPECT_EQ(rank.expected_from, "the input's manifest");
        }
    }
}

TEST(Validate, OrderOfEqualKeysIsJudgedByWholeRecordsAlsoAcrossBorders) {
    for (const RecordFormat format : {RecordFormat{64, 3, 10}, kGensortFormat}) {
        const std::size_t bytes = format.record_bytes;
        std::vector<std::byte> records(bytes * 6, std::byte{7});  // payloads 0 1 3 2 | 4 5; keys 7 7 7 7 8 8
        for (std::size_t i = 0; i < 6; ++i) {
            records[i * bytes + format.key_offset] = std::byte(i < 4 ? 7 : 8);
            records[i * bytes + bytes - 1] = std::byte(std::array{0, 1, 3, 2, 4, 5}[i]);
        }
        for (const Ties ties : {Ties::whole_records, Ties::any_order}) {
            for (std::size_t cut = 0; cut <= 6; ++cut) {
                SortSummary total;
                for (const auto& [begin, end] : {std::pair<std::size_t, std::size_t>{0, cut}, {cut, 6}}) {
                    RecordChecker part(format, KeyOrder::bytes, ties);
                    for (std::size_t i = begin; i < end; ++i) part.feed(std::span(records).subspan(i * bytes, bytes));
                    SortSummary summary = part.summary();
                    keep_borders(summary, format);
                    combine(total, summary, border_format(format), KeyOrder::bytes, ties);
                }
                EXPECT_EQ(static_cast<std::uint64_t>(total.unordered), 0u);
                EXPECT_EQ(static_cast<std::uint64_t>(total.duplicate_keys), 4u);
                EXPECT_EQ(static_cast<std::uint64_t>(total.unordered_ties), ties == Ties::whole_records ? 1u : 0u)
                    << "cut at " << cut;
            }
        }
    }
}

TEST(Validate, EqualKeysOnBothSidesOfABorderAreDuplicates) {
    constexpr RecordFormat kFormat{64, 0, 10};
    std::vector<std::byte> records(64 * 6, std::byte{7});  // keys 7 7 7 7 8 8
    for (std::size_t at = 64 * 4; at < records.size(); ++at) records[at] = std::byte{8};
    for (std::size_t cut = 0; cut <= 6; ++cut) {
        SortSummary total;
        for (const auto& [begin, end] : {std::pair<std::size_t, std::size_t>{0, cut}, {cut, cut}, {cut, 6}}) {
            RecordChecker part(kFormat);
            part.feed(std::span(records).subspan(begin * 64, (end - begin) * 64));
            combine(total, part.summary(), kFormat);
        }
        EXPECT_EQ(static_cast<std::uint64_t>(total.duplicate_keys), 4u) << "cut at " << cut;
        EXPECT_EQ(static_cast<std::uint64_t>(total.unordered), 0u);
    }
}

}  // namespace
}  // namespace sluice::testing
