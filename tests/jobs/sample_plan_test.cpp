// How much phase zero reads: what balance needs, and a thousandth of the bytes wherever that is enough.
#include "jobs/sample_plan.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>

#include "stages/sample_reader.hpp"

namespace sluice {
namespace {

SortPlan plan_of(std::uint64_t input_bytes, std::uint64_t partition_bytes, std::size_t ranks = 1,
                 std::uint32_t record_bytes = 100) {
    SortPlan plan;
    plan.format.record_bytes = record_bytes;
    plan.input_bytes = input_bytes;
    plan.ownership.first_partition = {0, static_cast<std::uint32_t>(input_bytes / partition_bytes)};
    plan.mean_partition_bytes = partition_bytes;
    plan.ranks.resize(ranks);
    return plan;
}

/// Of ranks that have equal shares, on one reader each.
SamplePlan sample_of(const SortPlan& plan, std::uint64_t memory_bytes = kGiB, double smallest_share = 1) {
    const std::size_t ranks = plan.ranks.size();
    return plan_sample({.config = Config{},
                        .plan = plan,
                        .input_bytes = std::vector<std::uint64_t>(ranks, plan.input_bytes / ranks),
                        .memory_bytes = std::vector<std::uint64_t>(ranks, memory_bytes),
                        .smallest_share = smallest_share});
}

double read_bytes(const SamplePlan& sample) {
    return static_cast<double>(sample.all_strata() * sample.span_read_bytes);
}

TEST(SamplePlan, LargeInputIsSampledUnderAThousandthWithMoreThanTwoHundredRecordsAPartition) {
    const SamplePlan sample = sample_of(plan_of(10 * kGB, 64 * kMB));
    EXPECT_LT(read_bytes(sample), 0.001 * 10e9);
    EXPECT_EQ(sample.span_blocks, 1u);
    EXPECT_GT(sample.all_strata() * 40 / (10 * kGB / (64 * kMB)), 576u) << "40 records a block";
}

TEST(SamplePlan, PartitionsGetSixToSixtyFourPlacesEachWhileThatReadsLittle) {
    const auto places_of = [](std::uint64_t input, std::uint64_t partition_bytes) {
        return static_cast<double>(sample_of(plan_of(input, partition_bytes)).all_strata());
    };
    EXPECT_NEAR(places_of(1000 * kMB, 250 * kMB), 239, 2) << "a thousandth, 60 each";
    EXPECT_NEAR(places_of(20 * kGB, 5 * kGB), 4 * 64, 2) << "more would not help";
    EXPECT_NEAR(places_of(2 * kGB, 128 * kMB), 0.00098 * 2e9 / 4096, 2) << "31 each";
    EXPECT_NEAR(places_of(1 * kGB, 8 * kMB), 6 * 125, 2) << "less would break the promise for sorted data";
    EXPECT_NEAR(places_of(10 * kGB, 32 * kMB), 9'800'000 / 4096, 2) << "312 partitions would like more";
    EXPECT_NEAR(places_of(200 * kMB, 25 * kMB), 980'000 / 4096, 2) << "as of a gigabyte";
}

TEST(SamplePlan, RanksWithFewPartitionsGetEnoughForFivePercent) {
    const SamplePlan sample = sample_of(plan_of(1 * kGB, 60 * kMB, 8), 64 * kMiB, 1.0 / 8);
    EXPECT_EQ(sample.samples_wanted, 7u * 6400);
    EXPECT_NEAR(static_cast<double>(sample.all_strata() * 40), 7 * 6400, 80) << "and not more";
    EXPECT_LT(read_bytes(sample), 0.01 * 1e9);
}

TEST(SamplePlan, SmallestShareIsThatOfARankOrDisk) {
    std::vector<RankResources> ranks(4);
    const Ownership ownership{{0, 10, 20, 30, 40}};
    const std::vector<double> equal(40, 1.0 / 40);
    EXPECT_DOUBLE_EQ(smallest_share(ownership, ranks, equal), 0.25);
    ranks[2].output_disks = 2;
    EXPECT_DOUBLE_EQ(smallest_share(ownership, ranks, equal), 0.125);
    for (RankResources& rank : ranks) {  // one host, whose ranks write to the same two disks
        rank.output_disks = 2;
        rank.shares_output_disks = true;
    }
    EXPECT_DOUBLE_EQ(smallest_share(ownership, ranks, equal), 0.25) << "a rank gets less than a disk";
    std::vector<double> uneven(40, 0.9 / 30);
    std::fill(uneven.begin(), uneven.begin() + 10, 0.01);
    EXPECT_DOUBLE_EQ(smallest_share(ownership, ranks, uneven), 0.1);
    ranks.resize(1);
    EXPECT_DOUBLE_EQ(smallest_share({{0, 1}}, ranks, {1.0}), 1) << "one part for two disks";
}

TEST(SamplePlan, AReaderHasAMinuteOfReadsWhereThatKeepsPartitionsInBalance) {
    // 1 TB on one reader, in partitions of 1 GB: 7.2 places each, of more blocks instead.
    const SamplePlan enough = sample_of(plan_of(1000 * kGB, kGB), 64 * kGiB);
    EXPECT_NEAR(static_cast<double>(enough.all_strata()), 7200, 10);
    EXPECT_GE(static_cast<double>(enough.all_strata()) * SpanSize(100, enough.span_blocks).mean_records, 576e3);
    EXPECT_LT(read_bytes(enough), 0.001 * 1e12);
    // In partitions of 64 MB: as few as keep sorted data within 1.25 of the mean.
    const SamplePlan least = sample_of(plan_of(1000 * kGB, 64 * kMB), 64 * kGiB);
    EXPECT_NEAR(static_cast<double>(least.all_strata()), 15'625 * 20.0 / 7, 20);
    for (const std::uint64_t partition_mb : {350u, 450u, 500u, 600u, 650u, 750u}) {
        const double places =
            static_cast<double>(sample_of(plan_of(1000 * kGB, partition_mb * kMB), 64 * kGiB).all_strata()) /
            static_cast<double>(1000 * kGB / (partition_mb * kMB));
        EXPECT_LE((std::ceil(places) + 0.5) / places, 1.25) << partition_mb;
    }
}

TEST(SamplePlan, NeverTakesMoreMemoryThanTheRankHas) {
    for (const std::uint32_t record_bytes : {10u, 100u, 1000u, 2000u, 2049u, 64u << 10, 1u << 20}) {
        for (const std::uint64_t memory : {std::uint64_t{4} << 20, std::uint64_t{16} << 20, std::uint64_t{3} << 30}) {
            if (record_bytes * 8 > memory) continue;
            for (const std::size_t ranks : {1u, 2u, 1000u}) {
                const SortPlan plan = plan_of(std::uint64_t{1} << 44, 64 << 20, ranks, record_bytes);
                const SamplePlan sample = sample_of(plan, memory, 1.0 / static_cast<double>(ranks));
                const std::uint64_t reads = sample_read_room(memory, 1, sample.span_read_bytes);
                EXPECT_LE(sample_memory_bytes(sample.most_records(ranks - 1), plan.format) +
                              sample_memory_bytes(sample.gather_records, plan.format) + reads,
                          memory)
                    << record_bytes << " B, " << memory << ", " << ranks << " ranks";
                std::uint64_t sent = 0;
                for (std::size_t rank = 0; rank < ranks; ++rank) {
                    EXPECT_EQ(sample.first_place(rank), sent);
                    sent += sample.sent(rank, sample.most_records(rank));
                }
                EXPECT_LE(sent, sample.gather_records);
                EXPECT_GE(sample.rounds() * sample.round_records, sent);
                EXPECT_LE(sample.round_records * record_bytes, std::max<std::uint64_t>(8 << 20, record_bytes));
            }
        }
    }
}

TEST(SamplePlan, AllRanksSendTheSamePartOfTheirsWhereRankZeroCannotHoldAll) {
    SamplePlan sample;
    sample.records_before = {0, 1000, 1000, 1003, 4003};
    sample.gather_records = 400;
    EXPECT_NEAR(static_cast<double>(sample.sent(0, 500)), 50, 1);
    EXPECT_EQ(sample.sent(1, 0), 0u);
    EXPECT_LE(sample.sent(2, 3), 1u);
    EXPECT_NEAR(static_cast<double>(sample.sent(3, 1500)), 150, 1);
    EXPECT_EQ(sample.sent(0, 1000) + sample.sent(2, 3) + sample.sent(3, 3000), 400u);
}

/// Machines as a cluster of so many ranks may have them: a host each, eight disks in a rack of 52.
std::vector<RankResources> machines(std::size_t ranks, std::uint64_t input_bytes) {
    std::vector<RankResources> all(ranks);
    for (std::size_t rank = 0; rank < ranks; ++rank) {
        all[rank].host = "host" + std::to_string(rank);
        all[rank].budget_bytes = 64 * kGiB;
        all[rank].cores = 16;
        if (ranks == 52) all[rank].input_disks = all[rank].intermediate_disks = all[rank].output_disks = 8;
        all[rank].input_bytes = input_bytes / ranks;
    }
    return all;
}

struct Sampled {
    double share = 0;   ///< of the input that is read
    double needed = 0;  ///< that balance takes, counted here
    double reads_a_disk = 0;
    bool has_reader_a_disk = false;
};

Sampled sample_of(std::uint64_t input_bytes, std::size_t ranks, std::uint32_t record_bytes) {
    const RecordFormat format{record_bytes, 0, std::min(10u, record_bytes)};
    input_bytes = round_down(input_bytes, ranks * record_bytes);
    const auto resources = machines(ranks, input_bytes);
    const SortPlan plan = plan_sort(Config{}, format, resources);
    const std::vector<double> shares(plan.ownership.partitions(), 1.0 / plan.ownership.partitions());
    std::vector<std::uint64_t> inputs, memory;
    for (std::size_t rank = 0; rank < ranks; ++rank) {
        inputs.push_back(resources[rank].input_bytes);
        memory.push_back(plan.ranks[rank].mapped_bytes());
    }
    const SamplePlan sample = plan_sample({.config = Config{},
                                           .plan = plan,
                                           .input_bytes = inputs,
                                           .memory_bytes = memory,
                                           .smallest_share = smallest_share(plan.ownership, resources, shares)});
    const auto total = static_cast<double>(input_bytes);
    const double partitions = plan.ownership.partitions();
    const double targets = std::min(partitions, static_cast<double>(ranks * resources[0].output_disks));
    const double records = std::max(200 * partitions, 6400 * (targets - 1));
    const double in_block =
        record_bytes > 2048 ? 1 : std::max(1.0, (4096 - record_bytes) / static_cast<double>(record_bytes));
    const double block = record_bytes > 2048 ? static_cast<double>(round_up(record_bytes, 4096) + 4096) : 4096;
    return {sample.stratum_bytes == 0 ? 1 : read_bytes(sample) / total,
            std::max(records / in_block, 6 * partitions) * block / total,
            static_cast<double>(sample.all_strata()) / static_cast<double>(ranks * plan.ranks[0].one.readers),
            plan.ranks[0].one.readers >= resources[0].input_disks};
}

TEST(SampleTable, ReadsAThousandthWhereThatIsEnoughAndElseWhatBalanceNeeds) {
    const std::vector<std::pair<const char*, std::uint64_t>> inputs = {{"1 GB", kGB},        {"4 GB", 4 * kGB},
                                                                       {"10 GB", 10 * kGB},  {"100 GB", 100 * kGB},
                                                                       {"1 TB", 1000 * kGB}, {"100 TB", 100'000 * kGB}};
    std::printf("%% of the input read (in brackets where balance needs so much)\n");
    for (const std::uint32_t record_bytes : {10u, 100u, 1000u, 65'536u}) {
        for (const auto& [name, input_bytes] : inputs) {
            std::printf("%6u B, %6s:", record_bytes, name);
            for (const std::size_t ranks : {1u, 2u, 8u, 52u, 416u, 1000u}) {
                const Sampled sampled = sample_of(input_bytes, ranks, record_bytes);
                const bool enough = sampled.needed <= 0.00098;
                std::printf(enough ? "  %7.4f " : " (%7.4f)", 100 * sampled.share);
                EXPECT_LE(sampled.share, enough ? 0.001 : std::min(1.02 * sampled.needed, 0.0101))
                    << record_bytes << " B, " << name << ", " << ranks << " ranks";
                // Where whole gigabytes are there for each rank and records are short, the input does allow it.
                if (record_bytes <= 100 && input_bytes / ranks >= 10 * kGB && ranks != 52) {
                    EXPECT_TRUE(enough) << record_bytes << " B, " << name << ", " << ranks << " ranks";
                }
            }
            std::printf("\n");
        }
    }
}

TEST(SampleTable, AHundredTerabytesOnDisksThatTurnTakeUnderAMinuteOfReads) {
    constexpr double kReadSeconds = 0.008;
    for (const std::uint32_t record_bytes : {10u, 100u, 1000u, 65'536u}) {
        const Sampled sampled = sample_of(100'000 * kGB, 52, record_bytes);
        std::printf("%6u B: %.0f reads a disk, %.1f s, %.4f %% of the input\n", record_bytes, sampled.reads_a_disk,
                    kReadSeconds * sampled.reads_a_disk, 100 * sampled.share);
        // 1,000-byte records come in chunks of 500 kB, which leave memory for one reader of all eight disks.
        EXPECT_EQ(sampled.has_reader_a_disk, record_bytes != 1000);
        if (sampled.has_reader_a_disk) {
            EXPECT_LT(kReadSeconds * sampled.reads_a_disk, 60) << record_bytes << " B";
        }
        if (record_bytes <= 100) {
            EXPECT_LT(sampled.share, 0.001);
        }
    }
}

}  // namespace
}  // namespace sluice
