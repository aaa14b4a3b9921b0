#include "net/message_ledger.hpp"

#include <cstring>

#include "runtime/steady_clock.hpp"

namespace sluice {

void MessageLedger::address(MessageHeader& header, std::uint32_t destination) {
    header.run_id = run_id_;
    header.source = rank_;
    header.destination = destination;
    header.sequence = next_sent_[destination]++;
}

void MessageLedger::stamp(Buffer& full, std::uint32_t destination, std::uint64_t backlog) {
    MessageHeader header;
    std::memcpy(&header, full.data().data(), sizeof header);
    address(header, destination);
    header.offered_buffers = backlog;
    std::memcpy(full.storage().data(), &header, sizeof header);
    PeerCounters& counted = counters_[destination];
    counted.sent_bytes += full.size() - kHeaderBytes;
    counted.sent_records += header.record_count;
    ++counted.sent_messages;
}

void MessageLedger::note_busy(std::uint32_t destination, bool busy) {
    std::uint64_t& since_ns = busy_since_ns_[destination];
    if (busy == (since_ns != 0)) return;
    const std::uint64_t at_ns = steady_ns();
    if (!busy) counters_[destination].send_busy_ns += at_ns - since_ns;
    since_ns = busy ? at_ns : 0;
}

MessageHeader MessageLedger::last_message(std::uint32_t destination) {
    MessageHeader header;
    address(header, destination);
    header.flags = kLastFlag;
    return header;
}

MessageHeader MessageLedger::admit(std::uint32_t source, std::span<const std::byte> message) {
    MessageHeader header;
    if (message.size() < kHeaderBytes) refuse(source, "is shorter than its header");
    std::memcpy(&header, message.data(), sizeof header);
    if (header.run_id != run_id_) refuse(source, "belongs to another run");
    if (header.source != source || header.destination != rank_) {
        refuse(source, "says it goes from rank " + std::to_string(header.source) + " to rank " +
                           std::to_string(header.destination));
    }
    if (header.sequence != next_received_[source]) {
        refuse(source, "has number " + std::to_string(header.sequence) + " instead of " +
                           std::to_string(next_received_[source]) + ": one was lost or doubled");
    }
    ++next_received_[source];
    if ((header.flags & kLastFlag) != 0) return header;
    PeerCounters& counted = counters_[source];
    counted.received_bytes += message.size() - kHeaderBytes;
    counted.received_records += header.record_count;
    ++counted.received_messages;
    return header;
}

void MessageLedger::refuse(std::uint32_t source, const std::string& what) const {
    throw Error(Errc::integrity, "message from rank " + std::to_string(source) + " to rank " + std::to_string(rank_) +
                                     " " + what + "; the network or MPI is faulty, sort again");
}

}  // namespace sluice
