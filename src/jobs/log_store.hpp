#pragma once
/// Two passes: the records of a rank lie in logs on the intermediate disks between the phases.

#include <memory>
#include <string>

#include "io/extent_log.hpp"
#include "jobs/intermediate_store.hpp"
#include "jobs/logs.hpp"

namespace sluice {

/// The extents that one run of phase one has appended to a rank's logs.
class LogStore final : public IntermediateStore {
public:
    struct Parts {
        JobContext& job;
        Arena& arena;
        const SortPlan& plan;
        const RankResources& rank;  ///< of this rank
        std::shared_ptr<Logs> logs;
        std::uint32_t most_pieces = 1024;  ///< of one further pass over a partition that is too large
    };
    /// @param parts  what it refers to must live as long as the store does.
    explicit LogStore(Parts parts);
    /// Memory for the extents that are to be expected, so that phase one allocates none.
    void reserve_extents();
    const ExtentIndex& index() const noexcept { return *index_; }

    BufferPool* chunks() noexcept override { return nullptr; }
    void on_pressure() override {}
    std::unique_ptr<ChainSink> make_sink(Coalescer& chains, const PhaseOnePlan& plan) override;
    void seal() override {}

    std::uint32_t parts() const override { return index_->logical_disks(); }
    std::uint64_t total_bytes() const override { return index_->total_bytes(); }
    std::uint64_t largest_bytes() const override { return index_->largest_padded_bytes(); }
    std::uint64_t padding_bytes() const override { return index_->padding_bytes(); }
    std::uint64_t extents() const override { return index_->extent_count(); }
    Excess excess() const override { return {}; }  // what does not fit in memory is split
    std::optional<PhaseTwoPlan> plan_phase_two() const override;
    PartList split(const PrefixRanges& ranges) override;

    std::unique_ptr<PartitionSource> make_source(Arena& arena, const PhaseTwoPlan& plan) override;

private:
    const RankPlan& mine() const { return parts_.plan.ranks[parts_.job.rank()]; }

    Parts parts_;
    std::unique_ptr<ExtentIndex> index_;
};

/// Creates the logs in their directories, which all ranks have made; they go with the store. Local.
std::unique_ptr<IntermediateStore> make_log_store(LogStore::Parts parts);

}  // namespace sluice
