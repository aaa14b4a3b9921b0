#include "jobs/phase_one.hpp"

#include <algorithm>
#include <memory>

#include "jobs/exchange.hpp"
#include "runtime/machine.hpp"
#include "stages/log_writer.hpp"

namespace sluice {
namespace {

/// Readers in front of the exchange, log writers behind it.
class PhaseOne {
public:
    PhaseOne(JobContext& job, Arena& arena, const RankPlan& plan, const SortPlan& sort, const Partitioner& partitioner,
             const PhaseOneInput& input, ExtentIndex& index)
        : job_(job),
          plan_(plan.one),
          input_(input),
          record_bytes_(sort.format.record_bytes),
          index_(index),
          exchange_(job, arena, plan, sort, partitioner,
                    {input.run_id, input.ranges_by_reader.size(), input.mutant, false, input.sources, input.kept}),
          pipeline_(job.executor, job.bind) {
        create_stages();
        connect();
    }

    PhaseOneResult run(LiveCounters& live) {
        const std::uint64_t begin_ns = job_.executor.now_ns();
        const ProcessIo kernel_before = read_process_io();
        const LivePhase shown(live, "phase one", pipeline_, goal_bytes(), exchange_.sending());
        exchange_.run(pipeline_, [this] { first_arrival_input_bytes_ = input_bytes_read(); });
        return result(begin_ns, kernel_before);
    }

private:
    std::uint64_t input_bytes_read() const {
        std::uint64_t bytes = 0;
        for (const Worker& worker : pipeline_.workers())
            bytes += worker.stage == "reader" ? worker.metrics->input_bytes.get() : 0;
        return bytes;
    }
    std::uint64_t goal_bytes() const {
        std::uint64_t bytes = 0;
        for (const auto& ranges : input_.ranges_by_reader) {
            for (const ReadRange& range : ranges) bytes += range.bytes;
        }
        return bytes;
    }

    void create_stages() {
        for (const auto& ranges : input_.ranges_by_reader) {
            readers_.push_back(std::make_unique<Reader>(job_.io, ranges, plan_.read_depth, exchange_.read_pool(),
                                                        exchange_.input(), record_bytes_));
        }
        if (input_.kept != nullptr)
            keeper_ = std::make_unique<Keeper>(exchange_.chains(), *input_.kept, plan_.max_chunks);
        for (unsigned writer = 0; writer < plan_.writers; ++writer) {
            const auto disk = static_cast<std::uint32_t>(writer % input_.logs.size());
            writers_.push_back(std::make_unique<LogWriter>(job_.io, *input_.logs[disk], *input_.log_space[disk], index_,
                                                           disk, InFlight{plan_.write_depth, plan_.write_flight_bytes},
                                                           plan_.max_chunks, exchange_.chains()));
        }
    }

    void connect() {
        unsigned index = 0;
        for (auto& reader : readers_) pipeline_.add("reader", index++, [&reader] { reader->run(); });
        exchange_.add_workers(pipeline_);
        index = 0;
        for (auto& writer : writers_) pipeline_.add("writer", index++, [&writer] { writer->run(); });
        if (keeper_) pipeline_.add("keeper", 0, [this] { keeper_->run(); });
    }

    PhaseOneResult result(std::uint64_t begin_ns, const ProcessIo& before) {
        PhaseOneResult result;
        result.input_sum = exchange_.input_sum();
        result.peers = exchange_.peers();
        result.report.phase = "phase one";
        result.report.elapsed_ns = job_.executor.now_ns() - begin_ns;
        result.report.stages = report_stages(pipeline_, begin_ns);
        for (const StageReport& stage : result.report.stages) {
            if (stage.stage == "writer") result.last_write_ns = begin_ns + stage.last_done_ns;
        }
        exchange_.add_reports(result.report);
        if (exchange_.anything_arrived() && goal_bytes() > 0) {
            result.first_arrival_input_fraction =
                static_cast<double>(first_arrival_input_bytes_) / static_cast<double>(goal_bytes());
        }
        for (std::size_t i = 0; i < readers_.size(); ++i) {
            const auto& ranges = input_.ranges_by_reader[i];
            add_disk(result.report, ranges.empty() ? "" : directory_of(ranges.front().path), readers_[i]->counters());
            keep_earliest(result.first_read_ns, readers_[i]->first_read_ns());
        }
        for (std::size_t writer = 0; writer < writers_.size(); ++writer) {
            add_disk(result.report, directory_of(directory_of(input_.logs[writer % input_.logs.size()]->path())),
                     writers_[writer]->counters());
        }
        result.report.planned_depth = std::max(plan_.read_depth, plan_.write_depth);
        const ProcessIo after = read_process_io();
        result.report.kernel_read_bytes = after.read_bytes - before.read_bytes;
        result.report.kernel_written_bytes = after.write_bytes - before.write_bytes;
        return result;
    }

    JobContext& job_;
    const PhaseOnePlan& plan_;
    const PhaseOneInput& input_;
    std::uint32_t record_bytes_;
    ExtentIndex& index_;
    Exchange exchange_;
    std::vector<std::unique_ptr<Reader>> readers_;
    std::vector<std::unique_ptr<LogWriter>> writers_;
    std::unique_ptr<Keeper> keeper_;  // in a one-pass sort, instead of the writers
    std::uint64_t first_arrival_input_bytes_ = 0;
    Pipeline pipeline_;  // last: its destructor joins the workers while everything they use still lives
};

}  // namespace

PhaseOneResult run_phase_one(JobContext& job, Arena& arena, const RankPlan& plan, const SortPlan& sort,
                             const Partitioner& partitioner, const PhaseOneInput& input, ExtentIndex& index,
                             LiveCounters& live) {
    job.enter("phase-one");
    arena.reset();
    PhaseOne phase(job, arena, plan, sort, partitioner, input, index);
    PhaseOneResult result = phase.run(live);
    if (input.kept != nullptr) input.kept->seal();
    return result;
}

}  // namespace sluice
