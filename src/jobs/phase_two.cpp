#include "jobs/phase_two.hpp"

#include <algorithm>

#include "record/chunk_layout.hpp"
#include "runtime/machine.hpp"
#include "stages/network.hpp"
#include "stages/part_writer.hpp"
#include "stages/partition_reader.hpp"
#include "stages/sorter.hpp"

namespace sluice {
namespace {

class PhaseTwo {
public:
    PhaseTwo(JobContext& job, Arena& arena, const PhaseTwoPlan& plan, std::uint32_t partitions, const SortPlan& sort,
             const PrefixRanges& ranges, const PhaseTwoInput& input, const ExtentIndex& index)
        : job_(job),
          plan_(plan),
          input_(input),
          index_(index),
          partitions_(partitions),
          slots_(job.executor, "partitions",
                 arena.take(plan.partition_slots * plan.partition_bytes, kDirectIoAlign, "partitions"),
                 plan.partition_bytes, plan.partition_slots),
          write_(job.executor, "write", arena.take(plan.write_buffers * plan.write_bytes, kDirectIoAlign, "write"),
                 plan.write_bytes, plan.write_buffers),
          loaded_(job.executor, std::max<std::size_t>(1, input.kept != nullptr ? partitions : plan.partition_slots),
                  input.kept != nullptr ? 1 : plan.disk_workers),
          pipeline_(job.executor, job.bind) {
        result_.parts.resize(partitions);
        for (std::uint32_t writer = 0; writer < input.output_disks * plan.disk_workers; ++writer) {
            sorted_.push_back(std::make_unique<WorkQueue<SortedPiece>>(job.executor, plan.write_buffers + plan.sorters,
                                                                       plan.sorters));
        }
        for (std::uint32_t disk = 0; disk < input.output_disks; ++disk) {
            written_.push_back(
                std::make_unique<WorkQueue<WrittenPart>>(job.executor, kWaitingParts, plan.disk_workers));
        }
        create_stages(arena, sort, ranges);
        connect();
    }

    PhaseTwoResult run(LiveCounters& live) {
        const std::uint64_t begin_ns = job_.executor.now_ns();
        const ProcessIo before = read_process_io();
        std::uint64_t goal_bytes = 0;
        for (std::uint32_t p = 0; p < partitions_ && input_.kept == nullptr; ++p) goal_bytes += index_.bytes(p);
        if (input_.kept != nullptr) goal_bytes = input_.kept->total_bytes();
        const LivePhase shown(live, "phase two", pipeline_, goal_bytes);
        pipeline_.start();
        NetworkLoop(job_.communicator, pipeline_, job_.doorbell, job_.backoff, job_.executor.seeded() != nullptr)
            .wait_for_workers();
        PhaseReport& report = result_.report;
        report.phase = "phase two";
        report.elapsed_ns = job_.executor.now_ns() - begin_ns;
        report.stages = report_stages(pipeline_, begin_ns);
        // A queue reads all logs: with several disks its time is none of theirs. One pass reads none.
        for (const auto& reader : readers_) {
            keep_earliest(result_.first_read_ns, reader->first_read_ns());
            if (input_.logs.size() == 1) {
                add_disk(report, directory_of(directory_of(input_.logs.front()->path())), reader->counters());
            } else {
                add_counters(report.io, reader->counters());
            }
        }
        // Parts go round the disks: the first ones lie on one each.
        for (std::uint32_t part = 0; part < std::min(partitions_, input_.output_disks); ++part) {
            const std::string partial = directory_of(input_.path_of_part(part));
            for (std::size_t w = input_.disk_of_part(part); w < writers_.size(); w += input_.output_disks)
                add_disk(report, directory_of(partial), writers_[w]->counters());
        }
        report.planned_depth = std::max(plan_.read_depth, plan_.write_depth);
        const ProcessIo after = read_process_io();
        report.kernel_read_bytes = after.read_bytes - before.read_bytes;
        report.kernel_written_bytes = after.write_bytes - before.write_bytes;
        return std::move(result_);
    }

private:
    void create_stages(Arena& arena, const SortPlan& sort, const PrefixRanges& ranges) {
        if (input_.kept != nullptr) {
            for (std::uint32_t p = 0; p < partitions_; ++p) loaded_.push({p, Buffer(), input_.kept->partition(p)});
            loaded_.producer_done();
        } else {
            const PaddedChunks chunks{input_.chunk_bytes,
                                      chunk_record_bytes(input_.chunk_bytes, sort.format.record_bytes)};
            for (unsigned i = 0; i < plan_.disk_workers; ++i) {
                readers_.push_back(
                    std::make_unique<PartitionReader>(job_.io, input_.logs, index_, partitions_, plan_.read_bytes,
                                                      InFlight{plan_.read_depth, plan_.read_flight_bytes}, chunks,
                                                      slots_, loaded_, PartitionReader::Share{i, plan_.disk_workers}));
            }
        }
        const Sorter::Ports ports{
            loaded_, write_,
            [this](std::uint32_t part) -> WorkQueue<SortedPiece>& { return *sorted_[writer_of_part(part)]; },
            [this] {
                for (auto& queue : sorted_) queue->producer_done();
            }};
        for (unsigned i = 0; i < plan_.sorters; ++i) {
            const auto scratch = arena.take(plan_.scratch_bytes, kDirectIoAlign, "tags");
            sorters_.push_back(std::make_unique<Sorter>(ports, sort.format, ranges, sort.ownership.first(job_.rank()),
                                                        scratch, job_.config.run.verify, result_.parts));
        }
        const PartWriter::Options options{plan_.write_depth, job_.config.io.preallocate};
        for (std::size_t writer = 0; writer < sorted_.size(); ++writer) {
            writers_.push_back(std::make_unique<PartWriter>(job_.io, options, input_.path_of_part, *sorted_[writer],
                                                            *written_[writer % written_.size()]));
        }
        const std::uint64_t parts_of_a_disk = ceil_div(partitions_, input_.output_disks);
        for (unsigned i = 0; i < std::clamp<std::uint64_t>(parts_of_a_disk, 1, kFinishers); ++i) {
            for (auto& written : written_)
                finishers_.push_back(std::make_unique<PartFinisher>(job_.config.io.fsync, *written));
        }
    }

