#include "jobs/log_store.hpp"

#include <algorithm>

#include "jobs/overflow.hpp"
#include "record/chunk_layout.hpp"
#include "runtime/units.hpp"
#include "stages/log_writer.hpp"

namespace sluice {
namespace {

/// The configured disk that a log lies on, in a directory of the run.
std::string disk_of(const IoFile& log) { return directory_of(directory_of(log.path())); }

class LogSink final : public ChainSink {
public:
    LogSink(IoBackend& io, Logs& logs, ExtentIndex& index, const PhaseOnePlan& plan, Coalescer& chains)
        : files_(logs.files()) {
        const std::vector<ExtentLog*> space = logs.space();
        for (unsigned writer = 0; writer < plan.writers; ++writer) {
            const auto disk = static_cast<std::uint32_t>(writer % files_.size());
            writers_.push_back(std::make_unique<LogWriter>(io, LogWriter::Log{*files_[disk], *space[disk], disk}, index,
                                                           InFlight{plan.write_depth, plan.write_flight_bytes},
                                                           plan.max_chunks, chains));
        }
    }
    void add_workers(Pipeline& pipeline) override {
        unsigned index = 0;
        for (auto& writer : writers_) pipeline.add(StageKind::writer, index++, [&writer] { writer->run(); });
    }
    void add_disks(PhaseReport& report) const override {
        for (std::size_t writer = 0; writer < writers_.size(); ++writer)
            add_disk(report, disk_of(*files_[writer % files_.size()]), writers_[writer]->counters());
    }

private:
    std::vector<IoFile*> files_;
    std::vector<std::unique_ptr<LogWriter>> writers_;
};

class LogSource final : public PartitionSource {
public:
    LogSource(JobContext& job, Arena& arena, const PhaseTwoPlan& plan, std::vector<IoFile*> logs,
              const ExtentIndex& index, PaddedChunks chunks)
        : logs_(std::move(logs)),
          slots_(job.executor, "partitions",
                 arena.take(plan.partition_slots * plan.partition_bytes, kDirectIoAlign, "partitions"),
                 plan.partition_bytes, plan.partition_slots),
          loaded_(job.executor, std::max<std::size_t>(1, plan.partition_slots), plan.disk_workers) {
        for (unsigned i = 0; i < plan.disk_workers; ++i) {
            readers_.push_back(std::make_unique<PartitionReader>(
                job.io, PartitionReader::Source{logs_, index, chunks},
                PartitionReader::Requests{plan.read_bytes, {plan.read_depth, plan.read_flight_bytes}}, slots_, loaded_,
                PartitionReader::Share{i, plan.disk_workers}));
        }
    }
    WorkQueue<LoadedPartition>& loaded() override { return loaded_; }
    void add_workers(Pipeline& pipeline) override {
        unsigned index = 0;
        for (auto& reader : readers_) pipeline.add(StageKind::reader, index++, [&reader] { reader->run(); });
        pipeline.guard(loaded_);
        pipeline.guard(slots_);
    }
    void add_disks(PhaseReport& report) const override {
        for (const auto& reader : readers_) {
            if (logs_.size() == 1) {
                add_disk(report, disk_of(*logs_.front()), reader->counters());
            } else {  // a queue reads all logs: its time is none of theirs
                add_up(report.io, reader->counters());
            }
        }
    }
    std::uint64_t first_read_ns() const override {
        std::uint64_t first_ns = 0;
        for (const auto& reader : readers_) keep_earliest(first_ns, reader->first_read_ns());
        return first_ns;
    }

private:
    std::vector<IoFile*> logs_;
    BufferPool slots_;
    WorkQueue<LoadedPartition> loaded_;
    std::vector<std::unique_ptr<PartitionReader>> readers_;
};

}  // namespace

LogStore::LogStore(Parts parts)
    : parts_(std::move(parts)), index_(std::make_unique<ExtentIndex>(parts_.job.executor, mine().partitions)) {}

/// What comes beyond costs one reallocation for each doubling.
void LogStore::reserve_extents() { index_->reserve(reserved_extents(mine(), parts_.plan.planned_partition_bytes)); }

std::unique_ptr<ChainSink> LogStore::make_sink(Coalescer& chains, const PhaseOnePlan& plan) {
    return std::make_unique<LogSink>(parts_.job.io, *parts_.logs, *index_, plan, chains);
}

std::optional<PhaseTwoPlan> LogStore::plan_phase_two() const {
    const Config& config = parts_.job.config;
    const std::uint64_t largest = std::max<std::uint64_t>(largest_bytes(), kDirectIoAlign);
    auto two = sluice::plan_phase_two(config, parts_.plan.format, parts_.rank, largest);
    if (two && two->memory_bytes() <= parts_.arena.capacity_bytes()) return two;
    // The real partitions are larger than planned: keep within what was mapped.
    RankResources within = parts_.rank;
    within.budget_bytes = parts_.arena.capacity_bytes() - kMiB / 2;
    return sluice::plan_phase_two(config, parts_.plan.format, within, largest);
}

PartList LogStore::split(const PrefixRanges& ranges) {
    SplitParts made = split_overflow(parts_, ranges, *index_);
    index_ = std::move(made.index);
    return std::move(made.list);
}

std::unique_ptr<PartitionSource> LogStore::make_source(Arena& arena, const PhaseTwoPlan& plan) {
    const std::uint64_t chunk_bytes = mine().one.chunk_bytes;
    const PaddedChunks chunks{chunk_bytes, chunk_record_bytes(chunk_bytes, parts_.plan.format.record_bytes)};
    return std::make_unique<LogSource>(parts_.job, arena, plan, parts_.logs->files(), *index_, chunks);
}

std::unique_ptr<IntermediateStore> make_log_store(LogStore::Parts parts) {
    const SortPlan& plan = parts.plan;
    const RankPlan& mine = plan.ranks[parts.job.rank()];
    parts.logs->create(padded_bytes(plan.format, mine.one.chunk_bytes, plan.mean_partition_bytes) * mine.partitions);
    auto store = std::make_unique<LogStore>(std::move(parts));
    store->reserve_extents();
    return store;
}

}  // namespace sluice
