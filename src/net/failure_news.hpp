#pragma once
/// The news of a failure, from one rank to all. Internal to the net layer.

#include <mpi.h>

#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "net/communicator.hpp"
#include "net/news_tree.hpp"

namespace sluice {

/// Sends news down a tree whose root is the rank that failed, so that nobody sends to ten thousand. A rank that is gone
/// cuts off whoever stands below it: the root goes on and tells all others itself while its time lasts. Several ranks
/// may fail at once; each has a tree of its own, and what a rank has heard already it takes in and forgets.
/// Used by the network thread only. Errors of a send are not thrown: the peer may be gone as well.
class FailureNews {
public:
    enum class Reach : std::uint8_t { tree_only, everybody };

    /// @param comm     outlives it; news have a tag of their own there
    /// @param fan_out  of the tree
    /// @param reach    what the root tells itself: its children, or everybody after them
    explicit FailureNews(MPI_Comm comm, std::uint32_t fan_out = NewsTree::kFanOut, Reach reach = Reach::everybody);
    FailureNews(const FailureNews&) = delete;

    /// Tells all other ranks. Returns when the news are on their way, after 200 ms at most.
    void announce(const Communicator::Failure& failure);
    /// News that nobody has told this rank yet, if some have arrived; of several the first. Never waits: what is to be
    /// told on is on its way when tell_on() has returned.
    std::optional<Communicator::Failure> hear();
    /// Before this rank leaves because of what it heard. Takes 100 ms at most, and no time where nobody is to be told.
    void tell_on();

private:
    struct Message {
        std::uint32_t origin = 0;  ///< who announced it
        std::uint32_t rank = 0;
        std::int32_t exit_code = 1;
        char text[1000] = {};
    };
    bool is_new(std::uint32_t origin);
    const Message& keep(const Message& message);
    void send(const Message& message, std::uint32_t to);
    bool all_sent();

    MPI_Comm comm_;
    std::uint32_t fan_out_;
    Reach reach_;
    std::uint32_t rank_ = 0, size_ = 1;
    std::vector<std::uint32_t> origins_;  // of what this rank knows
    // MPI may read there until the process has left, whoever has stopped waiting.
    std::deque<Message> messages_;
    std::vector<MPI_Request> sends_;
};

}  // namespace sluice
