#pragma once
/// Nothing lost, doubled or changed: the equations that hold before a sort publishes. Phase one is checked by two
/// calls, everything after it by one.

#include <functional>
#include <string>
#include <tuple>
#include <vector>

#include "jobs/intermediate_store.hpp"
#include "net/transport.hpp"
#include "plan/balance.hpp"
#include "plan/input_set.hpp"
#include "plan/prepared_sort.hpp"

namespace sluice {

/// What one rank tells another when phase one is over.
struct PeerWord {
    std::uint64_t sent_records = 0;  ///< to that rank
    std::vector<FileSum> read;       ///< of the files that the other one adds up
    static constexpr auto fields = std::tuple{&PeerWord::sent_records, &PeerWord::read};
};

/// The ranks from which `me` got another number of records than they sent. Local. @param peers  by rank; empty: nothing
/// went between ranks @param told  by rank
Problems differing_pairs(std::uint32_t me, const std::vector<PeerCounters>& peers, const std::vector<PeerWord>& told);

/// What was made up for another rank is what that one received, pair by pair: count and sum of the records, for runs
/// that keep none. Collective. Throws CollectiveError(integrity) naming a pair.
void check_pairs(JobContext& job, const std::vector<RecordSum>& made, const std::vector<RecordSum>& received);
/// The pairs of which this rank got something else than was made for it. Collective.
Problems pair_problems(Communicator& communicator, const std::vector<RecordSum>& made,
                       const std::vector<RecordSum>& received);

/// What a rank has to show at the end of phase one.
struct PhaseOneEnd {
    const std::vector<PeerCounters>& peers;      ///< by rank; empty: nothing went between ranks
    const std::vector<RecordSum>& sums_by_file;  ///< of what it read, by number of the file in the input
    Excess excess;
    const std::function<double()>& since_launch_s;  ///< by what this rank alone knows; empty: it does not matter
};
struct PhaseOneChecked {
    std::string excess;       ///< of the rank that has most of it, in one line; "": every rank can sort what it got
    double launch_lag_s = 0;  ///< by how much more the rank that was launched first has run than this one
};
/// What each rank sent to each is what that one received; the files are those that preflight saw, and hold what their
/// manifest says. Says files whose change time alone has moved. Collective: two calls. Throws CollectiveError.
PhaseOneChecked check_phase_one(JobContext& job, const PreparedSort& prepared, const PhaseOneEnd& mine);

/// The keys of one part, or of one part after the other; empty where there is no record.
struct KeySpan {
    std::string part;  ///< that `first_key` is in
    std::vector<std::byte> first_key, last_key;
    static constexpr auto fields = std::tuple{&KeySpan::part, &KeySpan::first_key, &KeySpan::last_key};
};

/// Parts, or the parts of one rank after the other, in the order that their keys should have.
class PartOrder {
public:
    void add(const KeySpan& next);
    const KeySpan& whole() const noexcept { return whole_; }
    /// Empty: each begins where the one before it ends, or above.
    const Problem& problem() const noexcept { return problem_; }

private:
    KeySpan whole_;
    Problem problem_;
};

/// What phase one read is what phase two wrote and, where that is known, what the input's manifest says.
/// @param verified  sums were taken, not only counts
Problem conservation_problem(const RecordSum& read, const RecordSum& written, const InputSet& input, bool verified);

/// What a rank tells rank 0 when its parts are written.
struct RankAccount {
    Problems problems;  ///< that stand against publishing
    RecordSum read, written;
    KeySpan keys;
    HostInput input;     ///< what it listed
    std::string report;  ///< SortOptions::report
    RankOutput output;   ///< last: it may be long
    static constexpr auto fields =
        std::tuple{&RankAccount::problems, &RankAccount::read,   &RankAccount::written, &RankAccount::keys,
                   &RankAccount::input,    &RankAccount::report, &RankAccount::output};
};
/// What rank 0 knows of the whole sort then.
struct SortAccount {
    std::vector<Problems> problems;  ///< by rank; rank 0's with those of all ranks together
    RecordSum read, written;
    std::vector<HostInput> input_by_host;
    std::vector<std::string> reports;  ///< by rank
    std::vector<RankOutput> output;    ///< by rank
};
/// On rank 0; empty elsewhere. Collective: one call.
SortAccount gather_account(JobContext& job, RankAccount mine, const InputSet& input);

}  // namespace sluice
