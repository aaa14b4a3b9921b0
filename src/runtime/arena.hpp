#pragma once
/// All buffer memory of a rank: mapped, bound to its node and touched once at start; phases carve their pools from it
/// in turn.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "runtime/topology.hpp"

namespace sluice {

struct ArenaOptions {
    std::string huge_pages = "auto";     ///< auto: asks for 2 MiB pages; on: demands them; off: 4 KiB pages
    const Topology* topology = nullptr;  ///< with numa_node >= 0: where the memory goes
    int numa_node = -1;
    unsigned touch_threads = 1;
};

/// Not thread-safe; taken from by the thread that sets up a phase.
class Arena {
public:
    /// Maps and touches `bytes` (rounded up to 2 MiB); throws Error(environment) with the numbers when there is not
    /// enough.
    Arena(std::uint64_t bytes, const ArenaOptions& options);
    ~Arena();
    Arena(const Arena&) = delete;

    /// The next `bytes`, aligned; throws Error(internal) naming `what` when the plan asks for more than it was made
    /// for.
    std::span<std::byte> take(std::uint64_t bytes, std::uint64_t align, std::string_view what);
    /// All spans are void, the memory stays mapped and touched.
    void reset() noexcept { used_ = 0; }
    std::uint64_t capacity_bytes() const noexcept { return capacity_; }
    /// "2 MiB pages (madvise)", "4 KiB pages", ...: what was got.
    const std::string& page_kind() const noexcept { return page_kind_; }

private:
    void touch(unsigned threads);

    std::byte* memory_ = nullptr;
    std::uint64_t capacity_ = 0, used_ = 0;
    std::string page_kind_;
};

}  // namespace sluice
