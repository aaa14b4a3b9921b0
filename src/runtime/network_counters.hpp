#pragma once
/// Bytes that the network interfaces of this host moved, by the kernel's count.

#include <cstdint>
#include <string>

#include "runtime/fields.hpp"

namespace sluice {

/// Bytes since the interfaces came up; the difference of two looks is what went by between them.
struct NetworkBytes {
    std::uint64_t received = 0, sent = 0;  ///< headers of Ethernet, IP and TCP included, as the driver counts them
    bool known = false;
    NetworkBytes operator-(const NetworkBytes& earlier) const {
        return {received - earlier.received, sent - earlier.sent, known && earlier.known};
    }
    static constexpr auto fields = std::tuple{field("received", &NetworkBytes::received),
                                              field("sent", &NetworkBytes::sent), field("known", &NetworkBytes::known)};
};

/// Over all interfaces but the loopback, in this process' network namespace.
/// @param root  prefix of /proc, for tests.
NetworkBytes read_network_bytes(const std::string& root = "");

}  // namespace sluice
