#pragma once
/// The control plane over MPI. Internal to the net layer.

#include <mpi.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "net/communicator.hpp"
#include "net/failure_news.hpp"
#include "net/heartbeat.hpp"

namespace sluice {

/// MPI has no integers of 128 bits, nor their sum. MPI_Finalize frees what is made here.
class Sum128 {
public:
    Sum128();
    MPI_Datatype type() const noexcept { return type_; }
    MPI_Op operation() const noexcept { return operation_; }

private:
    MPI_Datatype type_ = MPI_DATATYPE_NULL;
    MPI_Op operation_ = MPI_OP_NULL;
};

/// Control texts and numbers in nonblocking collectives: whoever waits in one sends heartbeats and hears of failures
/// meanwhile. Used by the network thread only; MPI's errors are Error(internal).
class MpiCommunicator final : public Communicator {
public:
    /// @param comm  a communicator of its own, which outlives it; errors there are returned
    /// @param watchdog  as MpiSession's; outlives it, may be nullptr
    /// @param most_bytes  of one call: longer texts go in pieces
    MpiCommunicator(MPI_Comm comm, Watchdog* watchdog, std::uint64_t most_bytes);
    std::uint32_t rank() const override { return rank_; }
    std::uint32_t size() const override { return size_; }
    void barrier() override;
    void barrier_or_failure() override { barrier(); }
    std::string broadcast(std::string text, std::uint32_t root) override;
    std::vector<std::string> gather(const std::string& text, std::uint32_t root) override;
    std::vector<std::string> all_gather(const std::string& text) override;
    std::vector<std::string> exchange(const std::vector<std::string>& to_rank) override;
    std::vector<Uint128> sum(std::vector<Uint128> mine) override;
    double maximum(double mine) override;
    void announce_failure(const Failure& failure) override;
    std::optional<Failure> poll_failure() override;
    /// The last barrier is behind everybody: nobody is missed any more.
    void stop_heartbeat();

private:
    std::size_t gather_slot() const;
    void gather_rests(const std::string& text, std::size_t come, std::vector<std::string>& texts);
    void swap_texts(const std::string& out, std::uint32_t to, std::string& in, std::uint32_t from, std::size_t come);
    void wait(MPI_Request& request);

    MPI_Comm comm_;
    Sum128 sum_;
    // Where another rank's failure ends a wait, MPI may still read and write there.
    std::vector<std::byte> slots_out_, slots_in_;
    std::vector<Uint128> summands_, sums_;
    double own_ = 0, largest_ = 0;
    Watchdog* watchdog_;
    std::uint64_t most_bytes_;
    std::optional<MpiHeartbeat> heartbeat_;
    FailureNews news_;
    std::uint32_t rank_ = 0, size_ = 1;
};

}  // namespace sluice
