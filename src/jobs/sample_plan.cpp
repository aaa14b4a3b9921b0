#include "jobs/sample_plan.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>
#include <string>

#include "record/uint128.hpp"
#include "runtime/error.hpp"
#include "runtime/units.hpp"
#include "sort/sort_partition.hpp"
#include "stages/sample_reader.hpp"

namespace sluice {
namespace {

constexpr double kLeastSamples = 200;        // a partition; its size is then right within 7 % (one sigma)
constexpr double kWantedSamples = 576;       // 4 %: a quarter beyond the mean is six sigma
constexpr double kSamplesForTargets = 6400;  // for each rank or disk but one: 5 % are then four sigma

// Reads of a partition, where the records of a read are neighbours in the order. Both borders of a partition lie
// within the middle half of their strata (plan_sample_spans): of n strata it gets n rounded up and half of one at most.
// From six on that is 1.25 of the mean. Runs of neighbours in random order make n reads right within 1/sqrt(n) (one
// sigma): with 64 the largest of 16 partitions stays below 1.25 of the mean.
constexpr double kLeastPlaces = 6, kWantedPlaces = 64;
// Fewer keep within 1.25 as well where they are a little less than a whole number, so that none gets one more.
constexpr double kFewPlaces = 20.0 / 7, kBelowWhole = 0.99;

// Of the bytes: under 0.1 %. A million bytes are read by any disk in a hundredth of a second.
constexpr double kWantedShare = 0.00098, kSmallInput = 1e9;
constexpr double kMostReads = 7200;  // of a reader, one after the other 58 s on a disk that turns; then each takes more
constexpr std::uint64_t kMostSpanBytes = kMiB, kSpanRoomDivisor = 32;  // of a rank's memory
constexpr double kMostShare = 0.01;
constexpr std::uint64_t kLeastCap = 4 * kMiB;  // a little input may be read twice

// Of a rank's memory: the reads under way; its own sample, and all samples on rank 0, three sevenths of the rest each.
constexpr std::uint64_t kReadRoomDivisor = 8, kRoomParts = 3, kRooms = 7;
constexpr std::uint64_t kMemorySlack = 8 * kDirectIoAlign;  // what is lost between the pieces, and between workers'
// Of one gathering, outside the budget: a sixteenth of rank 0's memory, but no more.
constexpr std::uint64_t kMostRoundBytes = 8 * kMiB, kRoundDivisor = 16;

/// How the input is read.
struct Reads {
    double count = 0;  ///< over all ranks
    std::uint32_t blocks = 1;
    double samples = 0;  ///< that are needed
};

/// As many as the config says, a block each.
Reads configured_reads(const SampleTask& task) {
    const double samples = static_cast<double>(task.config.keys.samples) * task.plan.ownership.partitions();
    return {samples / SpanSize(task.plan.format.record_bytes, 1).mean_records, 1, samples};
}

/// Over all ranks, so that none of them has a reader with more than kMostReads.
double most_reads(const SampleTask& task) {
    double most = std::numeric_limits<double>::infinity();
    for (std::size_t rank = 0; rank < task.input_bytes.size(); ++rank) {
        if (task.input_bytes[rank] == 0) continue;
        const double part = static_cast<double>(task.input_bytes[rank]) / static_cast<double>(task.plan.input_bytes);
        most = std::min(most, kMostReads * std::max(1u, task.plan.ranks[rank].one.readers) / part);
    }
    return most;
}

double cap_bytes(const SampleTask& task) {
    return std::max(kMostShare * static_cast<double>(task.plan.input_bytes), static_cast<double>(kLeastCap));
}

/// What balance needs, and more where that costs little.
Reads planned_reads(const SampleTask& task) {
    const std::uint32_t record_bytes = task.plan.format.record_bytes;
    const double partitions = task.plan.ownership.partitions(), total = static_cast<double>(task.plan.input_bytes);
    const double affordable_bytes = kWantedShare * std::max(total, kSmallInput);
    const SpanSize block(record_bytes, 1);
    Reads reads;
    reads.samples = std::max(kLeastSamples * partitions, kSamplesForTargets * (1 / task.smallest_share - 1));
    reads.count =
        std::max({kLeastPlaces * partitions, reads.samples / block.mean_records,
                  std::min(kWantedPlaces * partitions, affordable_bytes / static_cast<double>(block.read_bytes))});
    if (const double most = most_reads(task); reads.count > most) {
        const double places = most / partitions;
        reads.count =
            places >= kLeastPlaces ? most : partitions * std::max(kFewPlaces, kBelowWhole * std::floor(places));
    }
    const auto samples = [&] { return reads.count * SpanSize(record_bytes, reads.blocks).mean_records; };
    const std::uint64_t least_memory = *std::min_element(task.memory_bytes.begin(), task.memory_bytes.end());
    const std::uint64_t most_blocks = std::min(kMostSpanBytes, least_memory / kSpanRoomDivisor) / kDirectIoAlign;
    while (reads.blocks < most_blocks && samples() < std::max(reads.samples, kWantedSamples * partitions)) {
        const double bytes = reads.count * static_cast<double>(SpanSize(record_bytes, reads.blocks + 1).read_bytes);
        if (bytes > (samples() < reads.samples ? cap_bytes(task) : affordable_bytes)) break;
        ++reads.blocks;
    }
    // Whole blocks may bring more than is needed where that costs more than it should.
    const SpanSize span(record_bytes, reads.blocks);
    if (reads.count * static_cast<double>(span.read_bytes) > affordable_bytes)
        reads.count = std::min(reads.count, std::max(kLeastPlaces * partitions, reads.samples / span.mean_records));
    return reads;
}

std::uint64_t readers_of(const SampleTask& task, std::size_t rank) {
    return std::max(1u, task.plan.ranks[rank].one.readers);
}

/// Records for which a rank has memory, beside as many again of others where it is rank 0.
std::uint64_t records_in_memory(const SampleTask& task, std::size_t rank, std::uint64_t span_read_bytes) {
    const std::uint64_t memory = task.memory_bytes[rank];
    const std::uint64_t reads = std::min(memory, sample_read_room(memory, readers_of(task, rank), span_read_bytes));
    const std::uint64_t room = (memory - reads) / kRooms * kRoomParts;
    std::uint64_t low = 0, high = room / task.plan.format.record_bytes + 1;
    while (low + 1 < high) {
        const std::uint64_t middle = low + (high - low) / 2;
        (sample_memory_bytes(middle, task.plan.format) <= room ? low : high) = middle;
    }
    return low;
}

/// Each rank has memory for all that it reads.
bool can_read_everything(const SampleTask& task) {
    for (std::size_t rank = 0; rank < task.input_bytes.size(); ++rank) {
        const std::uint64_t records = task.input_bytes[rank] / task.plan.format.record_bytes;
        if (records > records_in_memory(task, rank, whole_span_read_bytes(task.plan.format.record_bytes))) return false;
    }
    return true;
}

/// Each rank's part of `reads`, no more than its memory has room for, and what follows from that.
void divide(SamplePlan& sample, const SampleTask& task, double reads, const SpanSize& span) {
    const auto total = static_cast<double>(task.plan.input_bytes);
    std::vector<std::uint64_t> most;
    for (std::size_t rank = 0; rank < task.input_bytes.size(); ++rank) {
        most.push_back(std::max<std::uint64_t>(1, records_in_memory(task, rank, span.read_bytes) / span.most_records));
        if (task.input_bytes[rank] == 0) continue;
        const double without_rest = static_cast<double>(std::max<std::uint64_t>(2, most[rank]) - 1);
        reads = std::min(reads, without_rest * total / static_cast<double>(task.input_bytes[rank]));
    }
    sample.stratum_bytes =
        std::max<std::uint64_t>(span.read_bytes, static_cast<std::uint64_t>(total / std::max(1.0, reads)));
    std::uint64_t before = 0;
    for (std::size_t rank = 0; rank < task.input_bytes.size(); ++rank) {
        const std::uint64_t end = before + task.input_bytes[rank];
        // Strata go on from rank to rank, so that the remainders of many ranks are no reads of their own.
        sample.strata[rank] = std::min(most[rank], end / sample.stratum_bytes - before / sample.stratum_bytes);
        before = end;
    }
}

}  // namespace

std::uint64_t sample_memory_bytes(std::uint64_t records, const RecordFormat& format) {
    return 2 * records * format.record_bytes + sort_scratch_bytes(records, format) + kMemorySlack;
}

std::uint64_t sample_read_room(std::uint64_t memory_bytes, std::uint64_t readers, std::uint64_t span_read_bytes) {
    return std::max(memory_bytes / kReadRoomDivisor, readers * span_read_bytes);
}

std::uint64_t SamplePlan::all_strata() const { return std::accumulate(strata.begin(), strata.end(), std::uint64_t{0}); }

std::uint64_t SamplePlan::place(std::uint64_t record) const {
    const std::uint64_t all = records_before.back();
    if (all <= gather_records) return record;
    return static_cast<std::uint64_t>(Uint128{record} * gather_records / all);
}

std::uint64_t SamplePlan::rounds() const {
    return std::max<std::uint64_t>(1, ceil_div(place(records_before.back()), round_records));
}

double smallest_share(const Ownership& ownership, const std::vector<RankResources>& ranks,
                      const std::vector<double>& shares) {
    double smallest = 1;
    std::map<std::string, double> of_host;  // whose ranks share its disks
    for (std::uint32_t rank = 0; rank < ranks.size(); ++rank) {
        const auto begin = shares.begin() + ownership.first(rank);
        const double share = std::accumulate(begin, begin + ownership.count(rank), 0.0);
        if (share == 0) continue;
        const double by_disk = share / std::max(1u, ranks[rank].output_disks);
        smallest = std::min(smallest, ranks[rank].shares_output_disks ? share : by_disk);
        if (ranks[rank].shares_output_disks) of_host[ranks[rank].host] += by_disk;
    }
    for (const auto& [host, by_disk] : of_host) smallest = std::min(smallest, by_disk);
    // Where there are more disks than partitions, no sample makes the parts smaller.
    return std::max(smallest, *std::min_element(shares.begin(), shares.end()));
}

SamplePlan plan_sample(const SampleTask& task) {
    const RecordFormat& format = task.plan.format;
    const std::size_t ranks = task.input_bytes.size();
    SLUICE_CHECK(ranks > 0 && task.memory_bytes.size() == ranks && task.plan.ranks.size() == ranks);
    const Reads reads = task.config.keys.samples != 0 ? configured_reads(task) : planned_reads(task);
    const SpanSize span(format.record_bytes, reads.blocks);
    const auto total = static_cast<double>(task.plan.input_bytes);
    const double bytes = std::min(reads.count * static_cast<double>(span.read_bytes), cap_bytes(task));

    SamplePlan sample;
    sample.samples_wanted = static_cast<std::uint64_t>(reads.samples);
    sample.span_blocks = reads.blocks;
    sample.span_read_bytes = span.read_bytes;
    sample.strata.resize(ranks);
    if (bytes >= total / 2 && can_read_everything(task)) {
        sample.span_read_bytes = whole_span_read_bytes(format.record_bytes);
    } else {
        divide(sample, task, bytes / static_cast<double>(span.read_bytes), span);
    }
    sample.records_before = {0};
    for (std::size_t rank = 0; rank < ranks; ++rank) {
        const std::uint64_t most = sample.stratum_bytes == 0 ? task.input_bytes[rank] / format.record_bytes
                                                             : sample.strata[rank] * span.most_records;
        sample.records_before.push_back(sample.records_before.back() + most);
    }
    sample.gather_records = std::max<std::uint64_t>(1, records_in_memory(task, 0, sample.span_read_bytes));
    const std::uint64_t round_bytes = std::min(kMostRoundBytes, task.memory_bytes[0] / kRoundDivisor);
    sample.round_records = std::max<std::uint64_t>(1, round_bytes / format.record_bytes);
    return sample;
}

}  // namespace sluice
