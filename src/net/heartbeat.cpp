#include "net/heartbeat.hpp"

#include "net/mpi_check.hpp"
#include "runtime/steady_clock.hpp"

namespace sluice {
namespace {

constexpr int kBeatTag = 8;
constexpr int kEverybody = 16;  // ranks; beyond, neighbours at distances 1, 2, 4, ...

}  // namespace

MpiHeartbeat::MpiHeartbeat(MPI_Comm comm, Watchdog& watchdog) : comm_(comm), watchdog_(watchdog) {
    int rank = 0, size = 1;
    check_mpi(MPI_Comm_rank(comm, &rank), "MPI_Comm_rank");
    check_mpi(MPI_Comm_size(comm, &size), "MPI_Comm_size");
    std::vector<std::uint32_t> peers;
    for (int distance = 1; distance < size; distance = size <= kEverybody ? distance + 1 : 2 * distance) {
        out_.push_back({(rank + distance) % size, {}, MPI_REQUEST_NULL});
        sources_.push_back((rank + size - distance) % size);
        peers.push_back(static_cast<std::uint32_t>(sources_.back()));
    }
    in_.resize(sources_.size());
    in_requests_.assign(sources_.size(), MPI_REQUEST_NULL);
    for (std::size_t i = 0; i < sources_.size(); ++i) {
        check_mpi(MPI_Irecv(&in_[i], sizeof in_[i], MPI_BYTE, sources_[i], kBeatTag, comm_, &in_requests_[i]),
                  "MPI_Irecv");
    }
    watchdog_.listen_to(static_cast<std::uint32_t>(rank), static_cast<std::uint32_t>(size), peers);
}

void MpiHeartbeat::step() {
    if (!running_) return;
    const std::uint64_t now_ns = steady_ns();
    if (now_ns < next_ns_) return;
    const std::uint64_t interval_ns = watchdog_.beat_interval_ns();
    next_ns_ = now_ns + (interval_ns == 0 ? 250'000'000 : interval_ns / 4);
    const Heartbeat mine = watchdog_.pulse();
    receive();
    if (interval_ns == 0 || now_ns < next_send_ns_) return;
    next_send_ns_ = now_ns + interval_ns;
    send(mine);
}

void MpiHeartbeat::receive() {
    for (int index = 0, done = 1; !in_requests_.empty();) {
        check_mpi(MPI_Testany(mpi_int(in_requests_.size()), in_requests_.data(), &index, &done, MPI_STATUS_IGNORE),
                  "MPI_Testany");
        if (done == 0 || index == MPI_UNDEFINED) return;
        const auto i = static_cast<std::size_t>(index);
        watchdog_.heard(in_[i]);
        check_mpi(MPI_Irecv(&in_[i], sizeof in_[i], MPI_BYTE, sources_[i], kBeatTag, comm_, &in_requests_[i]),
                  "MPI_Irecv");
    }
}

void MpiHeartbeat::send(const Heartbeat& beat) {
    for (Out& out : out_) {
        if (out.request != MPI_REQUEST_NULL) {
            int done = 0;
            check_mpi(MPI_Test(&out.request, &done, MPI_STATUS_IGNORE), "MPI_Test");
            if (done == 0) continue;  // the peer does not take it: it will say why, or be silent itself
        }
        out.beat = beat;
        check_mpi(MPI_Isend(&out.beat, sizeof out.beat, MPI_BYTE, out.peer, kBeatTag, comm_, &out.request),
                  "MPI_Isend");
    }
}

void MpiHeartbeat::stop() {
    if (!running_) return;
    running_ = false;
    watchdog_.stop_listening();
    for (Out& out : out_) MPI_Wait(&out.request, MPI_STATUS_IGNORE);  // small: gone long ago
    for (MPI_Request& request : in_requests_) {
        if (request == MPI_REQUEST_NULL) continue;
        MPI_Cancel(&request);
        MPI_Wait(&request, MPI_STATUS_IGNORE);
    }
}

}  // namespace sluice
