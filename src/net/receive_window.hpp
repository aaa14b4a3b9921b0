#pragma once
/// What the rma transport needs of a fabric: memory of ours that peers write into, and writes into theirs. MPI, or
/// in-process.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace sluice {

/// Called by the network thread only. Made and closed by all ranks together; in between, access is passive: a rank
/// takes no part in what others put into its memory. Small messages between the ranks go over a Wire.
class ReceiveWindow {
public:
    virtual ~ReceiveWindow() = default;
    virtual std::span<std::byte> memory() noexcept = 0;
    /// That of another rank, where direct(): any thread may write the slots that are ours there.
    virtual std::span<std::byte> memory_of(std::uint32_t rank) = 0;
    /// Starts to write `bytes` at `offset` of the destination's window; they must live until test() has named `slot`.
    virtual void start_put(std::uint32_t destination, std::uint64_t offset, std::span<const std::byte> bytes,
                           std::uint64_t slot) = 0;
    /// Appends the puts whose bytes may be used again, which does not yet mean that they are at their destination.
    virtual void test(std::vector<std::uint64_t>& done) = 0;
    /// Lets the puts to `destination` that test() has named get there in the end, without waiting for it: during later
    /// calls of test().
    virtual void push(std::uint32_t destination) = 0;
    /// When it returns, all puts to `destination` are in its memory. Over shared memory a fence; where messages emulate
    /// the puts it waits for the destination's answer.
    virtual void flush(std::uint32_t destination) = 0;
    /// Before reading what a peer says it has put here.
    virtual void sync() = 0;
    /// How much later than a word about them pushed bytes may come; beyond it they are taken for damaged.
    virtual std::chrono::milliseconds patience() const = 0;
    /// All ranks share a host: memory_of() is theirs, flush() a fence that does not wait, and puts are not needed.
    virtual bool direct() const noexcept = 0;
    /// Collective, when nobody uses the memory any more. A window destroyed without it stays mapped: after a failure a
    /// collective call would wait for ever, and peers may still write.
    virtual void close() = 0;
};

}  // namespace sluice
