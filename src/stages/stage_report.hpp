#pragma once
/// What the workers of a phase did, as exact figures after it and as live ones during it.

#include <cstdint>
#include <mutex>
#include <string>
#include <tuple>
#include <vector>

#include "io/io_backend.hpp"
#include "runtime/pipeline.hpp"

namespace sluice {

/// Sums over the workers of one stage on one rank. Times are worker-nanoseconds; busy = total - all waits.
struct StageReport {
    std::string stage;
    unsigned workers = 0;
    std::uint64_t input_bytes = 0, output_bytes = 0, records = 0, units = 0;
    std::uint64_t total_ns = 0, busy_ns = 0, wait_input_ns = 0, wait_memory_ns = 0, wait_output_ns = 0, wait_io_ns = 0,
                  cpu_ns = 0;
    std::uint64_t first_done_ns = 0, last_done_ns = 0;  ///< when its first and last worker ended, since the phase began
    static constexpr auto fields =
        std::tuple{&StageReport::stage,          &StageReport::workers,        &StageReport::input_bytes,
                   &StageReport::output_bytes,   &StageReport::records,        &StageReport::units,
                   &StageReport::total_ns,       &StageReport::busy_ns,        &StageReport::wait_input_ns,
                   &StageReport::wait_memory_ns, &StageReport::wait_output_ns, &StageReport::wait_io_ns,
                   &StageReport::cpu_ns,         &StageReport::first_done_ns,  &StageReport::last_done_ns};
};

/// What one disk did for one rank in one phase.
struct DiskReport {
    std::string path, use;                 ///< the configured directory; "reads" or "writes"
    std::uint64_t bytes = 0, busy_ns = 0;  ///< from completed requests; time with at least one under way
    static constexpr auto fields =
        std::tuple{&DiskReport::path, &DiskReport::use, &DiskReport::bytes, &DiskReport::busy_ns};
};

/// What one rank did in one phase.
struct PhaseReport {
    std::string phase;
    std::uint64_t elapsed_ns = 0;
    std::vector<StageReport> stages;
    IoCounters io;  ///< of all queues of the phase, from completed requests
    std::vector<DiskReport> disks;
    unsigned planned_depth = 0;                                     ///< of the queue that reached io.max_in_flight
    std::uint64_t kernel_read_bytes = 0, kernel_written_bytes = 0;  ///< /proc/self/io over the phase
    static constexpr auto fields = std::tuple{&PhaseReport::phase,
                                              &PhaseReport::elapsed_ns,
                                              &PhaseReport::stages,
                                              &PhaseReport::io,
                                              &PhaseReport::disks,
                                              &PhaseReport::planned_depth,
                                              &PhaseReport::kernel_read_bytes,
                                              &PhaseReport::kernel_written_bytes};
};

/// The phase that is running, for the progress line: set by the phase, read by the progress thread.
class LiveCounters {
public:
    struct Snapshot {
        std::string phase;  ///< empty: none is running
        std::uint64_t done_bytes = 0, goal_bytes = 0, disk_bytes = 0, network_bytes = 0;
    };
    Snapshot read() const;

private:
    friend class LivePhase;
    mutable std::mutex mutex_;
    const char* phase_ = "";
    const Pipeline* pipeline_ = nullptr;
    const WorkerMetrics* sender_ = nullptr;
    std::uint64_t goal_bytes_ = 0;
};

/// Shows a phase as running while it lives. Must end before the pipeline and the sender it names.
class LivePhase {
public:
    /// @param live  may be nullptr: nobody looks
    LivePhase(LiveCounters* live, const char* phase, const Pipeline& pipeline, std::uint64_t goal_bytes,
              const WorkerMetrics* sender = nullptr);
    ~LivePhase();
    LivePhase(const LivePhase&) = delete;

private:
    LiveCounters* live_;
};

void add_counters(IoCounters& total, const IoCounters& part);
/// Adds time, I/O and depth of a phase to a total of several; no stages.
void add_phase(PhaseReport& total, const PhaseReport& phase);

/// Adds a queue's counters to the phase: in all, and for its disk, which is named by its directory.
void add_disk(PhaseReport& report, const std::string& directory, const IoCounters& part);
/// Up to the last '/'.
std::string directory_of(const std::string& path);
/// Times of which 0 means that there is none.
void keep_earliest(std::uint64_t& earliest_ns, std::uint64_t at_ns);
/// One report a stage, in the order the stages were added; `extra` are stages of the network thread.
std::vector<StageReport> report_stages(const Pipeline& pipeline, std::uint64_t phase_begin_ns);
StageReport report_metrics(const std::string& stage, const WorkerMetrics& metrics, std::uint64_t phase_begin_ns);

std::string to_json(const PhaseReport& report);

}  // namespace sluice
