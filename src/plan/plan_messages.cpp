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
// On one host the threads of all ranks take turns on the cores: what one makes in its turn has to lie somewhere. With
// rma that is in the receiver's memory, which lends it: send buffers are for what it cannot lend.
// alltoallv moves all there is in a round: it gains nothing by more messages, but by larger ones.
constexpr std::size_t kSpareMessages = 4, kSpareMessagesOfOneHost = 10;
constexpr std::uint64_t kWantedRoundMessageBytes = 2 * kMiB;

}  // namespace

SpareMessages spare_messages(TransportKind transport, std::size_t peers, bool several_hosts) {
    const std::size_t few = std::max(kSpareMessages, peers / 4);
    const auto both = [](std::size_t spare) { return SpareMessages{spare, spare}; };
    if (lends_memory(transport, several_hosts)) return {0, 2 * std::max(few, kSpareMessagesOfOneHost)};
    if (!several_hosts)
        return both(transport == TransportKind::alltoallv ? few : std::max(few, kSpareMessagesOfOneHost));
    if (transport == TransportKind::alltoallv) return both(kDeepRoundBuffers * peers);
    if (transport == TransportKind::rma) return {std::max(few, kPutsToCome * peers), std::max(few, kMoreSlots * peers)};
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
                   const Comfort& comfort) {
    const TransportKind transport = config.net.transport;
    const bool large = comfort.roomy && !comfort.several_hosts && transport == TransportKind::alltoallv;
    const std::uint64_t wanted_bytes =
        pick(config.net.buffer_size_bytes, large ? kWantedRoundMessageBytes : comfort.message_bytes);
    const std::uint64_t payload = std::max<std::uint64_t>(format.record_bytes, wanted_bytes - kHeaderBytes);
    plan.message_bytes = round_up(kHeaderBytes + round_down(payload, format.record_bytes), kDirectIoAlign);
    const std::size_t peers = ranks - 1;
    SpareMessages spare;
    if (comfort.roomy) {
        spare = spare_messages(transport, peers, comfort.several_hosts);
    } else if (comfort.spare_buffers) {
        spare.send = spare.receive = std::max(kSpareMessages, peers / 4);
    }
    plan.send_buffers = std::max<std::size_t>(config.net.send_buffers, plan.distributors * peers + spare.send);
    plan.least_receive_buffers = usable_receive_buffers(transport, least_receive_buffers(transport, ranks), ranks);
    std::size_t planned =
        comfort.spare_buffers ? peers + spare.receive + plan.logical_disk_distributors : plan.least_receive_buffers;
    // Enough to lend one to each distributor of a peer, with one under way and the one that is never lent.
    if (comfort.roomy && lends_memory(transport, comfort.several_hosts))
        planned = std::max(planned, peers * (plan.distributors + 2));
    plan.receive_in_window = transport == TransportKind::rma;
    plan.receive_buffers = usable_receive_buffers(transport, pick(config.net.receive_buffers, planned), ranks);
}

}  // namespace planning
}  // namespace sluice
