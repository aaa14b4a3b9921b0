#pragma once
/// The doorbells of the ranks of one host, in memory that they share. Internal to the net layer.

#include <cstdint>
#include <string>
#include <vector>

#include "runtime/doorbell.hpp"

namespace sluice {

/// Each rank's bell is a file of one page in /dev/shm, which also proves that the ranks of a host share memory:
/// containers may give each rank a /dev/shm of its own. No call of MPI is needed for it, only the names in words that
/// the ranks exchange anyway. Where there are no bells, network threads look for messages by themselves. Used by the
/// main thread.
class HostBells {
public:
    /// Makes this rank's, unless it is the only one. No room in /dev/shm: there is none.
    HostBells(std::uint32_t rank, std::uint32_t ranks);
    ~HostBells();
    HostBells(const HostBells&) = delete;

    /// By which the others of this host find this rank's bell; "" where it has none.
    const std::string& name() const noexcept { return name_; }
    /// Finds those of the others of this host. @param name_by_rank  of the whole job
    /// @return all were there, and MPI was not told to share no memory
    bool find(const std::vector<std::string>& name_by_rank, const std::vector<std::uint32_t>& ranks_here);
    /// Every rank has looked: the name goes. @param one_host  all ranks are on this host and found all bells
    void settle(bool one_host);

    /// This rank's, for its Doorbell; nullptr where there is none.
    SharedBell* mine() noexcept { return bells_.empty() ? nullptr : bells_[rank_]; }
    /// Nothing where the rank is on another host, or its bell was not found.
    void ring(std::uint32_t rank) {
        if (!bells_.empty() && bells_[rank] != nullptr) sluice::ring(*bells_[rank]);
    }
    bool one_host() const noexcept { return one_host_; }  ///< all ranks are here and share memory
    /// All ranks are here and have bells.
    bool reach_all() const noexcept { return one_host_ && !bells_.empty(); }
    /// When this rank rings and waits no more; others may still ring it.
    void close();

private:
    std::uint32_t rank_ = 0;
    std::string name_;
    bool one_host_;
    std::vector<SharedBell*> bells_;  // by rank; nullptr: on another host
};

}  // namespace sluice
