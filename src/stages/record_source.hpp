#pragma once
/// A shuffle's stand-in for the readers: records from memory, made before the clock starts.

#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "record/generator.hpp"
#include "record/partitioner.hpp"
#include "record/record_sum.hpp"
#include "runtime/rng.hpp"
#include "runtime/work_queue.hpp"
#include "stages/node_distributor.hpp"

namespace sluice {

/// Record numbers of one rank: far enough apart that no two ranks make the same record.
inline constexpr std::uint64_t kRecordNumbersPerRank = std::uint64_t{1} << 40;

/// Smallest and largest key prefix (first eight bytes of the key) of the partitions of `rank`; nullopt when it has
/// none.
std::optional<std::pair<std::uint64_t, std::uint64_t>> prefix_range_of(const Partitioner& partitioner,
                                                                       const Ownership& ownership, std::uint32_t rank);

/// Makes records with uniform keys, or with keys uniform within given ranges. 100-byte records are gensort's but for
/// the redrawn key prefix, others are random bytes. One thread.
class RecordMaker {
public:
    /// @param first_record  number of the first record: ranks with disjoint numbers make different records.
    RecordMaker(RecordFormat format, std::uint64_t first_record);
    /// Fills `out`, whole records. Record i gets a prefix from ranges[i % n]; with no ranges the keys stay as made.
    /// With ranges the key must have at least eight bytes.
    void fill(std::span<std::byte> out, std::span<const std::pair<std::uint64_t, std::uint64_t>> ranges);

private:
    RecordFormat format_;
    RecordGenerator generator_;
    Rng rng_;
    std::size_t next_range_ = 0;
};

/// One worker per instance. Output: buffers of whole records, the same ones again and again: their contents are made
/// once, by prepare(), so that what is timed is the shuffle and not the generator. Whoever gets the buffers must not
/// write to them.
class RecordSource {
public:
    struct Options {
        std::uint64_t first_record = 0;
        std::uint64_t records = 0;                     ///< hands out as many,
        std::uint64_t duration_ns = 0;                 ///< or, if this is not 0, until so much time has passed
        std::vector<std::uint32_t> destinations = {};  ///< ranks the keys are drawn for in turn; empty: all keys
        bool idle = false;                             ///< hands out nothing
        bool sum = true;                               ///< keep checksums, not only counts
    };
    /// `pool` and `output` outlive this; partitioner and ownership are only read here.
    /// @param pool  all of its buffers are this source's until its end
    RecordSource(RecordFormat format, const Partitioner& partitioner, const Ownership& ownership, Options options,
                 BufferPool& pool, WorkQueue<Buffer>& output);
    /// Fills every buffer of the pool; all must be there. Before the phase starts. Cost: pool bytes / (0.3 GB/s).
    void prepare();
    void run();
    /// By owner of the records handed out, found by comparing keys with the ranks' borders and summed by the plain CRC,
    /// neither of which the distributors use. Exact after run().
    const std::vector<RecordSum>& made() const noexcept { return made_; }

private:
    std::vector<RecordSum> sums_of(std::span<const std::byte> records) const;
    std::uint32_t owner_of(const std::byte* record) const;

    Executor& executor_;
    RecordFormat format_;
    std::uint32_t ranks_;
    Options options_;
    BufferPool& pool_;
    WorkQueue<Buffer>& output_;
    std::vector<std::pair<std::uint64_t, std::uint64_t>> ranges_;   // of the destinations
    std::vector<std::pair<std::uint64_t, std::uint32_t>> borders_;  // first prefix -> rank, ascending
    const std::byte* first_buffer_ = nullptr;                       // buffers are adjacent
    std::vector<std::vector<RecordSum>> sums_;                      // by buffer, by owner
    std::vector<RecordSum> made_;
};

}  // namespace sluice
