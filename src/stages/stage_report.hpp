#pragma once
/// What the workers of a phase did, as exact figures after it and as live ones during it.

#include <cstdint>
#include <mutex>
#include <span>
#include <string>
#include <tuple>
#include <vector>

#include "io/io_backend.hpp"
#include "runtime/fields.hpp"
#include "runtime/pipeline.hpp"
#include "runtime/stage_kind.hpp"

namespace sluice {

/// Sums over the workers of one stage on one rank. Times are worker-nanoseconds; busy = total - all waits.
struct StageReport {
    StageKind stage = StageKind::network;
    unsigned workers = 0;
    std::uint64_t input_bytes = 0, output_bytes = 0, records = 0, units = 0;
    std::uint64_t total_ns = 0, busy_ns = 0, wait_input_ns = 0, wait_memory_ns = 0, wait_output_ns = 0, wait_io_ns = 0,
                  cpu_ns = 0;
    std::uint64_t first_done_ns = 0, last_done_ns = 0;  ///< when its first and last worker ended, since the phase began
    static constexpr auto fields =
        std::tuple{field("stage", &StageReport::stage),
                   field("workers", &StageReport::workers, Total::sum),
                   field("input_bytes", &StageReport::input_bytes, Total::sum),
                   field("output_bytes", &StageReport::output_bytes, Total::sum),
                   field("records", &StageReport::records, Total::sum),
                   field("units", &StageReport::units, Total::sum),
                   field("total_ns", &StageReport::total_ns, Total::sum),
                   field("busy_ns", &StageReport::busy_ns, Total::sum),
                   field("wait_input_ns", &StageReport::wait_input_ns, Total::sum),
                   field("wait_memory_ns", &StageReport::wait_memory_ns, Total::sum),
                   field("wait_output_ns", &StageReport::wait_output_ns, Total::sum),
                   field("wait_io_ns", &StageReport::wait_io_ns, Total::sum),
                   field("cpu_ns", &StageReport::cpu_ns, Total::sum),
                   field("first_done_ns", &StageReport::first_done_ns, Total::least).in_csv(),
                   field("last_done_ns", &StageReport::last_done_ns, Total::most).in_csv()};
};

/// Adds a stage to the one of its kind in the list, or to the list's end.
void add_stage(std::vector<StageReport>& stages, const StageReport& part);
/// Of all kinds together; stages without workers do not count.
StageReport total_of(const std::vector<StageReport>& stages);

enum class DiskUse : std::uint8_t { reads, writes };
std::span<const Word<DiskUse>> words_of(DiskUse) noexcept;

/// What one disk did for one rank in one phase.
struct DiskReport {
    std::string path;  ///< the configured directory
    DiskUse use = DiskUse::reads;
    std::uint64_t bytes = 0, busy_ns = 0;  ///< from completed requests; time with at least one under way
    static constexpr auto fields =
        std::tuple{field("path", &DiskReport::path), field("use", &DiskReport::use), field("bytes", &DiskReport::bytes),
                   field("busy_ns", &DiskReport::busy_ns)};
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
    static constexpr auto fields =
        std::tuple{field("phase", &PhaseReport::phase).in_csv(),
                   field("stages", &PhaseReport::stages).in_csv(),
                   field("elapsed_ns", &PhaseReport::elapsed_ns, Total::sum).in_csv(),
                   field("io", &PhaseReport::io).in_csv(),
                   field("disks", &PhaseReport::disks),
                   field("planned_depth", &PhaseReport::planned_depth, Total::most),
                   field("kernel_read_bytes", &PhaseReport::kernel_read_bytes, Total::sum),
                   field("kernel_written_bytes", &PhaseReport::kernel_written_bytes, Total::sum)};
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

/// Adds a queue's counters to the phase: in all, and for its disk, which is named by its directory.
void add_disk(PhaseReport& report, const std::string& directory, const IoCounters& part);
/// Up to the last '/'.
std::string directory_of(const std::string& path);
/// Times of which 0 means that there is none.
void keep_earliest(std::uint64_t& earliest_ns, std::uint64_t at_ns);
/// One report a stage, in the order the stages were added; `extra` are stages of the network thread.
std::vector<StageReport> report_stages(const Pipeline& pipeline, std::uint64_t phase_begin_ns);
StageReport report_metrics(StageKind stage, const WorkerMetrics& metrics, std::uint64_t phase_begin_ns);

}  // namespace sluice
