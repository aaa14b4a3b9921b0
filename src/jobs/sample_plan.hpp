#pragma once
/// How much of the input phase zero reads, and how much of that goes to rank 0 (docs/any-data.md).

#include <cstdint>
#include <vector>

#include "plan/plan.hpp"

namespace sluice {

/// From what it needs to know of the job; every rank makes the same plan.
struct SampleTask {
    const Config& config;
    const SortPlan& plan;
    const std::vector<std::uint64_t>& input_bytes;   ///< by rank
    const std::vector<std::uint64_t>& memory_bytes;  ///< by rank: what its arena holds
    /// Of all records, what goes to the rank or output disk that gets least: its target is to be met within 5 %.
    double smallest_share = 1;
};

struct SamplePlan {
    std::uint64_t samples_wanted = 0;   ///< records that the balance promised takes, over all ranks
    std::uint64_t stratum_bytes = 0;    ///< one read from each; 0: everything is read
    std::uint32_t span_blocks = 1;      ///< of a read
    std::uint64_t span_read_bytes = 0;  ///< of a read, at most
    std::vector<std::uint64_t> strata;  ///< by rank: its reads; zeros where everything is read
    /// By rank: records that ranks before it read at most; one entry more than there are ranks.
    std::vector<std::uint64_t> records_before;
    std::uint64_t gather_records = 0;  ///< rank 0 takes so many
    std::uint64_t round_records = 1;   ///< that all ranks together send at once

    std::uint64_t most_records(std::size_t rank) const { return records_before[rank + 1] - records_before[rank]; }
    std::uint64_t all_strata() const;
    /// Of its `sampled` records, what a rank sends to rank 0: all, or where they are too many for its memory, the same
    /// part on every rank. Over all ranks no more than gather_records.
    std::uint64_t sent(std::size_t rank, std::uint64_t sampled) const {
        return place(records_before[rank] + sampled) - first_place(rank);
    }
    /// Every rank's records have their places in one row, of which a round takes round_records.
    std::uint64_t first_place(std::size_t rank) const { return place(records_before[rank]); }
    std::uint64_t rounds() const;

private:
    std::uint64_t place(std::uint64_t record) const;
};

/// What balance needs, whatever that is of the bytes, up to 1 % of them (or 4 MiB): 200 records and, for data that is
/// in order, a few places a partition; 6,400 records for each of the targets. More, for data whose neighbours are
/// alike, as far as 0.098 % of the bytes (or of 1 GB) and a minute of random reads go. Never more than three eighths of
/// a rank's memory hold.
SamplePlan plan_sample(const SampleTask& task);

/// The smallest share of a rank or output disk.
/// @param shares  by partition: which part of the records it is to get.
double smallest_share(const Ownership& ownership, const std::vector<RankResources>& ranks,
                      const std::vector<double>& shares);

/// Bytes of memory for up to `records` sampled records: as read, sorted, and the tags between.
std::uint64_t sample_memory_bytes(std::uint64_t records, const RecordFormat& format);
/// Of a rank's memory, what its reads under way may take.
std::uint64_t sample_read_room(std::uint64_t memory_bytes, std::uint64_t readers, std::uint64_t span_read_bytes);

}  // namespace sluice
