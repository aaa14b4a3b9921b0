#include "net/transport_kind.hpp"

#include <algorithm>

#include "runtime/error.hpp"

namespace sluice {

TransportKind chosen_transport(TransportKind configured, std::size_t ranks, bool several_hosts, bool memory_has_room) {
    if (configured != TransportKind::automatic) return configured;
    return ranks > 1 && !several_hosts && memory_has_room ? TransportKind::rma : TransportKind::p2p;
}

bool lends_memory(TransportKind transport, bool several_hosts) {
    return transport == TransportKind::rma && !several_hosts;
}

std::size_t least_receive_buffers(TransportKind transport, std::size_t ranks) {
    if (ranks < 2) return 0;
    return transport == TransportKind::alltoallv ? 1 : ranks - 1;
}

std::size_t usable_receive_buffers(TransportKind transport, std::size_t wanted, std::size_t ranks) {
    const std::size_t buffers = std::max(wanted, least_receive_buffers(transport, ranks));
    if (transport != TransportKind::rma || ranks < 2) return buffers;
    const std::size_t peers = ranks - 1;
    return (buffers + peers - 1) / peers * peers;
}

std::string receive_rule(TransportKind transport, std::size_t ranks) {
    if (transport == TransportKind::alltoallv) return "a round moves nothing without one";
    return (transport == TransportKind::rma ? "one slot to put into for each of "
                                            : "one standing credit for each of ") +
           std::to_string(ranks - 1) + " peers";
}

std::string transport_label(TransportKind transport, bool several_hosts) {
    return transport == TransportKind::rma && several_hosts ? "rma (emulated by messages)" : word_of(transport);
}

void require_receive_buffers(TransportKind transport, std::size_t buffers, std::size_t ranks) {
    const std::size_t least = least_receive_buffers(transport, ranks);
    if (buffers >= least) return;
    throw Error(Errc::config, "net.receive_buffers: " + std::to_string(buffers) +
                                  " are too few for net.transport = \"" + word_of(transport) + "\" on " +
                                  std::to_string(ranks) + " ranks: " + receive_rule(transport, ranks) +
                                  "; set >= " + std::to_string(least));
}

}  // namespace sluice
