#pragma once
/// The speed of light of a shuffle: each of its steps alone, on the same ranks with the same plan, all ranks at once.

#include <cstdint>
#include <vector>

#include "jobs/shuffle_job.hpp"

namespace sluice {

/// Seconds that each step alone would need for what the ranks of one host had to do in the shuffle.
struct ShuffleStepTimes {
    double distribute_s = 0;    ///< what they made
    double transport_s = 0;     ///< the larger of what they sent to and got from other ranks
    double redistribute_s = 0;  ///< what they got from other ranks
    double check_s = 0;         ///< what they dropped
    double sum_s() const { return distribute_s + transport_s + redistribute_s + check_s; }
};

/// What cores that do all four steps in turn can reach: 1 / sum(1/rate), each rate being that of this shuffle's records
/// through one step. Ranks of one host share its cores, so hosts count; the one with the most to do decides. Rates in
/// 10^6 bytes of records a second, cluster-wide.
struct ShuffleLimit {
    std::vector<ShuffleStepTimes> hosts;
    std::uint64_t bytes = 0;  ///< of records in the shuffle
    double rate_mb_per_s(double ShuffleStepTimes::*step) const;
    double mb_per_s() const;
};

/// Measures each step for about `step_ns`, in rounds of which the best counts, after a shuffle. Collective. Keys of at
/// least 8 bytes.
ShuffleLimit measure_shuffle_limit(JobContext& job, const PreparedShuffle& prepared, const ShuffleResult& result,
                                   std::uint64_t step_ns);

}  // namespace sluice
