#include "jobs/conservation.hpp"

#include "net/collectives.hpp"
#include "plan/cluster.hpp"

namespace sluice {

namespace {

/// Each rank hears from each other what that one had for it, and asks `judge(from, said)`, empty where it got the
/// same.
template <typename Fact, typename Judge>
Problems differing_pairs(Communicator& communicator, const std::vector<Fact>& for_rank, Judge judge) {
    const std::vector<Fact> said = exchange_by_rank(communicator, for_rank);
    Problems problems;
    for (std::uint32_t from = 0; from < communicator.size(); ++from) {
        Problem found = judge(from, said[from]);
        if (!found.empty()) problems.push_back(std::move(found));
    }
    return problems;
}

}  // namespace

void check_pairs(JobContext& job, const std::vector<PeerCounters>& peers) {
    if (job.ranks() > 1) fail_if_any(job, pair_problems(job.communicator, peers));
}

void check_pairs(JobContext& job, const std::vector<RecordSum>& made, const std::vector<RecordSum>& received) {
    fail_if_any(job, pair_problems(job.communicator, made, received));
}

Problems pair_problems(Communicator& communicator, const std::vector<PeerCounters>& peers) {
    const std::uint32_t me = communicator.rank();
    std::vector<std::uint64_t> sent(communicator.size()), received(communicator.size());
    for (std::uint32_t rank = 0; rank < peers.size(); ++rank) {
        if (rank == me) continue;  // no message leads there
        sent[rank] = peers[rank].sent_records;
        received[rank] = peers[rank].received_records;
    }
    return differing_pairs(communicator, sent, [&](std::uint32_t from, std::uint64_t said) -> Problem {
        if (said == received[from]) return {};
        return {Errc::integrity, "rank " + std::to_string(from) + " sent " + std::to_string(said) +
                                     " records to rank " + std::to_string(me) + ", which received " +
                                     std::to_string(received[from]) +
                                     "; nothing was published, check the network and sort again"};
    });
}

Problems pair_problems(Communicator& communicator, const std::vector<RecordSum>& made,
                       const std::vector<RecordSum>& received) {
    return differing_pairs(communicator, made, [&](std::uint32_t from, const RecordSum& said) -> Problem {
        if (said == received[from]) return {};
        return {Errc::integrity, "rank " + std::to_string(from) + " made " + said.text() + " for rank " +
                                     std::to_string(communicator.rank()) + ", which got " + received[from].text() +
                                     "; the network or the memory of one of them is faulty, shuffle again"};
    });
}

void check_conservation(const SortResult& result, const InputSet& input) {
    const auto differ = [&](const char* what, const RecordSum& a, const char* other, const RecordSum& b) {
        throw CollectiveError(Errc::integrity,
                              std::string(what) + " is " + a.text() + ", " + other + " is " + b.text() +
                                  "; records were lost or changed, nothing was published. Check disks and "
                                  "memory of the hosts, then sort again");
    };
    if (result.input.count != result.output.count || (result.verified && !(result.input == result.output)))
        differ("what phase one read", result.input, "what phase two wrote", result.output);
    if (!input.sums_are_known) return;
    if (input.total.count != result.input.count || (result.verified && !(input.total == result.input)))
        differ("the input's manifest", input.total, "what phase one read", result.input);
}

std::vector<PartFact> gather_parts(JobContext& job, const std::vector<PartFact>& mine) {
    const Step step = open_step(job, "gathers what was written");
    std::vector<PartFact> parts = gather_list(job.communicator, mine);
    Problems problems;
    const std::vector<std::byte>* last = nullptr;
    for (const PartFact& part : parts) {
        tick_step();
        if (last != nullptr && !part.first_key.empty() && part.first_key < *last) {
            problems.push_back(
                {Errc::integrity,
                 "part '" + part.name +
                     "' begins with a smaller key than the part before it ends with; nothing was published"});
            break;
        }
        if (!part.first_key.empty()) last = &part.last_key;
    }
    fail_if_any(job, problems);
    return parts;
}

}  // namespace sluice
