#pragma once
/// A cluster of ranks in one process, on any Executor: the same protocol and stage code as under MPI, in tests and for
/// one rank.

#include <deque>
#include <list>
#include <memory>
#include <optional>
#include <vector>

#include "net/communicator.hpp"
#include "net/receive_window.hpp"
#include "net/rounds.hpp"
#include "net/wire.hpp"
#include "runtime/doorbell.hpp"

namespace sluice {

/// What happens to the nth message sent, for tests of the protocol.
struct WireFault {
    enum class Kind { none, drop, duplicate, corrupt_header } kind = Kind::none;
    std::uint64_t nth = 0;
    bool fired = false;
};

/// Owns one communicator, wire and doorbell a rank. Each rank's are used by that rank's main thread; the doorbell by
/// all.
class InProcessCluster {
public:
    /// @param executor  on which all ranks run; must outlive this
    InProcessCluster(Executor& executor, std::uint32_t ranks);
    ~InProcessCluster();
    Communicator& communicator(std::uint32_t rank);
    Wire& wire(std::uint32_t rank);
    Rounds& rounds(std::uint32_t rank);
    /// @param shared  others write it as if it were on their host; a window that was shared lives as long as the
    /// cluster
    std::unique_ptr<ReceiveWindow> make_window(std::uint32_t rank, std::uint64_t bytes, bool shared = false);
    Doorbell& doorbell(std::uint32_t rank) { return *doorbells_[rank]; }
    void inject(WireFault fault) { fault_ = fault; }
    bool fault_fired() const { return fault_.fired; }

private:
    friend class InProcessCommunicator;
    friend class InProcessWire;
    friend class InProcessRounds;
    friend class InProcessWindow;
    struct Message {
        std::vector<std::byte> bytes;
    };
    struct Posted {
        std::span<std::byte> memory;
        std::uint64_t slot;
    };
    struct Pair {  // one direction between two ranks; lists, since most of a large cluster's stay empty
        std::list<Posted> posted;
        std::list<Message> messages;  // sent, not yet received
        std::list<std::uint64_t> control;
    };
    struct Movement {  // what one rank of a pair sends, or receives, in one movement
        std::vector<MemoryBlock> pieces;
        std::size_t lane;
    };
    struct RoundsPair {  // one direction between two ranks
        std::list<Movement> sent, received;
    };
    struct RoundsEnd {  // of one rank
        std::span<const std::byte> mine;
        std::span<std::byte> theirs;
        bool joined = false;
        std::size_t moving[Rounds::kLanes] = {};  // pairs of a movement that are not through
    };
    Pair& pair(std::uint32_t source, std::uint32_t destination) { return pairs_[source * ranks_ + destination]; }
    void match(std::uint32_t source, std::uint32_t destination);

    std::uint32_t ranks_;
    Mutex mutex_;
    Condition changed_;
    std::vector<Pair> pairs_;
    std::vector<std::vector<Wire::Completion>> completions_;  // by rank
    std::vector<std::string> gathered_;
    std::vector<std::string> result_;
    std::string said_;                                        // in a broadcast
    std::vector<const std::vector<std::string>*> exchanged_;  // by rank, while all are in exchange()
    std::uint32_t arrived_ = 0;
    std::uint64_t generation_ = 0, sent_ = 0;
    std::optional<Communicator::Failure> failure_;
    WireFault fault_;
    std::vector<std::unique_ptr<Doorbell>> doorbells_;
    std::vector<std::unique_ptr<Communicator>> communicators_;
    std::vector<std::unique_ptr<Wire>> wires_;
    std::vector<RoundsPair> rounds_pairs_;
    std::vector<RoundsEnd> rounds_ends_;
    std::uint32_t rounds_joined_ = 0;
    std::vector<std::span<std::byte>> windows_;  // by rank; empty while it has none
    std::deque<std::vector<std::byte>> shared_;  // once shared; after a failure somebody may still write there
    std::vector<std::size_t> puts_under_way_;    // by destination: not yet wholly in its window
    std::vector<std::unique_ptr<Rounds>> rounds_;
};

}  // namespace sluice
