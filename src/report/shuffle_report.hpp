#pragma once
/// What a shuffle says when it is done: tables for people, result.json, and the SHUFFLE line. Made on rank 0.

#include <cstdint>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "jobs/shuffle_job.hpp"
#include "jobs/shuffle_limit.hpp"
#include "runtime/fields.hpp"

namespace sluice {

/// One rank's figures, gathered by gather_shuffle_reports.
struct ShuffleRankReport {
    std::string host, placement, memory_pages;
    PhaseReport phase;
    std::vector<PeerCounters> peers;  ///< by rank
    NetworkBytes interfaces;          ///< of the whole host
    double cpu_user_s = 0, cpu_system_s = 0;
    std::uint64_t peak_resident_bytes = 0, budget_bytes = 0;
    static constexpr auto fields = std::tuple{field("host", &ShuffleRankReport::host),
                                              field("placement", &ShuffleRankReport::placement),
                                              field("memory_pages", &ShuffleRankReport::memory_pages),
                                              field("phase", &ShuffleRankReport::phase),
                                              field("peers", &ShuffleRankReport::peers),
                                              field("interfaces", &ShuffleRankReport::interfaces),
                                              field("cpu_user_s", &ShuffleRankReport::cpu_user_s),
                                              field("cpu_system_s", &ShuffleRankReport::cpu_system_s),
                                              field("peak_resident_bytes", &ShuffleRankReport::peak_resident_bytes),
                                              field("budget_bytes", &ShuffleRankReport::budget_bytes)};
};
/// By rank, on rank 0; empty elsewhere. Collective.
std::vector<ShuffleRankReport> gather_shuffle_reports(Communicator& communicator, const ShuffleRankReport& mine);

/// What one host exchanged with the others; with one host in all, what its ranks exchanged.
struct HostTraffic {
    std::string host;
    std::uint64_t sent_bytes = 0, received_bytes = 0;  ///< messages with their headers, by our count
    NetworkBytes interfaces;                           ///< by the kernel's
    static constexpr auto fields = std::tuple{
        field("host", &HostTraffic::host), field("sent_bytes", &HostTraffic::sent_bytes),
        field("received_bytes", &HostTraffic::received_bytes), field("interfaces", &HostTraffic::interfaces)};
};

/// The whole run, over all ranks.
struct ShuffleReport {
    const PreparedShuffle* prepared = nullptr;
    const ShuffleResult* result = nullptr;
    std::vector<ShuffleRankReport> ranks;
    std::optional<ShuffleLimit> limit;  ///< when it was measured
    std::string transport, config_toml, system_json, mpi_library;

    RecordSum records() const;
    std::uint64_t bytes() const;  ///< of records, those that stay on their rank included
    double elapsed_s() const;     ///< the slowest rank's
    double mb_per_s() const;
    std::vector<HostTraffic> hosts() const;
    /// Bytes between hosts over the hosts on the pattern's narrow side (all for all-to-all, the one receiver for
    /// all-to-one) and seconds.
    double wire_mb_per_s_per_host() const;
    const char* status() const;    ///< VALID or UNCHECKED; INVALID runs end in an error
    std::string of_limit() const;  ///< "0.93", "unmeasured", "INVALID(...)" above 1.02
};

std::string tables(const ShuffleReport& report);
std::string shuffle_line(const ShuffleReport& report);
std::string result_json(const ShuffleReport& report);

}  // namespace sluice
