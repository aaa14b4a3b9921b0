#pragma once
/// The control words of the rma transport, the same whether its windows are shared memory or not.

#include <cstdint>

namespace sluice {

/// 24 bits of the run id, 2 of the kind, 10 of a slot (or of how many), 28 of a size (or of a count).
struct RmaNotice {
    enum Kind : std::uint64_t {
        hello,    ///< so many slots are yours here, of this size
        filled,   ///< one of them holds a message of this size
        emptied,  ///< one of yours here may be filled again
        last      ///< so many messages were all
    };
    Kind kind = hello;
    std::uint64_t slot = 0, bytes = 0;
    static constexpr std::uint64_t kRun = (1u << 24) - 1, kMostSlots = (1u << 10) - 1, kMostBytes = (1u << 28) - 1;

    std::uint64_t word(std::uint64_t run_id) const {
        return (run_id & kRun) << 40 | std::uint64_t{kind} << 38 | slot << 28 | (bytes & kMostBytes);
    }
    static RmaNotice of(std::uint64_t word) {
        return {static_cast<Kind>(word >> 38 & 3), word >> 28 & kMostSlots, word & kMostBytes};
    }
    static bool is_of_run(std::uint64_t word, std::uint64_t run_id) { return word >> 40 == (run_id & kRun); }
};

/// Where a rank's slots lie in a peer's window: each has `slots_each` there, in rank-shifted order.
/// Returns which of the receiver's peers the sender is.
inline std::uint64_t rma_position(std::uint32_t sender, std::uint32_t receiver, std::uint32_t ranks) {
    return (sender + ranks - receiver - 1) % ranks;
}

}  // namespace sluice
