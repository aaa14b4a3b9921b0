#include "jobs/conservation.hpp"

#include "jobs/cluster.hpp"
#include "runtime/packing.hpp"

namespace sluice {

void check_pairs(JobContext& job, const std::vector<PeerCounters>& peers) {
    if (job.ranks() > 1) fail_if_any(job, pair_problems(job.communicator, peers));
}

std::vector<std::string> pair_problems(Communicator& communicator, const std::vector<PeerCounters>& peers) {
    std::vector<std::string> sent;
    for (std::uint32_t to = 0; to < communicator.size(); ++to)
        sent.push_back(pack(peers.empty() ? std::uint64_t{0} : peers[to].sent_records));
    const auto said = communicator.exchange(sent);
    std::vector<std::string> problems;
    for (std::uint32_t from = 0; from < communicator.size() && !peers.empty(); ++from) {
        const auto sent_records = unpack<std::uint64_t>(said[from]);
        if (from == communicator.rank() || sent_records == peers[from].received_records) continue;
        problems.push_back("[6] rank " + std::to_string(from) + " sent " + std::to_string(sent_records) +
                           " records to rank " + std::to_string(communicator.rank()) + ", which received " +
                           std::to_string(peers[from].received_records) +
                           "; nothing was published, check the network and sort again");
    }
    return problems;
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
    std::vector<PartFact> parts;
    std::vector<std::string> problems;
    const std::vector<std::byte>* last = nullptr;
    for (const std::string& text : job.communicator.gather(pack(mine), 0)) {
        if (text.empty()) continue;  // on the other ranks all are
        for (PartFact& part : unpack<std::vector<PartFact>>(text)) parts.push_back(std::move(part));
    }
    for (const PartFact& part : parts) {
        tick_step();
        if (last != nullptr && !part.first_key.empty() && part.first_key < *last) {
            problems.push_back("[6] part '" + part.name +
                               "' begins with a smaller key than the part before it ends with; nothing was published");
            break;
        }
        if (!part.first_key.empty()) last = &part.last_key;
    }
    fail_if_any(job, problems);
    return parts;
}

}  // namespace sluice
