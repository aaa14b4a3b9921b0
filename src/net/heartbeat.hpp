#pragma once
/// The watchdog's ears and mouth: small messages between neighbours, sent and received by the network thread.
/// Internal to the net layer.

#include <mpi.h>

#include <cstdint>
#include <vector>

#include "runtime/watchdog.hpp"

namespace sluice {

/// Up to 16 ranks everybody tells everybody; beyond that each rank tells those 1, 2, 4, ... after it, so that news of
/// progress reaches all in few steps. A message that has not gone out yet is not followed by another: bounded, and
/// nothing ever waits. Used by the network thread only.
class MpiHeartbeat {
public:
    /// Posts the receives and tells the watchdog whom to expect. Not collective.
    /// @param comm  of all ranks; heartbeats have a tag of their own there. @param watchdog  must outlive this
    MpiHeartbeat(MPI_Comm comm, Watchdog& watchdog);
    MpiHeartbeat(const MpiHeartbeat&) = delete;
    /// Cheap enough for every turn of a polling loop: most turns only look at the clock.
    void step();
    /// No more are sent; what is on its way is taken in. All ranks have said so, or one of them would be missed.
    void stop();

private:
    struct Out {
        int peer = 0;
        Heartbeat beat;
        MPI_Request request = MPI_REQUEST_NULL;
    };
    void receive();
    void send(const Heartbeat& beat);

    MPI_Comm comm_;
    Watchdog& watchdog_;
    std::uint64_t next_ns_ = 0, next_send_ns_ = 0;
    std::vector<Out> out_;
    std::vector<Heartbeat> in_;
    std::vector<MPI_Request> in_requests_;
    std::vector<int> sources_;
    bool running_ = true;
};

}  // namespace sluice
