#pragma once
/// The speed of light of a shuffle: each of its steps alone, on the same ranks with the same plan, all ranks at once,
/// by the processor time it takes.

#include <cstdint>
#include <vector>

#include "jobs/shuffle_job.hpp"

namespace sluice {

/// Seconds that the cores of one host, all of them busy with one step, need for what its ranks had to do in the
/// shuffle: processor time of the step alone per byte, times the bytes, over the cores. So it is the same whatever else
/// the machine does meanwhile, and no order of the steps over the cores beats their sum. Where ranks are on several
/// hosts the transport waits for links, not for cores, and takes as long as it did by the clock, if that is longer.
struct ShuffleStepTimes {
    double distribute_s = 0;    ///< what they made
    double transport_s = 0;     ///< the larger of what they sent to and got from other ranks
    double redistribute_s = 0;  ///< what they got from other ranks
    double check_s = 0;         ///< what they dropped
    double sum_s() const { return distribute_s + transport_s + redistribute_s + check_s; }
};

/// What cores that do nothing but the four steps can reach: 1 / sum(1/rate), each rate being that of this shuffle's
/// records through one step with all cores. Ranks of one host share its cores, so hosts count; the one with the most to
/// do decides. Rates in 10^6 bytes of records a second, cluster-wide.
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
