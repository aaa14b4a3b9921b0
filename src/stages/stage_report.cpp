#include "stages/stage_report.hpp"

#include <algorithm>

namespace sluice {
namespace {

constexpr Word<DiskUse> kUses[] = {{"reads", DiskUse::reads}, {"writes", DiskUse::writes}};

}  // namespace

std::span<const Word<DiskUse>> words_of(DiskUse) noexcept { return kUses; }

void add_stage(std::vector<StageReport>& stages, const StageReport& part) {
    const auto found =
        std::find_if(stages.begin(), stages.end(), [&](const StageReport& s) { return s.stage == part.stage; });
    if (found == stages.end()) {
        stages.push_back(part);
    } else {
        add_up(*found, part);
    }
}

StageReport total_of(const std::vector<StageReport>& stages) {
    StageReport total;
    for (const StageReport& stage : stages) {
        if (stage.workers == 0) continue;
        if (total.workers == 0) {
            total = stage;
        } else {
            add_up(total, stage);
        }
    }
    return total;
}

LiveCounters::Snapshot LiveCounters::read() const {
    const std::lock_guard lock(mutex_);
    Snapshot snapshot;
    if (pipeline_ == nullptr) return snapshot;
    snapshot.phase = phase_;
    snapshot.goal_bytes = goal_bytes_;
    if (sender_ != nullptr) snapshot.network_bytes = sender_->output_bytes.get();
    for (const Worker& worker : pipeline_->workers()) {
        const bool first = worker.stage == pipeline_->workers().front().stage,
                   writer = worker.stage == StageKind::writer;
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

void add_disk(PhaseReport& report, const std::string& directory, const IoCounters& part) {
    add_up(report.io, part);
    const bool writes = part.written_bytes > part.read_bytes;
    const std::uint64_t bytes = writes ? part.written_bytes : part.read_bytes;
    const DiskUse use = writes ? DiskUse::writes : DiskUse::reads;
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
    std::vector<StageReport> stages;
    for (const Worker& worker : pipeline.workers())
        add_stage(stages, report_metrics(worker.stage, *worker.metrics, phase_begin_ns));
    return stages;
}

StageReport report_metrics(StageKind stage, const WorkerMetrics& m, std::uint64_t phase_begin_ns) {
    StageReport report;
    report.stage = stage;
    report.workers = 1;
    report.input_bytes = m.input_bytes.get();
    report.output_bytes = m.output_bytes.get();
    report.records = m.records.get();
    report.units = m.units.get();
    report.wait_input_ns = m.wait_input_ns.get();
    report.wait_memory_ns = m.wait_memory_ns.get();
    report.wait_output_ns = m.wait_output_ns.get();
    report.wait_io_ns = m.wait_io_ns.get();
    const std::uint64_t total_ns = m.end_ns.get() - m.start_ns.get();
    const std::uint64_t waits_ns =
        report.wait_input_ns + report.wait_memory_ns + report.wait_output_ns + report.wait_io_ns;
    report.total_ns = total_ns;
    report.busy_ns = total_ns - std::min(total_ns, waits_ns);
    report.cpu_ns = m.cpu_ns.get();
    report.first_done_ns = report.last_done_ns = m.end_ns.get() - phase_begin_ns;
    return report;
}

}  // namespace sluice
