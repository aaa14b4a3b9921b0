#pragma once
/// What a sort says when it is done: tables for people, result.json, and the RESULT line. Made on rank 0.

#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "jobs/data_jobs.hpp"
#include "jobs/sort_job.hpp"
#include "runtime/fields.hpp"
#include "runtime/machine.hpp"

namespace sluice {

/// What one rank sent to another.
struct LinkReport {
    std::uint64_t sent_bytes = 0, busy_ns = 0;  ///< busy: at least one message was under way; 0: not measured
};

/// One rank's figures, on rank 0.
struct RankReport {
    std::string host, placement, memory_pages;
    PhaseReport zero, one, overflow, two;
    PhaseReport exceeded;  ///< attempts at one pass that met more than was planned
    std::uint64_t split_partitions = 0;
    double cpu_user_s = 0, cpu_system_s = 0, elapsed_s = 0;  ///< elapsed: of the whole run
    std::uint64_t peak_resident_bytes = 0, budget_bytes = 0, switches = 0;
    std::uint64_t padding_bytes = 0, extents = 0, sent_bytes = 0, received_bytes = 0;
    double first_arrival_input_fraction = -1;
    double startup_s = 0;                   ///< from this rank's main to its first read; 0: it read nothing
    double boundary_s = 0;                  ///< from the last write of phase one to the first read of phase two
    std::vector<LinkReport> links;          ///< by destination; empty with one rank
    std::vector<std::string> cached_disks;  ///< read and written through the page cache; see PreparedSort
    static constexpr auto fields =
        std::tuple{field("host", &RankReport::host).in_csv(),
                   field("placement", &RankReport::placement),
                   field("memory_pages", &RankReport::memory_pages),
                   field("phase_zero", &RankReport::zero),
                   field("phase_one", &RankReport::one),
                   field("overflow", &RankReport::overflow),
                   field("phase_two", &RankReport::two),
                   field("exceeded", &RankReport::exceeded),
                   field("split_partitions", &RankReport::split_partitions),
                   field("cpu_user_s", &RankReport::cpu_user_s),
                   field("cpu_system_s", &RankReport::cpu_system_s),
                   field("elapsed_s", &RankReport::elapsed_s),
                   field("peak_resident_bytes", &RankReport::peak_resident_bytes),
                   field("budget_bytes", &RankReport::budget_bytes),
                   field("context_switches", &RankReport::switches),
                   field("padding_bytes", &RankReport::padding_bytes),
                   field("extents", &RankReport::extents),
                   field("sent_bytes", &RankReport::sent_bytes),
                   field("received_bytes", &RankReport::received_bytes),
                   field("first_arrival_input_fraction", &RankReport::first_arrival_input_fraction),
                   field("startup_s", &RankReport::startup_s),
                   field("phase_boundary_s", &RankReport::boundary_s),
                   field("links_sent_bytes_busy_ns", &RankReport::links),
                   field("cached_disks", &RankReport::cached_disks)};
};

/// The whole run, over all ranks.
struct RunReport {
    const PreparedSort* prepared = nullptr;
    const SortResult* result = nullptr;
    std::vector<RankReport> ranks;
    double elapsed_s = 0;            ///< launch to durable MANIFEST
    std::optional<CopyResult> copy;  ///< when the limit was measured
    std::string config_toml, system_json, mpi_library;

    std::uint64_t input_bytes() const;
    double per_tuple(std::uint64_t (*bytes)(const PhaseReport&)) const;  ///< over all phases and ranks
    double startup_s() const;                                            ///< of the rank that began to read last
    double reads_per_tuple() const;  ///< bytes our completed reads moved / input bytes
    double writes_per_tuple() const;
    double kernel_reads_per_tuple() const;
    double kernel_writes_per_tuple() const;
    const char* status() const;              ///< VALID or UNCHECKED; INVALID runs end in an error
    std::string of_limit() const;            ///< "0.93", "unmeasured"
    std::uint64_t split_partitions() const;  ///< not 0: two-pass was exceeded
    double sampled_share() const;            ///< of the input's bytes, read in phase zero
    bool is_cached() const;                  ///< some disk was not by-passing the page cache
};

std::string tables(const RunReport& report);
std::string result_line(const RunReport& report);
std::string result_json(const RunReport& report);

}  // namespace sluice
