#include "jobs/phase_one.hpp"

#include <algorithm>
#include <memory>

#include "jobs/exchange.hpp"
#include "runtime/machine.hpp"

namespace sluice {
namespace {

/// Readers in front of the exchange, the store behind it.
class PhaseOne {
public:
    PhaseOne(JobContext& job, Arena& arena, const PhaseOneInput& input)
        : job_(job),
          plan_(input.plan.one),
          input_(input),
          exchange_(job, arena, input.plan, input.sort, input.partitioner,
                    {.run_id = input.run_id,
                     .producers = input.ranges_by_reader.size(),
                     .mutant = input.mutant,
                     .sources = input.sources,
                     .chunks = input.store.chunks(),
                     .on_pressure = [&input] { input.store.on_pressure(); }}),
          sink_(input.store.make_sink(exchange_.chains(), plan_)),
          pipeline_(job.executor, job.bind) {
        for (const auto& ranges : input_.ranges_by_reader) {
            readers_.push_back(std::make_unique<Reader>(job_.io, ranges, plan_.read_depth, exchange_.read_pool(),
                                                        exchange_.input(), input.sort.format.record_bytes));
        }
        unsigned index = 0;
        for (auto& reader : readers_) pipeline_.add(StageKind::reader, index++, [&reader] { reader->run(); });
        exchange_.add_workers(pipeline_);
        sink_->add_workers(pipeline_);
    }

    PhaseOneResult run() {
        const std::uint64_t begin_ns = job_.executor.now_ns();
        const ProcessIo kernel_before = read_process_io();
        const LivePhase shown(job_.live, "phase one", pipeline_, goal_bytes(), exchange_.sending());
        exchange_.run(pipeline_, [this] { first_arrival_input_bytes_ = input_bytes_read(); });
        return result(begin_ns, kernel_before);
    }

private:
    std::uint64_t input_bytes_read() const {
        std::uint64_t bytes = 0;
        for (const Worker& worker : pipeline_.workers())
            bytes += worker.stage == StageKind::reader ? worker.metrics->input_bytes.get() : 0;
        return bytes;
    }
    std::uint64_t goal_bytes() const {
        std::uint64_t bytes = 0;
        for (const auto& ranges : input_.ranges_by_reader) {
            for (const ReadRange& range : ranges) bytes += range.bytes;
        }
        return bytes;
    }

    PhaseOneResult result(std::uint64_t begin_ns, const ProcessIo& before) {
        PhaseOneResult result;
        result.input_sum = exchange_.input_sum();
        result.peers = exchange_.peers();
        result.report.phase = "phase one";
        result.report.elapsed_ns = job_.executor.now_ns() - begin_ns;
        result.report.stages = report_stages(pipeline_, begin_ns);
        for (const StageReport& stage : result.report.stages) {
            if (stage.stage == StageKind::writer) result.last_write_ns = begin_ns + stage.last_done_ns;
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
        sink_->add_disks(result.report);
        result.report.planned_depth = std::max(plan_.read_depth, plan_.write_depth);
        const ProcessIo after = read_process_io();
        result.report.kernel_read_bytes = after.read_bytes - before.read_bytes;
        result.report.kernel_written_bytes = after.write_bytes - before.write_bytes;
        return result;
    }

    JobContext& job_;
    const PhaseOnePlan& plan_;
    const PhaseOneInput& input_;
    Exchange exchange_;
    std::unique_ptr<ChainSink> sink_;
    std::vector<std::unique_ptr<Reader>> readers_;
    std::uint64_t first_arrival_input_bytes_ = 0;
    Pipeline pipeline_;  // last: its destructor joins the workers while everything they use still lives
};

}  // namespace

PhaseOneResult run_phase_one(JobContext& job, Arena& arena, const PhaseOneInput& input) {
    job.enter("phase-one");
    arena.reset();
    PhaseOne phase(job, arena, input);
    PhaseOneResult result = phase.run();
    input.store.seal();
    return result;
}

}  // namespace sluice
