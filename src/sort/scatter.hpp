#pragma once
/// The distributor's copy kernel.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace sluice {

/// The write cursors of a distributor's destinations, and the copying of records to them. Used by one worker.
///
/// 100-byte records are combined: each destination has a block of a few cache lines in which its records gather, and
/// which goes out in one burst of whole lines past the caches (streaming stores). So a destination's memory is never
/// read in order to be written, and thousands of open destinations do not thrash the caches. Records of other sizes,
/// and processors without AVX2, take a plain copy. Source: software write combining (Satish et al., SIGMOD 2010).
class RecordScatter {
public:
    enum class Kernel : std::uint8_t { plain, combining };
    /// Records to look at in one go: from their checksum and keys to their copy they stay in the second-level cache,
    /// beside as many that are fetched for the next go.
    static constexpr std::size_t kBlockRecords = 512;
    /// The fastest kernel for these records on this processor.
    static Kernel best_kernel(std::uint32_t record_bytes) noexcept;

    /// With the fastest kernel, and no destinations yet.
    explicit RecordScatter(std::uint32_t record_bytes) : RecordScatter(record_bytes, best_kernel(record_bytes)) {}
    /// For tests: a given kernel, which must be one this processor runs.
    RecordScatter(std::uint32_t record_bytes, Kernel kernel) : record_bytes_(record_bytes), kernel_(kernel) {}

    /// Memory for so many destinations in all, for those who add them one by one.
    void reserve(std::size_t slots);
    /// Adds destinations without room. Allocates; at set-up only, before the first open().
    void add_slots(std::uint32_t count);
    /// Destination `slot` writes into `room` from now on; only the start of a record may reach as far as its last
    /// record_bytes.
    /// @param streaming  what is written is not read again soon by this core: past the caches with it.
    void open(std::uint32_t slot, std::span<std::byte> room, bool streaming) noexcept;
    /// Writes what is still being combined; returns one past the destination's last record. Afterwards the memory may
    /// be handed to any thread or device, and the destination has no room. nullptr when it had none before.
    std::byte* close(std::uint32_t slot) noexcept;
    /// Copies record i to destination slot[i]. Stops at the first record whose destination has no room and returns its
    /// index, so that the caller can open new room and call again from there; slot.size() when all were copied.
    /// Cost: one read and one write of each record; docs/performance.md, Kernels.
    /// @param next  records that come next, of which as many are fetched meanwhile into the second-level cache
    std::size_t append(const std::byte* records, std::span<const std::uint32_t> slot,
                       std::span<const std::byte> next = {}) noexcept;

    struct Cursor {
        std::byte *write = nullptr, *end = nullptr;  // where the next record goes, and where the room ends
        std::byte* begin = nullptr;                  // of the room
        bool streaming = false;
    };

private:
    struct alignas(64) Line {
        std::byte bytes[64];
    };

    std::uint32_t record_bytes_;
    Kernel kernel_;
    std::vector<Cursor> cursors_;
    std::size_t burst_bytes_ = 0;  // combining: what goes out at once
    std::vector<Line> staged_;     // combining: a burst a slot, and two lines for the rest of the record that fills it
};

}  // namespace sluice
