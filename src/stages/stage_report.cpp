#include "stages/stage_report.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "runtime/bounded_text.hpp"

namespace sluice {
namespace {

void add_worker(StageReport& report, const WorkerMetrics& m, std::uint64_t phase_begin_ns) {
    ++report.workers;
    report.input_bytes += m.input_bytes.get();
    report.output_bytes += m.output_bytes.get();
    report.records += m.records.get();
    report.units += m.units.get();
    const std::uint64_t total_ns = m.end_ns.get() - m.start_ns.get();
    const std::uint64_t waits_ns =
        m.wait_input_ns.get() + m.wait_memory_ns.get() + m.wait_output_ns.get() + m.wait_io_ns.get();
    report.total_ns += total_ns;
    report.busy_ns += total_ns - std::min(total_ns, waits_ns);
    report.wait_input_ns += m.wait_input_ns.get();
    report.wait_memory_ns += m.wait_memory_ns.get();
    report.wait_output_ns += m.wait_output_ns.get();
    report.wait_io_ns += m.wait_io_ns.get();
    report.cpu_ns += m.cpu_ns.get();
    const std::uint64_t done_ns = m.end_ns.get() - phase_begin_ns;
    report.first_done_ns = report.workers == 1 ? done_ns : std::min(report.first_done_ns, done_ns);
    report.last_done_ns = std::max(report.last_done_ns, done_ns);
}

}  // namespace

LiveCounters::Snapshot LiveCounters::read() const {
    const std::lock_guard lock(mutex_);
    Snapshot snapshot;
    if (pipeline_ == nullptr) return snapshot;
    snapshot.phase = phase_;
    snapshot.goal_bytes = goal_bytes_;
    if (sender_ != nullptr) snapshot.network_bytes = sender_->output_bytes.get();
    for (const Worker& worker : pipeline_->workers()) {
        const bool first = worker.stage == pipeline_->workers().front().stage, writer = worker.stage == "writer";
        if (first) snapshot.done_bytes += worker.metrics->input_bytes.get();
        if (first || writer)
            snapshot.disk_bytes += first ? worker.metrics->input_bytes.get() : worker.metrics->output_bytes.get();
    }
    return snapshot;
}

LivePhase::LivePhase(LiveCounters* live, const char* phase, const Pipeline& pipeline, std::uint64_t goal_bytes,
                     const WorkerMetrics* sender)
    : live_(live) {
    if (live_ == nullptr) return;
    const std::lock_guard lock(live_->mutex_);
    live_->phase_ = phase;
    live_->pipeline_ = &pipeline;
    live_->sender_ = sender;
    live_->goal_bytes_ = goal_bytes;
}

LivePhase::~LivePhase() {
    if (live_ == nullptr) return;
    const std::lock_guard lock(live_->mutex_);
    live_->pipeline_ = nullptr;
    live_->sender_ = nullptr;
}

void add_counters(IoCounters& total, const IoCounters& part) {
    total.read_bytes += part.read_bytes;
    total.written_bytes += part.written_bytes;
    total.read_requests += part.read_requests;
    total.write_requests += part.write_requests;
    total.submit_ns += part.submit_ns;
    total.short_transfers += part.short_transfers;
    total.max_in_flight = std::max(total.max_in_flight, part.max_in_flight);
    total.busy_ns += part.busy_ns;
}

void add_phase(PhaseReport& total, const PhaseReport& phase) {
    total.elapsed_ns += phase.elapsed_ns;
    total.planned_depth = std::max(total.planned_depth, phase.planned_depth);
    total.kernel_read_bytes += phase.kernel_read_bytes;
    total.kernel_written_bytes += phase.kernel_written_bytes;
    add_counters(total.io, phase.io);
}

void add_disk(PhaseReport& report, const std::string& directory, const IoCounters& part) {
    add_counters(report.io, part);
    const bool writes = part.written_bytes > part.read_bytes;
    const std::uint64_t bytes = writes ? part.written_bytes : part.read_bytes;
    const std::string use = writes ? "writes" : "reads";
    for (DiskReport& disk : report.disks) {
        if (disk.path != directory || disk.use != use) continue;
        disk.bytes += bytes;
        disk.busy_ns = std::max(disk.busy_ns, part.busy_ns);  // queues of one disk work side by side
        return;
    }
    if (bytes > 0) report.disks.push_back({directory, use, bytes, part.busy_ns});
}

void keep_earliest(std::uint64_t& earliest_ns, std::uint64_t at_ns) {
    if (at_ns != 0 && (earliest_ns == 0 || at_ns < earliest_ns)) earliest_ns = at_ns;
}

std::string directory_of(const std::string& path) { return path.substr(0, path.rfind('/')); }

std::vector<StageReport> report_stages(const Pipeline& pipeline, std::uint64_t phase_begin_ns) {
    std::vector<StageReport> reports;
    for (const Worker& worker : pipeline.workers()) {
        auto found =
            std::find_if(reports.begin(), reports.end(), [&](const StageReport& r) { return r.stage == worker.stage; });
        if (found == reports.end()) {
            reports.push_back({});
            reports.back().stage = worker.stage;
            found = reports.end() - 1;
        }
        add_worker(*found, *worker.metrics, phase_begin_ns);
    }
    return reports;
}

StageReport report_metrics(const std::string& stage, const WorkerMetrics& metrics, std::uint64_t phase_begin_ns) {
    StageReport report;
    report.stage = stage;
    add_worker(report, metrics, phase_begin_ns);
    return report;
}

NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(StageReport, stage, workers, input_bytes, output_bytes, records, units, total_ns,
                                   busy_ns, wait_input_ns, wait_memory_ns, wait_output_ns, wait_io_ns, cpu_ns,
                                   first_done_ns, last_done_ns)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(IoCounters, read_bytes, written_bytes, read_requests, write_requests, submit_ns,
                                   short_transfers, max_in_flight, busy_ns)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(DiskReport, path, use, bytes, busy_ns)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(PhaseReport, phase, elapsed_ns, stages, io, disks, planned_depth, kernel_read_bytes,
                                   kernel_written_bytes)

std::string to_json(const PhaseReport& report) { return nlohmann::json(report).dump(); }

}  // namespace sluice
