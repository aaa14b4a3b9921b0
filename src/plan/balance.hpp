#pragma once
/// How evenly the records were dealt out: bytes by rank, disk and partition against their targets (ARCHITECTURE.md,
/// Data flow).

#include <cstdint>
#include <string>
#include <tuple>
#include <vector>

#include "plan/plan.hpp"
#include "record/record_sum.hpp"

namespace sluice {

/// The output disk, of those its rank writes to, that takes each rank's first part; the next parts go round. Ranks that
/// share the disks of a host go on where the rank before them ended.
std::vector<std::uint32_t> first_output_disks(const Ownership& ownership, const std::vector<RankResources>& ranks);

/// Which part of all records each partition is to get: ranks in proportion to their weights, as far as that keeps
/// partitions within 1.15 of the mean, else partitions equally; within that the output disks of a host equally, as far
/// as it keeps them within 1.12, where they do not take equally many.
std::vector<double> partition_shares(const Ownership& ownership, const std::vector<RankResources>& ranks);

/// Which part of all records each rank is to get, under the same rule.
/// @param sampled  splitters can make partitions unequal; else a rank gets its number of equal ones
std::vector<double> rank_shares(const Ownership& ownership, const std::vector<RankResources>& ranks, bool sampled);

/// A rank's part of all records, and how many partitions it comes in.
struct RankShare {
    double of_records = 0;
    std::uint32_t partitions = 0;
};
/// Which part of all records may come to each of `disks` output disks that these ranks share, in the order of their
/// numbers, wherever ranks of other hosts stand between them: as the parts go round the disks, and no less than an
/// equal part, which splitters make of it where they can.
std::vector<double> output_disk_shares(const std::vector<RankShare>& ranks, std::uint32_t disks);

/// Bytes that each rank, output disk and partition got, beside what each was to get. Made on rank 0.
struct Balance {
    struct Entry {
        std::string name;
        std::uint64_t bytes = 0;
        double target_bytes = 0;
        /// 1 where nothing was to come and nothing came.
        double of_target() const;
    };
    std::vector<Entry> ranks, output_disks;
    std::vector<std::uint64_t> partition_bytes;
    double mean_partition_bytes = 0;

    double largest_of(const std::vector<Entry>& entries) const;
    double smallest_of(const std::vector<Entry>& entries) const;
    double worst_partition_of_mean() const;
    std::string text() const;
    std::string to_json() const;
};

/// An output disk that a rank writes to.
struct OutputDisk {
    std::uint32_t number = 0;  ///< of the data set
    std::string path;
    static constexpr auto fields = std::tuple{&OutputDisk::number, &OutputDisk::path};
};

/// One part of the output. Small, since rank 0 holds those of all ranks.
struct PartFact {
    std::uint32_t partition = 0;   ///< of the sort
    std::uint32_t piece = kWhole;  ///< of a partition that was split, in key order
    std::uint32_t disk = 0;        ///< of the data set
    std::uint64_t records = 0, checksum_low = 0, checksum_high = 0;
    static constexpr std::uint32_t kWhole = ~std::uint32_t{0};

    RecordSum sum() const { return {records, make_uint128(checksum_high, checksum_low)}; }
    void set_sum(const RecordSum& sum) {
        records = sum.count;
        checksum_low = static_cast<std::uint64_t>(sum.sum);
        checksum_high = static_cast<std::uint64_t>(sum.sum >> 64);
    }
};

/// What one rank wrote, and where it could.
struct RankOutput {
    std::vector<OutputDisk> disks;  ///< also those that got nothing
    std::vector<PartFact> parts;    ///< in key order
    static constexpr auto fields = std::tuple{&RankOutput::disks, &RankOutput::parts};
};

/// @param shares  the targets, by partition
/// @param output  by rank
Balance measure_balance(const SortPlan& plan, const std::vector<RankResources>& ranks,
                        const std::vector<double>& shares, const std::vector<RankOutput>& output);

}  // namespace sluice
