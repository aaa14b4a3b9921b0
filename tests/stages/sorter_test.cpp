#include "stages/sorter.hpp"

#include <gtest/gtest.h>

#include "sort/sort_partition.hpp"
#include "stages/stage_fixture.hpp"

namespace sluice::testing {
namespace {

constexpr std::size_t kRecords = 700, kWrite = 4096 * 8;

/// Partition 2 of this rank, which counts from partition 4 of all.
class Sorted {
public:
    Sorted(std::span<const std::byte> records, const PrefixRanges& ranges, bool verify = true)
        : parts(std::vector<SortSummary>(3)) {
        OwnPool slots(executor_, "slots", round_up_to_block(records.size()), 1), writes(executor_, "write", kWrite, 8);
        WorkQueue<LoadedPartition> input(executor_, 1, 1);
        WorkQueue<SortedPiece> output(executor_, 8, 1);
        AlignedMemory scratch(round_up_to_block(sort_scratch_bytes(kRecords, kBlockFormat)));
        const Sorter::Ports ports{input, writes.pool,
                                  [&](std::uint32_t part) -> WorkQueue<SortedPiece>& {
                                      asked_for = part;
                                      return output;
                                  },
                                  [&] { output.producer_done(); }};
        Sorter sorter(ports, kBlockFormat, {ranges, 4}, scratch.all(), verify, parts);
        input.push({2, filled(slots.pool, records)});
        input.producer_done();
        sorter.run();
        while (auto piece = output.pop()) {
            EXPECT_EQ(piece->offset, bytes.size());
            EXPECT_EQ(piece->part_bytes, records.size());
            EXPECT_EQ(piece->partition, 2u);
            bytes.insert(bytes.end(), piece->buffer.data().begin(), piece->buffer.data().end());
        }
    }
    static std::size_t round_up_to_block(std::size_t bytes) { return (bytes + 4095) / 4096 * 4096 + 4096; }

    std::vector<SortSummary> parts;
    std::vector<std::byte> bytes;
    std::uint32_t asked_for = 0;

private:
    ThreadExecutor executor_;
};

/// All partitions may hold any key, or, as no partitioner would have it, none but the smallest.
struct AnyKeys : PrefixRanges {
    std::pair<std::uint64_t, std::uint64_t> prefix_range(std::uint32_t partition) const override {
        EXPECT_EQ(partition, 6u);
        return {0, most};
    }
    std::uint64_t most = ~std::uint64_t{0};
};

TEST(Sorter, PiecesOfAPartitionAreItsRecordsInOrder) {
    const auto records = random_records(kRecords, 11);
    for (const bool verify : {true, false}) {
        const Sorted sorted(records, AnyKeys{}, verify);
        const auto expected = sorted_texts(records);
        ASSERT_EQ(sorted.bytes.size(), records.size());
        for (std::size_t i = 0; i < kRecords; ++i)
            ASSERT_EQ(std::string(reinterpret_cast<const char*>(&sorted.bytes[i * 128]), 128), expected[i]) << i;
        EXPECT_EQ(sorted.asked_for, 2u);
        EXPECT_EQ(sorted.parts[2].sum.count, kRecords);
        if (!verify) continue;
        EXPECT_EQ(sorted.parts[2].sum, sum_records(records, 128));
        EXPECT_EQ(std::string(reinterpret_cast<const char*>(sorted.parts[2].first_record.data()), 10),
                  expected.front().substr(0, 10));
        EXPECT_EQ(std::string(reinterpret_cast<const char*>(sorted.parts[2].last_record.data()), 10),
                  expected.back().substr(0, 10));
    }
}

TEST(Sorter, APartitionWithoutRecordsIsAPartAllTheSame) {
    const Sorted sorted({}, AnyKeys{});
    EXPECT_TRUE(sorted.bytes.empty());
    EXPECT_EQ(sorted.parts[2].sum.count, 0u);
    EXPECT_EQ(sorted.asked_for, 2u);
}

/// Tags that are made for other keys than come sort wrong, as a broken memory or sorter would.
TEST(Sorter, RecordsThatLeaveItOutOfOrderAreNeverWritten) {
    AnyKeys none;
    none.most = 1;
    const auto records = random_records(kRecords, 12);
    const Caught caught = error_of([&] { Sorted(records, none); });
    EXPECT_EQ(caught.code, 6);
    EXPECT_TRUE(caught.mentions("partition 6: records leave the sorter out of order")) << caught.text;
    EXPECT_EQ(error_of([&] { Sorted(records, none, false); }).code, 0) << "nobody looks: the test shows nothing else";
}

}  // namespace
}  // namespace sluice::testing
