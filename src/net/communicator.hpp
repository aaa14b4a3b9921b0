#pragma once
/// Control plane of a job: collectives on short texts, and the news of a failure. MPI on its own communicator, or
/// in-process.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "record/uint128.hpp"
#include "runtime/error.hpp"

namespace sluice {

/// Collective calls are made by all ranks in the same order, from the rank's main thread only.
class Communicator {
public:
    virtual ~Communicator() = default;
    virtual std::uint32_t rank() const = 0;
    virtual std::uint32_t size() const = 0;
    virtual void barrier() = 0;
    /// The root's text, on all ranks.
    virtual std::string broadcast(std::string text, std::uint32_t root = 0) = 0;
    /// Everybody's text, by rank, on all ranks. Texts may be long (hundreds of MB in all) and hold any bytes.
    virtual std::vector<std::string> all_gather(const std::string& text) = 0;

    /// Everybody's text, by rank, on the root; empty texts elsewhere. Bounds as all_gather.
    virtual std::vector<std::string> gather(const std::string& text, std::uint32_t root = 0) = 0;

    /// A text for each rank, and each rank's for this one, by rank. Collective. Cost: the texts, and eight bytes a
    /// pair.
    virtual std::vector<std::string> exchange(const std::vector<std::string>& to_rank) = 0;

    /// The sums over all ranks, number by number, on all ranks; each rank gives as many numbers. Modulo 2^128.
    virtual std::vector<Uint128> sum(std::vector<Uint128> mine) = 0;
    /// The largest of all ranks' numbers, on all ranks.
    virtual double maximum(double mine) = 0;

    struct Failure {
        std::uint32_t rank = 0;  ///< who failed first
        int exit_code = 1;
        std::string message;
    };
    /// Tells all other ranks, without waiting for them; `failure` is this rank's. Main thread only.
    virtual void announce_failure(const Failure& failure) = 0;
    /// A failure somebody announced, if one has arrived; waits for nothing but for the news to be told on, 100 ms at
    /// most. Main thread only.
    virtual std::optional<Failure> poll_failure() = 0;
    /// As barrier(), but throws AbortedError when a rank announces a failure instead of coming. Waits without burning a
    /// core.
    virtual void barrier_or_failure() = 0;
};

inline AbortedError aborted_by(const Communicator::Failure& failure) {
    return {failure.rank, static_cast<Errc>(failure.exit_code), failure.message};
}

/// A look at the other ranks: throws AbortedError when one has failed. Main thread only.
inline void throw_if_aborted(Communicator& communicator) {
    if (const auto failure = communicator.poll_failure()) throw aborted_by(*failure);
}

}  // namespace sluice
