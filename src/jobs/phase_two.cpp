#include "jobs/phase_two.hpp"

#include <algorithm>

#include "runtime/machine.hpp"
#include "stages/part_writer.hpp"
#include "stages/sorter.hpp"

namespace sluice {
namespace {

class PhaseTwo {
public:
    PhaseTwo(JobContext& job, Arena& arena, const PhaseTwoInput& input)
        : job_(job),
          plan_(input.plan),
          input_(input),
          parts_(input.store.parts()),
          source_(input.store.make_source(arena, input.plan)),
          write_(job.executor, "write", arena.take(plan_.write_buffers * plan_.write_bytes, kDirectIoAlign, "write"),
                 plan_.write_bytes, plan_.write_buffers),
          pipeline_(job.executor, job.bind) {
        result_.parts.resize(parts_);
        for (std::uint32_t writer = 0; writer < input.output_disks * plan_.disk_workers; ++writer) {
            sorted_.push_back(std::make_unique<WorkQueue<SortedPiece>>(
                job.executor, plan_.write_buffers + plan_.sorters, plan_.sorters));
        }
        for (std::uint32_t disk = 0; disk < input.output_disks; ++disk) {
            written_.push_back(
                std::make_unique<WorkQueue<WrittenPart>>(job.executor, kWaitingParts, plan_.disk_workers));
        }
        create_stages(arena);
        connect();
    }

    PhaseTwoResult run() {
        const std::uint64_t begin_ns = job_.executor.now_ns();
        const ProcessIo before = read_process_io();
        const LivePhase shown(job_.live, "phase two", pipeline_, input_.store.total_bytes());
        pipeline_.start();
        make_network_loop(job_, pipeline_).wait_for_workers();
        PhaseReport& report = result_.report;
        report.phase = "phase two";
        report.elapsed_ns = job_.executor.now_ns() - begin_ns;
        report.stages = report_stages(pipeline_, begin_ns);
        result_.first_read_ns = source_->first_read_ns();
        source_->add_disks(report);
        // Parts go round the disks: the first ones lie on one each.
        for (std::uint32_t part = 0; part < std::min(parts_, input_.output_disks); ++part) {
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
    void create_stages(Arena& arena) {
        const Sorter::Ports ports{
            source_->loaded(), write_,
            [this](std::uint32_t part) -> WorkQueue<SortedPiece>& { return *sorted_[writer_of_part(part)]; },
            [this] {
                for (auto& queue : sorted_) queue->producer_done();
            }};
        for (unsigned i = 0; i < plan_.sorters; ++i) {
            const auto scratch = arena.take(plan_.scratch_bytes, kDirectIoAlign, "tags");
            sorters_.push_back(std::make_unique<Sorter>(ports, input_.format,
                                                        Sorter::KeyRanges{input_.ranges, input_.first_partition},
                                                        scratch, job_.config.run.verify, result_.parts));
        }
        const PartWriter::Options options{plan_.write_depth, job_.config.io.preallocate};
        for (std::size_t writer = 0; writer < sorted_.size(); ++writer) {
            writers_.push_back(std::make_unique<PartWriter>(job_.io, options, input_.path_of_part, *sorted_[writer],
                                                            *written_[writer % written_.size()]));
        }
        const unsigned finishers = count_finishers(ceil_div(parts_, input_.output_disks),
                                                   ceil_div(input_.store.total_bytes(), input_.output_disks));
        for (unsigned i = 0; i < finishers; ++i) {
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
        source_->add_workers(pipeline_);
        for (auto& sorter : sorters_) pipeline_.add(StageKind::sorter, index++, [&sorter] { sorter->run(); });
        index = 0;
        for (auto& writer : writers_) pipeline_.add(StageKind::writer, index++, [&writer] { writer->run(); });
        index = 0;
        for (auto& finisher : finishers_) pipeline_.add(StageKind::finisher, index++, [&finisher] { finisher->run(); });
        for (auto& queue : written_) pipeline_.guard(*queue);
        for (auto& queue : sorted_) pipeline_.guard(*queue);
        pipeline_.guard(write_);
        pipeline_.on_change([this] { job_.doorbell.ring(); });
    }

    JobContext& job_;
    const PhaseTwoPlan& plan_;
    const PhaseTwoInput& input_;
    std::uint32_t parts_;
    PhaseTwoResult result_;
    std::unique_ptr<PartitionSource> source_;
    BufferPool write_;
    std::vector<std::unique_ptr<WorkQueue<SortedPiece>>> sorted_;   // by writer
    std::vector<std::unique_ptr<WorkQueue<WrittenPart>>> written_;  // by output disk
    std::vector<std::unique_ptr<Sorter>> sorters_;
    std::vector<std::unique_ptr<PartWriter>> writers_;
    std::vector<std::unique_ptr<PartFinisher>> finishers_;
    Pipeline pipeline_;  // last: its destructor joins the workers while everything they use still lives
};

}  // namespace

PhaseTwoResult run_phase_two(JobContext& job, Arena& arena, const PhaseTwoInput& input) {
    job.enter("phase-two");
    arena.reset();
    PhaseTwo phase(job, arena, input);
    return phase.run();
}

}  // namespace sluice
