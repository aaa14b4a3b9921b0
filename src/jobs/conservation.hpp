#pragma once
/// Nothing lost, doubled or changed: the equations that hold before a sort publishes.

#include <string>
#include <vector>

#include "jobs/output_set.hpp"
#include "jobs/sort_job.hpp"
#include "plan/input_set.hpp"
#include "record/record_checker.hpp"

namespace sluice {

/// What one rank sent to another is what that one received, pair by pair. Collective. Throws CollectiveError(integrity)
/// naming a pair. Cost: eight bytes a pair.
void check_pairs(JobContext& job, const std::vector<PeerCounters>& peers);

/// The same for what was made up for another rank: count and sum of the records, for runs that keep none.
void check_pairs(JobContext& job, const std::vector<RecordSum>& made, const std::vector<RecordSum>& received);

/// The pairs of which this rank got something else than was sent. Collective. @param peers  by rank; empty: none sent
Problems pair_problems(Communicator& communicator, const std::vector<PeerCounters>& peers);
Problems pair_problems(Communicator& communicator, const std::vector<RecordSum>& made,
                       const std::vector<RecordSum>& received);

/// What phase one read is what phase two wrote and, where that is known, what the input's manifest says. Throws
/// CollectiveError(integrity); all ranks know the same sums.
void check_conservation(const SortResult& result, const InputSet& input);

/// One part of the output as its rank wrote it.
struct PartFact {
    std::string name;
    std::uint32_t disk = 0, partition = 0;  ///< of the data set, both
    RecordSum sum;
    std::vector<std::byte> first_key, last_key;
    static constexpr auto fields = std::tuple{&PartFact::name, &PartFact::disk,      &PartFact::partition,
                                              &PartFact::sum,  &PartFact::first_key, &PartFact::last_key};
};

/// The parts of all ranks in key order, on rank 0; none elsewhere. Collective.
/// @throws CollectiveError(integrity) where a part begins below the end of the one before it, on all ranks
std::vector<PartFact> gather_parts(JobContext& job, const std::vector<PartFact>& mine);

}  // namespace sluice
