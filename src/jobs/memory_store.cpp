#include "jobs/memory_store.hpp"

#include <algorithm>

#include "plan/cluster.hpp"
#include "runtime/units.hpp"

namespace sluice {
namespace {

class KeepingSink final : public ChainSink {
public:
    KeepingSink(Coalescer& chains, KeptPartitions& kept, std::size_t max_chunks) : keeper_(chains, kept, max_chunks) {}
    void add_workers(Pipeline& pipeline) override {
        pipeline.add(StageKind::keeper, 0, [this] { keeper_.run(); });
    }
    void add_disks(PhaseReport&) const override {}

private:
    Keeper keeper_;
};

/// All partitions are loaded before phase two begins.
class KeptSource final : public PartitionSource {
public:
    KeptSource(Executor& executor, KeptPartitions& kept)
        : kept_(kept), loaded_(executor, std::max<std::size_t>(1, kept.partitions()), 1) {
        for (std::uint32_t p = 0; p < kept.partitions(); ++p) loaded_.push({p, Buffer(), kept.partition(p)});
        loaded_.producer_done();
    }
    WorkQueue<LoadedPartition>& loaded() override { return loaded_; }
    void add_workers(Pipeline& pipeline) override {
        pipeline.guard(loaded_);
        pipeline.guard(kept_.pool());
    }
    void add_disks(PhaseReport&) const override {}
    std::uint64_t first_read_ns() const override { return 0; }

private:
    KeptPartitions& kept_;
    WorkQueue<LoadedPartition> loaded_;
};

class MemoryStore final : public IntermediateStore {
public:
    MemoryStore(JobContext& job, Arena& arena, const SortPlan& plan, const RankResources& rank)
        : job_(job), arena_(arena), plan_(plan), mine_(plan.ranks[job.rank()]), rank_(rank) {
        const PhaseOnePlan& one = mine_.one;
        arena.reset();
        kept_ = std::make_unique<KeptPartitions>(
            job.executor, arena.take_from_end(one.chunk_memory_bytes(), kDirectIoAlign, "chunks"),
            KeptPartitions::Shape{.chunks = one.chunks,
                                  .chunk_bytes = one.chunk_bytes,
                                  .chunk_records = one.chunk_records,
                                  .record_bytes = plan.format.record_bytes,
                                  .partitions = mine_.partitions});
    }

    BufferPool* chunks() noexcept override { return &kept_->pool(); }
    // Chunks hold the planned share and one open chunk for each worker and partition, so waiting for one proves that
    // more than the share has come.
    void on_pressure() override { kept_->let_go(); }
    std::unique_ptr<ChainSink> make_sink(Coalescer& chains, const PhaseOnePlan& plan) override {
        return std::make_unique<KeepingSink>(chains, *kept_, plan.max_chunks);
    }
    void seal() override { kept_->seal(); }

    std::uint32_t parts() const override { return kept_->partitions(); }
    std::uint64_t total_bytes() const override { return kept_->total_bytes(); }
    std::uint64_t largest_bytes() const override { return kept_->largest_bytes(); }
    std::uint64_t padding_bytes() const override { return 0; }
    std::uint64_t extents() const override { return 0; }

    Excess excess() const override {
        const auto human = [](std::uint64_t bytes) { return human_bytes(static_cast<double>(bytes)); };
        const std::string here = "rank " + std::to_string(job_.rank()) + " of host " + job_.place.host + " got ";
        if (kept_->was_let_go()) {
            const std::uint64_t planned = planned_share_bytes();
            return {1 + static_cast<double>(total_bytes()) / static_cast<double>(planned + 1),
                    here + human(total_bytes()) + " where memory for " + human(planned) + " of its share was planned"};
        }
        if (plan_phase_two()) return {};
        return {1, here + "a partition of " + human(largest_bytes()) + ", planned were up to " +
                       human(plan_.planned_partition_bytes) + ", and memory to sort it is not left"};
    }

    std::optional<PhaseTwoPlan> plan_phase_two() const override {
        // Half a MiB is for the alignment of its pools.
        return plan_phase_two_in_memory(job_.config, plan_.format, rank_, largest_bytes() / plan_.format.record_bytes,
                                        arena_.phase_bytes() - kMiB / 2);
    }
    PartList split(const PrefixRanges&) override {
        throw Error(Errc::internal, "a partition in memory cannot be split: its excess should have been found before");
    }

    std::unique_ptr<PartitionSource> make_source(Arena&, const PhaseTwoPlan&) override {
        return std::make_unique<KeptSource>(job_.executor, *kept_);
    }

private:
    /// Memory for records: the chunks but for those that stand open.
    std::uint64_t planned_share_bytes() const {
        const PhaseOnePlan& one = mine_.one;
        const std::size_t open = std::size_t{one.distributors + one.logical_disk_distributors} * mine_.partitions;
        return one.chunks > open ? (one.chunks - open) * one.chunk_records * plan_.format.record_bytes : 0;
    }

    JobContext& job_;
    Arena& arena_;
    const SortPlan& plan_;
    const RankPlan& mine_;
    const RankResources& rank_;
    std::unique_ptr<KeptPartitions> kept_;
};

}  // namespace

std::unique_ptr<IntermediateStore> make_memory_store(JobContext& job, Arena& arena, const SortPlan& plan,
                                                     const RankResources& rank) {
    return std::make_unique<MemoryStore>(job, arena, plan, rank);
}

}  // namespace sluice
