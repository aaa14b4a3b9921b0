#pragma once
/// What a point-to-point transport needs of a fabric: posted receives, sends, small control words. MPI, or in-process.

#include <cstdint>
#include <span>
#include <vector>

namespace sluice {

/// What ends the sleep of an idle network thread by its doorbell.
enum class Rings : std::uint8_t {
    nothing,   ///< it has to look for messages by itself
    messages,  ///< each message; not failures, nor heartbeats
    everything
};

/// Called by the network thread only; nothing waits. Messages and control words of a pair of ranks each arrive in
/// order.
class Wire {
public:
    struct Completion {
        bool is_send = false;
        std::uint64_t slot = 0;   ///< the caller's name of the operation
        std::uint64_t bytes = 0;  ///< received
    };
    virtual ~Wire() = default;
    virtual std::uint32_t rank() const = 0;
    virtual std::uint32_t size() const = 0;
    /// `memory` must live until the completion, or until cancel_receives(source) returned.
    virtual void post_receive(std::uint32_t source, std::span<std::byte> memory, std::uint64_t slot) = 0;
    virtual void start_send(std::uint32_t destination, std::span<const std::byte> bytes, std::uint64_t slot) = 0;
    /// Appends what has completed since the last call.
    virtual void test(std::vector<Completion>& done) = 0;
    virtual void send_control(std::uint32_t destination, std::uint64_t word) = 0;
    virtual bool poll_control(std::uint32_t& source, std::uint64_t& word) = 0;
    /// Withdraws the receives still posted for `source`; nothing more will come from there.
    virtual void cancel_receives(std::uint32_t source) = 0;
    /// Rings the doorbell of the destination, where rings() says that this can be done; for each message it should see.
    virtual void ring(std::uint32_t destination) { static_cast<void>(destination); }
    virtual Rings rings() const = 0;
};

}  // namespace sluice
