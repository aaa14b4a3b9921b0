#pragma once
/// Moves full buffers between ranks (ARCHITECTURE.md, Transports). One interface; p2p, alltoallv and rma are
/// implementations.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "net/wire.hpp"
#include "runtime/buffer_pool.hpp"
#include "runtime/fields.hpp"

namespace sluice {

/// In front of the records of every send buffer; 64 bytes, so that the records stay cache-line aligned.
struct MessageHeader {
    std::uint64_t run_id = 0;  ///< low half of the run id: a late message of another run is refused
    std::uint32_t source = 0, destination = 0;
    std::uint64_t sequence = 0;  ///< per (source, destination), from 0, no gaps
    std::uint64_t record_count = 0;
    std::uint32_t payload_crc32c =
        0;  ///< of the records, sealed by the distributor, verified by the logical-disk distributor
    std::uint32_t flags = 0;
    std::uint64_t offered_buffers = 0;  ///< how many more full buffers the source holds for this destination
    std::uint64_t seal = 0;             ///< rma between hosts: over the whole message, by which its arrival is seen
    std::uint64_t reserved = 0;
};
static_assert(sizeof(MessageHeader) == 64);
inline constexpr std::size_t kHeaderBytes = sizeof(MessageHeader);

/// A full buffer for `destination`: header space first, then records; buffer.size() covers both.
struct OutgoingBuffer {
    std::uint32_t destination = 0;
    Buffer buffer;
};
/// A buffer that arrived; its header is filled in and in sequence.
struct ArrivedBuffer {
    MessageHeader header;
    Buffer buffer;
    std::span<const std::byte> records() const { return buffer.data().subspan(kHeaderBytes); }
};

/// What one rank has exchanged with one other. Bytes are of records, without headers. Written by the network thread;
/// exact once the exchange has ended.
struct PeerCounters {
    std::uint64_t sent_bytes = 0, sent_records = 0, sent_messages = 0;
    std::uint64_t received_bytes = 0, received_records = 0, received_messages = 0;
    std::uint64_t send_busy_ns = 0;  ///< with at least one message to it under way; 0: this transport cannot tell
    static constexpr auto fields = std::tuple{field("sent_bytes", &PeerCounters::sent_bytes),
                                              field("sent_records", &PeerCounters::sent_records),
                                              field("sent_messages", &PeerCounters::sent_messages),
                                              field("received_bytes", &PeerCounters::received_bytes),
                                              field("received_records", &PeerCounters::received_records),
                                              field("received_messages", &PeerCounters::received_messages),
                                              field("send_busy_ns", &PeerCounters::send_busy_ns)};
};

/// One rank's end of the data plane. All methods are called by the rank's network thread only; none of them waits.
/// Receive buffers come from the pool given at construction and are only ever used for receiving.
class Transport {
public:
    virtual ~Transport() = default;
    /// Takes the buffer when the destination has granted room for it; otherwise leaves it alone and returns false.
    /// Never called for this rank itself. The transport fills in source, destination, sequence and run_id.
    /// @param backlog  how many more buffers the caller holds for it: a hint by which receivers deal out their credits
    virtual bool try_send(OutgoingBuffer& full, std::uint64_t backlog) = 0;
    /// A buffer to fill for `destination`, of try_send's size, which then need not be copied; empty where there is none
    /// just now, or the transport has none to lend. Any thread; to be sent, or dropped before the transport is.
    virtual std::optional<Buffer> lend(std::uint32_t destination) {
        static_cast<void>(destination);
        return std::nullopt;
    }
    /// No more try_send from this rank to anybody; the peers are told once everything before has gone out.
    virtual void finish_sending() = 0;
    /// Moves things along; true if anything happened. Each buffer that arrived is handed to `arrived`, which must not
    /// wait.
    virtual bool progress(const std::function<void(ArrivedBuffer)>& arrived) = 0;
    /// All peers have said that they are finished and all they sent was handed over.
    virtual bool receiving_done() const = 0;
    /// Everything taken by try_send, and the word that we are finished, has left; the buffers went home.
    virtual bool sending_done() const = 0;
    /// How long an idle network thread may sleep: without a limit, for the sake of failures only, or not.
    virtual Rings rings() const = 0;
    virtual const std::vector<PeerCounters>& counters() const = 0;
    virtual const char* name() const = 0;
};

}  // namespace sluice
