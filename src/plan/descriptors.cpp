#include "plan/descriptors.hpp"

#include <algorithm>

#include "plan/plan_internal.hpp"
#include "stages/part_writer.hpp"

namespace sluice {
namespace {

// Of a disk in each of its roles: the disk's directory, ours on it, the record with its lock, and one more while names
// change.
constexpr std::uint64_t kHeldByADisk = 4;
constexpr std::uint64_t kLinksToARank = 2;  // Open MPI over TCP: one socket a network interface
constexpr std::uint64_t kSpare = 16;        // what libraries open for a moment: topology, /proc, results

}  // namespace

unsigned sample_depth(const Config& config) {
    constexpr unsigned kDepth = 32;  // small reads need many in flight
    return config.io.depth != 0 ? config.io.depth : kDepth;
}

std::uint64_t OpenFiles::most() const { return held + std::max({phase_zero, phase_one, phase_two, last_look}); }

OpenFiles open_files_of(const Config& config, const RankPlan& plan, const RankResources& resources,
                        std::uint64_t remote_ranks) {
    const std::uint64_t logs = resources.intermediate_disks, outputs = resources.output_disks;
    // Phase two is planned anew from the real sizes of the partitions, which may be smaller.
    const std::uint64_t sorters = std::max({plan.two.sorters, config.stages.sorter.workers, resources.cores}),
                        write_depth = std::max(plan.two.write_depth, planning::kWantedDepth),
                        disk_workers = std::max(plan.two.disk_workers, resources.disk_workers);
    OpenFiles files;
    files.held = kHeldByADisk * (resources.input_disks + logs + outputs) + kLinksToARank * remote_ranks + kSpare;
    files.phase_zero = std::uint64_t{plan.one.readers} * (sample_depth(config) + 1) + logs;
    files.phase_one = std::uint64_t{plan.one.readers} * (plan.one.read_depth + 1) + logs;
    files.phase_two = logs + outputs * (disk_workers * (write_depth + sorters + 1) + kWaitingParts + kFinishers);
    files.last_look = logs + kAmpleCheckBytes / kLeastCheckBytes + 1;
    return files;
}

Problem open_files_problem(const OpenFiles& files, std::uint64_t open_now, std::uint64_t limit,
                           const std::string& host) {
    const std::uint64_t needed = open_now + files.most();
    if (needed <= limit) return {};
    return {
        Errc::environment,
        "host " + host + ": " + std::to_string(needed) +
            " files open at a time are needed (RLIMIT_NOFILE): " + std::to_string(open_now) + " are open now, " +
            std::to_string(files.held) + " stay open, phase zero opens " + std::to_string(files.phase_zero) +
            ", phase one " + std::to_string(files.phase_one) + ", phase two " + std::to_string(files.phase_two) +
            " at a time; this process may have " + std::to_string(limit) +
            "; raise the limit (`ulimit -n`, `ulimit -Hn` where it is the hard one), or lower io.depth or io.workers"};
}

}  // namespace sluice
