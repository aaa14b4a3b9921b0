// How large the messages between ranks are, and how many of them a rank has.
#include <algorithm>

#include "net/transport.hpp"
#include "net/transport_kind.hpp"
#include "plan/plan.hpp"
#include "plan/plan_internal.hpp"

namespace sluice {
namespace {

// Between hosts: Open MPI sends up to 64 KiB over TCP at once, header included, more only after a question and an
// answer that queue behind other data. docs/network.md has the difference, also of the figures below.
constexpr std::uint64_t kWantedHostMessageBytes = 60 * kKiB;
// A round of alltoallv begins when its words have come, behind data of rounds before, from everybody: with so many
// buffers for each peer the link has work meanwhile. A message of rma leaves its send buffer for the socket as soon as
// it has a slot: more slots for each peer are longer queues in the sockets, in which the words that slots are empty
// again wait, and shares of the link that differ more from peer to peer.
constexpr std::size_t kDeepRoundBuffers = 28, kPutsToCome = 3, kMoreSlots = 1;
// Of all peers together: 40 ms of a link of 100 Gbit/s, in which answers of ten thousand peers come behind data.
constexpr std::uint64_t kLinkBytes = 512 * kMiB;
// On one host the threads of all ranks take turns on the cores: what one makes in its turn has to lie somewhere. With
// rma that is in the receiver's memory, which lends it: send buffers are for what it cannot lend.
// alltoallv moves all there is in a round: it gains nothing by more messages, but by larger ones.
constexpr std::size_t kSpareMessages = 4, kSpareMessagesOfOneHost = 10;
constexpr std::uint64_t kWantedRoundMessageBytes = 2 * kMiB;
// Send buffers are worth this part of the budget. Where one for each distributor and peer is more they are shared, and
// then stay below these bytes too.
constexpr std::uint64_t kSendPoolPart = 50, kSharedPoolBytes = 2 * kGB;
// What a group writes by turns moves from core to core: with so many peers for each worker, seldom.
constexpr std::size_t kPeersForEachSharer = 8;

std::size_t few_spare(std::size_t peers) { return std::max(kSpareMessages, peers / 4); }

/// Groups of distributors that share open send buffers, as many as keep the pool within bounds; 0: each has its own.
unsigned plan_send_groups(const PhaseOnePlan& plan, std::size_t peers, std::size_t spare, std::uint64_t budget_bytes) {
    // Queues that a transport wants deep are no reason to share: without them the pool would be as small.
    const std::size_t few = std::min(spare, few_spare(peers));
    const std::uint64_t own_bytes = (plan.distributors * peers + few) * plan.message_bytes;
    if (own_bytes <= budget_bytes / kSendPoolPart) return 0;
    const std::uint64_t most_bytes = std::min(budget_bytes / kSendPoolPart, kSharedPoolBytes);
    const auto pool_bytes = [&](std::size_t groups) { return (groups * peers + spare) * plan.message_bytes; };
    const std::size_t largest_group = std::max<std::size_t>(1, peers / kPeersForEachSharer);
    auto groups = static_cast<unsigned>(ceil_div(plan.distributors, largest_group));
    while (groups < plan.distributors && pool_bytes(groups + 1) <= most_bytes) ++groups;
    return groups < plan.distributors ? groups : 0;
}

}  // namespace

SpareMessages spare_messages(TransportKind transport, std::size_t peers, bool several_hosts,
                             std::uint64_t message_bytes) {
    const std::size_t few = few_spare(peers);
    const auto of_each = [&](std::size_t each) {
        return std::max(few, std::min<std::size_t>(each * peers, kLinkBytes / message_bytes));
    };
    const auto both = [](std::size_t spare) { return SpareMessages{spare, spare}; };
    if (lends_memory(transport, several_hosts)) return {0, 2 * std::max(few, kSpareMessagesOfOneHost)};
    if (!several_hosts)
        return both(transport == TransportKind::alltoallv ? few : std::max(few, kSpareMessagesOfOneHost));
    if (transport == TransportKind::alltoallv) return both(of_each(kDeepRoundBuffers));
    if (transport == TransportKind::rma) return {of_each(kPutsToCome), of_each(kMoreSlots)};
    return both(few);
}

namespace planning {

Comfort between(Comfort comfort, const std::vector<RankResources>& ranks) {
    comfort.several_hosts =
        std::any_of(ranks.begin(), ranks.end(), [&](const RankResources& r) { return r.host != ranks.front().host; });
    if (comfort.several_hosts) comfort.message_bytes = std::min(comfort.message_bytes, kWantedHostMessageBytes);
    return comfort;
}

void agree_on_messages(SortPlan& plan) {
    std::uint64_t message_bytes = plan.ranks.front().one.message_bytes;
    for (const RankPlan& rank : plan.ranks) message_bytes = std::min(message_bytes, rank.one.message_bytes);
    for (RankPlan& rank : plan.ranks) rank.one.message_bytes = message_bytes;
}

void plan_messages(PhaseOnePlan& plan, const Config& config, RecordFormat format, std::size_t ranks,
                   const Comfort& comfort, std::uint64_t budget_bytes) {
    const TransportKind transport = config.net.transport;
    const bool large = comfort.roomy && !comfort.several_hosts && transport == TransportKind::alltoallv;
    const std::uint64_t wanted_bytes =
        pick(config.net.buffer_size_bytes, large ? kWantedRoundMessageBytes : comfort.message_bytes);
    const std::uint64_t payload = std::max<std::uint64_t>(format.record_bytes, wanted_bytes - kHeaderBytes);
    plan.message_bytes = round_up(kHeaderBytes + round_down(payload, format.record_bytes), kDirectIoAlign);
    const std::size_t peers = ranks - 1;
    SpareMessages spare;
    if (comfort.roomy) {
        spare = spare_messages(transport, peers, comfort.several_hosts, plan.message_bytes);
    } else if (comfort.spare_buffers) {
        spare.send = spare.receive = few_spare(peers);
    }
    if (config.net.send_buffers < plan.distributors * peers)  // as many were asked for: each has its own
        plan.send_groups = plan_send_groups(plan, peers, spare.send, budget_bytes);
    plan.send_buffers = std::max<std::size_t>(config.net.send_buffers, plan.open_send_buffers() * peers + spare.send);
    plan.least_receive_buffers = usable_receive_buffers(transport, least_receive_buffers(transport, ranks), ranks);
    std::size_t planned =
        comfort.spare_buffers ? peers + spare.receive + plan.logical_disk_distributors : plan.least_receive_buffers;
    // Enough to lend each open buffer of a peer, with one under way and the one that is never lent.
    if (comfort.roomy && lends_memory(transport, comfort.several_hosts))
        planned = std::max(planned, peers * (plan.open_send_buffers() + 2));
    plan.receive_in_window = transport == TransportKind::rma;
    plan.receive_buffers = usable_receive_buffers(transport, pick(config.net.receive_buffers, planned), ranks);
}

}  // namespace planning
}  // namespace sluice
