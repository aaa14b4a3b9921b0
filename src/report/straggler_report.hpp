#pragma once
/// Who made the others wait: the slowest host, disk and link of a sort or a shuffle, by what each of them carried while
/// it was busy. Made on rank 0 from the reports of all ranks.

#include <optional>
#include <string>
#include <vector>

#include "report/shuffle_report.hpp"
#include "report/sort_report.hpp"

namespace sluice {

/// One host, disk or link against its like.
struct Straggler {
    std::string name;  ///< "n03", "/mnt/d1 on n03 (writes of phase one)", "of n03"
    double mb_per_s = 0;
    double of_median = 1;    ///< its rate over the median's of its kind; 1 when it is alone
    std::size_t among = 0;   ///< how many were compared
    double last_done_s = 0;  ///< host: when its last worker of the slower phase ended
    std::string phase;
};

/// The slowest of each kind.
struct Stragglers {
    std::optional<Straggler> host, disk, link;  ///< nullopt: nothing to compare, or nothing was measured
};

/// The host is the one that ends a phase last, by the phase in which it is latest against the median; its rate is the
/// bytes its disks moved in that phase over its time. A disk is compared with disks of the same use, by bytes over the
/// time in which it had requests. A link is a host's, by the median rate of the messages between it and each other
/// host while at least one was under way.
Stragglers find_stragglers(const std::vector<RankReport>& ranks);
/// The same of a shuffle, which has no disks: a host's rate is of the messages it sent and received.
Stragglers find_stragglers(const std::vector<ShuffleRankReport>& ranks);

/// Three lines for people, each only where there is something to say.
std::string stragglers_text(const Stragglers& found);
std::string stragglers_json(const Stragglers& found);
/// "phase one done 0.71-0.75 s, phase two 0.60-0.82 s": first and last worker of this rank.
std::string done_text(const RankReport& rank);
/// ranks.csv: one line a rank and phase: first and last worker done, bytes moved.
std::string ranks_csv(const std::vector<RankReport>& ranks);

}  // namespace sluice
