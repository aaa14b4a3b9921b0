#pragma once
/// Headers and counts of one rank's messages, the same for every transport: stamps what leaves, checks what arrives.

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "net/transport.hpp"

namespace sluice {

inline constexpr std::uint32_t kLastFlag = 1;  ///< MessageHeader::flags: no message follows from this source

/// Network thread only. Sequence numbers run from 0 per (source, destination), so a message that was lost, doubled or
/// overtaken shows at the next one.
class MessageLedger {
public:
    /// @param run_id  of this exchange: messages that carry another are refused
    MessageLedger(std::uint32_t rank, std::uint32_t ranks, std::uint64_t run_id)
        : run_id_(run_id),
          rank_(rank),
          next_sent_(ranks),
          next_received_(ranks),
          busy_since_ns_(ranks),
          counters_(ranks) {}

    /// Fills in the header in front of the records of `full` and counts the message. The distributor has set
    /// record_count and checksum.
    /// @param backlog  how many more buffers we hold for `destination`
    void stamp(Buffer& full, std::uint32_t destination, std::uint64_t backlog);
    /// A message that is only a header, which says that none follows; not counted.
    MessageHeader last_message(std::uint32_t destination);
    /// The header of a message that arrived from `source`, counted unless it is the last one.
    /// Throws Error(integrity) when it is of another run, for another rank, out of sequence or of impossible size.
    MessageHeader admit(std::uint32_t source, std::span<const std::byte> message);

    std::uint64_t run_id() const noexcept { return run_id_; }
    std::uint64_t sent_to(std::uint32_t destination) const { return next_sent_[destination]; }
    std::uint64_t received_from(std::uint32_t source) const { return next_received_[source]; }
    const std::vector<PeerCounters>& counters() const noexcept { return counters_; }
    /// For transports that can tell: the link is busy while a message is under way, or waits for one of those before it
    /// to arrive. TCP takes small messages at once, and then only the answers that do not come show that the link is
    /// slow.
    void note_busy(std::uint32_t destination, bool busy);
    /// Throws Error(integrity): "message from rank S to rank R " + what.
    [[noreturn]] void refuse(std::uint32_t source, const std::string& what) const;

private:
    void address(MessageHeader& header, std::uint32_t destination);

    std::uint64_t run_id_;
    std::uint32_t rank_;
    std::vector<std::uint64_t> next_sent_, next_received_;  // by peer
    std::vector<std::uint64_t> busy_since_ns_;              // by peer; 0: it is not
    std::vector<PeerCounters> counters_;
};

}  // namespace sluice
