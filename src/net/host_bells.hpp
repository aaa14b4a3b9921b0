#pragma once
/// The doorbells of the ranks of one host, in memory that they share. Internal to the net layer.

#include <mpi.h>

#include <cstdint>
#include <vector>

#include "runtime/doorbell.hpp"

namespace sluice {

/// Made and closed by all ranks together. Where memory cannot be shared (no room in /dev/shm, or not the same for all)
/// there are no bells, and network threads look for messages by themselves.
class HostBells {
public:
    explicit HostBells(MPI_Comm comm);
    HostBells(const HostBells&) = delete;
    /// This rank's, for its Doorbell; nullptr where there are none.
    SharedBell* mine() noexcept { return bells_.empty() ? nullptr : bells_[rank_]; }
    /// Nothing where the rank is on another host.
    void ring(std::uint32_t rank) {
        if (!bells_.empty() && bells_[rank] != nullptr) sluice::ring(*bells_[rank]);
    }
    bool one_host() const noexcept { return one_host_; }  ///< all ranks are here and share memory
    /// All ranks are here and have bells.
    bool reach_all() const noexcept { return one_host_ && !bells_.empty(); }
    /// Collective, when nobody rings any more.
    void close();

private:
    std::uint32_t rank_ = 0;
    bool one_host_ = true;
    MPI_Win window_ = MPI_WIN_NULL;
    std::vector<SharedBell*> bells_;  // by rank; nullptr: on another host
};

}  // namespace sluice
