#pragma once
/// Where the records of one attempt are between the phases: in logs on the intermediate disks, or in memory. The phases
/// know this interface only (ARCHITECTURE.md, Intermediate store).

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "plan/job_context.hpp"
#include "plan/plan.hpp"
#include "record/partitioner.hpp"
#include "runtime/work_queue.hpp"
#include "stages/coalescer.hpp"
#include "stages/partition_reader.hpp"
#include "stages/stage_report.hpp"

namespace sluice {

/// The last stage of phase one: empties the chains into the store. Owned by the phase, beside a Pipeline that is
/// destroyed first.
class ChainSink {
public:
    virtual ~ChainSink() = default;
    virtual void add_workers(Pipeline& pipeline) = 0;
    /// What its disks did; once the pipeline has ended.
    virtual void add_disks(PhaseReport& report) const = 0;
};

/// The first stage of phase two: partitions come out of loaded() in key order. Owned as a ChainSink is.
class PartitionSource {
public:
    virtual ~PartitionSource() = default;
    virtual WorkQueue<LoadedPartition>& loaded() = 0;
    /// Adds its workers, and lets a failure anywhere wake whoever waits here.
    virtual void add_workers(Pipeline& pipeline) = 0;
    // Once the pipeline has ended.
    virtual void add_disks(PhaseReport& report) const = 0;
    virtual std::uint64_t first_read_ns() const = 0;  ///< by the executor's clock; 0: nothing was read
};

/// One output part of a rank: a whole partition, or a piece of one that did not fit in memory.
struct PartLabel {
    std::uint32_t partition = 0;  ///< local number
    std::uint32_t piece = 0;
    bool split = false;
};

/// What phase two works on, in key order. `ranges` is empty where parts are the partitions as they were.
struct PartList {
    std::vector<PartLabel> labels;
    std::unique_ptr<PrefixRanges> ranges;  ///< by global number of the rank's first partition + part
    std::uint64_t split_partitions = 0, passes = 0;
    std::uint64_t first_read_ns = 0;  ///< by the executor's clock, when the first pass began to read; 0: none did
    PhaseReport report;               ///< of all passes: their reads and writes are beyond two-pass
};

/// That a rank has more than it can sort, and by how much of its plan.
struct Excess {
    double of_plan = 0;  ///< 0: it has not
    std::string text;    ///< which rank got how much
    static constexpr auto fields = std::tuple{&Excess::of_plan, &Excess::text};
};

/// One rank's. Made for one attempt at phase one, filled by it, emptied by phase two. Used by the main thread but where
/// it says otherwise; what it makes must end before it.
class IntermediateStore {
public:
    virtual ~IntermediateStore() = default;

    // Phase one.
    /// Chunks that may stay here when phase one has ended; nullptr: phase one has its own.
    virtual BufferPool* chunks() noexcept = 0;
    /// A worker waits for a chunk. Any thread.
    virtual void on_pressure() = 0;
    virtual std::unique_ptr<ChainSink> make_sink(Coalescer& chains, const PhaseOnePlan& plan) = 0;
    /// Phase one is over on this rank.
    virtual void seal() = 0;

    // Between the phases.
    virtual std::uint32_t parts() const = 0;
    virtual std::uint64_t total_bytes() const = 0;    ///< of records
    virtual std::uint64_t largest_bytes() const = 0;  ///< that phase two must hold at once, padding included
    virtual std::uint64_t padding_bytes() const = 0;
    virtual std::uint64_t extents() const = 0;
    /// Whether this rank holds all that came and can sort it from here, once phase one is over. Local.
    virtual Excess excess() const = 0;
    /// What phase two can do with the parts as they are; nothing: the largest does not fit in memory.
    virtual std::optional<PhaseTwoPlan> plan_phase_two() const = 0;
    /// Splits what does not fit, by further passes over those partitions alone, and holds the pieces in their place.
    /// @param ranges  of the partitions. Throws Error(space) where there is no room for a second copy of one.
    virtual PartList split(const PrefixRanges& ranges) = 0;

    // Phase two.
    /// @param arena  where it takes the memory to load partitions into
    virtual std::unique_ptr<PartitionSource> make_source(Arena& arena, const PhaseTwoPlan& plan) = 0;
};

}  // namespace sluice
