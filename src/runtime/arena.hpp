#pragma once
/// All buffer memory of a rank: mapped, bound to its node and touched once at start; phases carve their pools from it
/// in turn.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <thread>

#include "runtime/choices.hpp"
#include "runtime/topology.hpp"

namespace sluice {

/// How an arena gets its memory. Read by the constructor only.
struct ArenaOptions {
    /// auto: 2 MiB pages as far as the kernel has them; on: reserved ones, and no arena without; off: 4 KiB pages.
    HugePages huge_pages = HugePages::automatic;
    const Topology* topology = nullptr;  ///< with numa_node >= 0: where the memory goes
    int numa_node = -1;
    unsigned touch_threads = 1;
    bool touch = true;  ///< false: pages come with their first use, as suits a plan or a small test
    /// Touch only the first 32 MiB at once; touch_rest() does the others. Where the host itself brings memory in lazily
    /// (0.4 to 2.5 GB/s), the disks need not wait for it.
    bool background = false;
    /// Stay mapped when an exception ends its owner: what a fabric still has in flight must not hit a hole.
    bool survives_failure = false;
};

/// Not thread-safe; taken from by the thread that sets up a phase. Owns the mapping: spans end with it.
class Arena {
public:
    /// Maps and touches `bytes` (rounded up to 2 MiB); throws Error(environment) with the numbers when there is not
    /// enough. Cost: bytes / (2 to 9 GB/s), by page size and touch_threads.
    Arena(std::uint64_t bytes, const ArenaOptions& options);
    ~Arena();
    Arena(const Arena&) = delete;

    /// The next `bytes`, aligned; throws Error(internal) naming `what` when the plan asks for more than it was made
    /// for. The bytes hold whatever the phase before left there.
    std::span<std::byte> take(std::uint64_t bytes, std::uint64_t align, std::string_view what);
    /// The last `bytes` of the memory, which reset() leaves alone: for what lives longer than a phase. Aligned to
    /// `align`; throws as take().
    std::span<std::byte> take_from_end(std::uint64_t bytes, std::uint64_t align, std::string_view what);
    /// All spans of take() are void, the memory stays mapped and touched.
    void reset() noexcept { used_ = 0; }
    std::uint64_t capacity_bytes() const noexcept { return capacity_; }
    std::uint64_t phase_bytes() const noexcept { return end_; }  ///< what take() has in all
    std::uint64_t used_bytes() const noexcept { return used_; }
    /// Begins to touch what was left, on a thread of its own, lowest addresses first, as pools hand them out. Best once
    /// all threads and buffers of a phase are there: each system call of it holds the lock of the address space, and
    /// what the main thread allocates meanwhile waits for it, call after call. Once; later calls do nothing.
    void touch_rest();
    /// Touches what is left and waits for it; throws what that met.
    void finish_touching();
    /// What was got, not what was asked for: "2 MiB pages (reserved)", "2 MiB pages (madvise)", "4 KiB pages (no 2 MiB
    /// pages free)", ... Known once all is touched.
    const std::string& page_kind() const noexcept { return page_kind_; }
    /// A touch in the background is under way: finish_touching() and the destructor would wait for it.
    bool touching() const noexcept { return touching_; }

private:
    void map(HugePages huge_pages);
    void touch(std::uint64_t from, std::uint64_t to, unsigned threads);
    void fail_if_short() const;
    void name_pages_got();
    [[noreturn]] void fail_to_take(std::uint64_t bytes, std::uint64_t left_bytes, std::string_view what) const;

    std::byte* memory_ = nullptr;
    std::uint64_t capacity_ = 0, used_ = 0, end_ = 0;  // end_: where take_from_end() begins
    std::uint64_t untouched_ = 0;                      // from here on, until touch_rest()
    std::string page_kind_;
    bool hopes_for_huge_ = false;  // asked by madvise: what was given is known once they are touched
    std::atomic<int> touch_error_{0};
    std::atomic<bool> stop_{false}, touching_{false};
    bool survives_failure_;
    std::jthread background_;
};

}  // namespace sluice
