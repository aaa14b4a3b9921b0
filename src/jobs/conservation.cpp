#include "jobs/conservation.hpp"

#include <algorithm>
#include <utility>

#include "net/collectives.hpp"
#include "plan/cluster.hpp"

namespace sluice {
namespace {

/// What each rank tells all others once it has heard its peers.
struct PhaseOneFacts {
    Problems pairs, changes, files;
    std::vector<std::string> notes;
    Excess excess;
    double since_launch_s = 0;
    static constexpr auto fields =
        std::tuple{&PhaseOneFacts::pairs, &PhaseOneFacts::changes, &PhaseOneFacts::files,
                   &PhaseOneFacts::notes, &PhaseOneFacts::excess,  &PhaseOneFacts::since_launch_s};
};

/// One member of all ranks' facts, by rank.
template <typename T>
std::vector<T> all_of(const std::vector<PhaseOneFacts>& facts, T PhaseOneFacts::*member) {
    std::vector<T> values;
    for (const PhaseOneFacts& rank : facts) values.push_back(rank.*member);
    return values;
}

std::vector<PeerWord> words_to_peers(const JobContext& job, const InputSet& input, const PhaseOneEnd& mine) {
    auto sums = sums_by_keeper(job, input, mine.sums_by_file);
    std::vector<PeerWord> words(job.ranks());
    for (std::uint32_t rank = 0; rank < job.ranks(); ++rank) {
        if (!mine.peers.empty()) words[rank].sent_records = mine.peers[rank].sent_records;
        words[rank].read = std::move(sums[rank]);
    }
    return words;
}

}  // namespace

Problems differing_pairs(std::uint32_t me, const std::vector<PeerCounters>& peers, const std::vector<PeerWord>& told) {
    Problems problems;
    for (std::uint32_t from = 0; from < peers.size(); ++from) {
        if (from == me) continue;  // no message leads there
        const std::uint64_t sent = told[from].sent_records, received = peers[from].received_records;
        if (sent == received) continue;
        problems.push_back({Errc::integrity, "rank " + std::to_string(from) + " sent " + std::to_string(sent) +
                                                 " records to rank " + std::to_string(me) + ", which received " +
                                                 std::to_string(received) +
                                                 "; nothing was published, check the network and sort again"});
    }
    return problems;
}

void check_pairs(JobContext& job, const std::vector<RecordSum>& made, const std::vector<RecordSum>& received) {
    fail_if_any(job, pair_problems(job.communicator, made, received));
}

Problems pair_problems(Communicator& communicator, const std::vector<RecordSum>& made,
                       const std::vector<RecordSum>& received) {
    const std::vector<RecordSum> told = exchange_by_rank(communicator, made);
    Problems problems;
    for (std::uint32_t from = 0; from < communicator.size(); ++from) {
        if (told[from] == received[from]) continue;
        problems.push_back(
            {Errc::integrity, "rank " + std::to_string(from) + " made " + told[from].text() + " for rank " +
                                  std::to_string(communicator.rank()) + ", which got " + received[from].text() +
                                  "; the network or the memory of one of them is faulty, shuffle again"});
    }
    return problems;
}

PhaseOneChecked check_phase_one(JobContext& job, const PreparedSort& prepared, const PhaseOneEnd& mine) {
    const InputSet& input = prepared.input;
    PhaseOneFacts facts;
    InputChanges changes = look_for_changes(job, input, prepared.slices);
    facts.changes = std::move(changes.problems);
    facts.notes = std::move(changes.notes);
    facts.excess = mine.excess;
    const std::vector<PeerWord> told = exchange_by_rank(job.communicator, words_to_peers(job, input, mine));
    // All ranks are here now, so that their clocks can be compared.
    if (mine.since_launch_s) facts.since_launch_s = mine.since_launch_s();
    facts.pairs = differing_pairs(job.rank(), mine.peers, told);
    std::vector<std::vector<FileSum>> read;
    for (const PeerWord& word : told) read.push_back(word.read);
    facts.files = differing_files(job, input, read);
    const auto all = all_gather(job.communicator, facts);
    say_all_notes(job, all_of(all, &PhaseOneFacts::notes));
    // In this order: each may be the cause of the next.
    fail_if_any(all_of(all, &PhaseOneFacts::pairs));
    fail_if_any(all_of(all, &PhaseOneFacts::changes));
    fail_if_any(all_of(all, &PhaseOneFacts::files));
    PhaseOneChecked checked;
    double worst = 0;
    for (const PhaseOneFacts& rank : all) {
        checked.launch_lag_s = std::max(checked.launch_lag_s, rank.since_launch_s - facts.since_launch_s);
        if (rank.excess.of_plan <= worst) continue;
        worst = rank.excess.of_plan;
        checked.excess = rank.excess.text;
    }
    return checked;
}

void PartOrder::add(const KeySpan& next) {
    if (next.first_key.empty()) return;
    if (whole_.first_key.empty()) {
        whole_ = next;
        return;
    }
    if (problem_.empty() && next.first_key < whole_.last_key) {
        problem_ = {Errc::integrity,
                    "part '" + next.part +
                        "' begins with a smaller key than the part before it ends with; nothing was published"};
    }
    whole_.last_key = next.last_key;
}

Problem conservation_problem(const RecordSum& read, const RecordSum& written, const InputSet& input, bool verified) {
    const auto differ = [](const char* what, const RecordSum& a, const char* other, const RecordSum& b) -> Problem {
        return {Errc::integrity, std::string(what) + " is " + a.text() + ", " + other + " is " + b.text() +
                                     "; records were lost or changed, nothing was published. Check disks and "
                                     "memory of the hosts, then sort again"};
    };
    if (read.count != written.count || (verified && !(read == written)))
        return differ("what phase one read", read, "what phase two wrote", written);
    if (!input.sums_are_known) return {};
    if (input.total.count != read.count || (verified && !(input.total == read)))
        return differ("the input's manifest", input.total, "what phase one read", read);
    return {};
}

SortAccount gather_account(JobContext& job, RankAccount mine, const InputSet& input) {
    const Step step = open_step(job, "gathers what was written");
    // Parts may be many: what has been packed goes, and so does what has been read.
    std::vector<std::string> texts = job.communicator.gather(pack(std::exchange(mine, {})), 0);
    SortAccount account;
    if (job.rank() != 0) return account;
    PartOrder order;
    std::vector<HostInput> listed;
    for (std::string& text : texts) {
        tick_step();
        RankAccount rank = unpack<RankAccount>(std::exchange(text, {}));
        account.read += rank.read;
        account.written += rank.written;
        order.add(rank.keys);
        listed.push_back(std::move(rank.input));
        account.problems.push_back(std::move(rank.problems));
        account.reports.push_back(std::move(rank.report));
        account.output.push_back(std::move(rank.output));
    }
    account.input_by_host = merge_hosts(std::move(listed));
    Problems& own = account.problems.front();
    if (!order.problem().empty()) own.insert(own.begin(), order.problem());
    const Problem lost = conservation_problem(account.read, account.written, input, job.config.run.verify);
    if (!lost.empty()) own.insert(own.begin(), lost);
    return account;
}

}  // namespace sluice