    /// Parts of a disk go round its writers: the disk's own number, and so many disks on for each further writer.
    std::uint32_t writer_of_part(std::uint32_t part) const {
        return input_.disk_of_part(part) + part / input_.output_disks % plan_.disk_workers * input_.output_disks;
    }

    void connect() {
        unsigned index = 0;
        for (auto& reader : readers_) pipeline_.add("reader", index++, [&reader] { reader->run(); });
        index = 0;
        for (auto& sorter : sorters_) pipeline_.add("sorter", index++, [&sorter] { sorter->run(); });
        index = 0;
        for (auto& writer : writers_) pipeline_.add("writer", index++, [&writer] { writer->run(); });
        index = 0;
        for (auto& finisher : finishers_) pipeline_.add("finisher", index++, [&finisher] { finisher->run(); });
        pipeline_.guard(loaded_);
        for (auto& queue : written_) pipeline_.guard(*queue);
        for (auto& queue : sorted_) pipeline_.guard(*queue);
        pipeline_.guard(slots_);
        if (input_.kept != nullptr) pipeline_.guard(input_.kept->pool());
        pipeline_.guard(write_);
        pipeline_.on_change([this] { job_.doorbell.ring(); });
    }

    JobContext& job_;
    const PhaseTwoPlan& plan_;
    const PhaseTwoInput& input_;
    const ExtentIndex& index_;
    std::uint32_t partitions_;
    PhaseTwoResult result_;
    BufferPool slots_, write_;
    WorkQueue<LoadedPartition> loaded_;
    std::vector<std::unique_ptr<WorkQueue<SortedPiece>>> sorted_;   // by writer
    std::vector<std::unique_ptr<WorkQueue<WrittenPart>>> written_;  // by output disk
    std::vector<std::unique_ptr<PartitionReader>> readers_;         // none in a one-pass sort
    std::vector<std::unique_ptr<Sorter>> sorters_;
    std::vector<std::unique_ptr<PartWriter>> writers_;
    std::vector<std::unique_ptr<PartFinisher>> finishers_;
    Pipeline pipeline_;  // last: its destructor joins the workers while everything they use still lives
};

}  // namespace

PhaseTwoResult run_phase_two(JobContext& job, Arena& arena, const PhaseTwoPlan& plan, std::uint32_t partitions,
                             const SortPlan& sort, const PrefixRanges& ranges, const PhaseTwoInput& input,
                             const ExtentIndex& index, LiveCounters& live) {
    job.enter("phase-two");
    arena.reset();
    PhaseTwo phase(job, arena, plan, partitions, sort, ranges, input, index);
    return phase.run(live);
}

}  // namespace sluice
