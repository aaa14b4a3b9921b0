#pragma once
/// One pass: the partitions of a rank in memory, from the chunks phase one fills to the sorters of phase two.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "runtime/buffer_pool.hpp"
#include "sort/chunked_records.hpp"
#include "stages/coalescer.hpp"

namespace sluice {

/// One partition, complete: its chunks, all full but the last, and where each begins. Valid until the KeptPartitions
/// it came from ends.
struct KeptPartition {
    std::span<Buffer> chunks;
    ChunkedRecords records;
    std::uint64_t payload_bytes = 0;  ///< of all its records together
    void give_back() {                ///< the chunks go home; the records are gone
        for (Buffer& chunk : chunks) chunk = Buffer();
    }
};

/// Owns the chunk pool, which both phases use, and the chunks handed over. Everything is allocated by the constructor.
class KeptPartitions {
public:
    struct Shape {
        std::size_t chunks = 0, chunk_bytes = 0;
        std::uint64_t chunk_records = 0;  ///< that a chunk holds, a power of two; chunk_bytes has no room for one more
        std::uint32_t record_bytes = 0, partitions = 0;
    };
    /// @param memory  chunks * chunk_bytes; the caller keeps it while this lives.
    KeptPartitions(Executor& executor, std::span<std::byte> memory, const Shape& shape);

    BufferPool& pool() noexcept { return pool_; }
    /// Takes the chunks of a chain, after those the partition has; after let_go() they go home at once. One thread at
    /// a time.
    void keep(Chain& chain);
    /// More came than there is memory for: gives all chunks back, so that phase one ends as it would have, and goes on
    /// counting. Any thread, also while another keeps; only the first call does anything.
    void let_go();
    /// Phase one is over: from now on partition() works and keep() does not, if nothing was let go.
    void seal();
    bool was_let_go() const;
    /// After seal(), any thread; each partition is taken by one sorter.
    KeptPartition partition(std::uint32_t partition);
    std::uint32_t partitions() const noexcept { return static_cast<std::uint32_t>(lists_.size()); }
    std::uint32_t record_bytes() const noexcept { return record_bytes_; }
    std::uint64_t total_bytes() const;    ///< of all records that came
    std::uint64_t largest_bytes() const;  ///< of records, of the largest partition

private:
    static constexpr std::uint32_t kNone = ~0u;
    struct Node {
        Buffer chunk;
        std::uint32_t next = kNone;
    };
    struct List {
        std::uint32_t first = kNone, last = kNone;
        std::size_t chunks = 0, first_chunk = 0;  // first_chunk: in chunks_, once sealed
        std::uint64_t payload_bytes = 0;
    };
    unsigned shift_;
    std::uint32_t record_bytes_;
    BufferPool pool_;  // before the chunks that go home to it
    std::vector<List> lists_;
    std::vector<Node> nodes_;  // as many as the pool has chunks, used in the order in which chunks come
    std::uint32_t used_nodes_ = 0;
    std::vector<Buffer> chunks_;  // by partition, once sealed
    std::vector<const std::byte*> begins_;
    bool let_go_ = false;
    mutable Mutex mutex_;  // between keep() and let_go(): lists_, nodes_
};

/// Phase one's last stage in a one-pass sort, in the place of the log writers: takes chains as they come and keeps
/// them. One worker. Needs no buffer to make progress.
class Keeper {
public:
    /// @param max_chunks  of the longest chain that `chains` gives. Both references outlive this
    Keeper(Coalescer& chains, KeptPartitions& kept, std::size_t max_chunks) : chains_(chains), kept_(kept) {
        chain_.chunks.reserve(max_chunks);
    }
    void run();

private:
    Coalescer& chains_;
    KeptPartitions& kept_;
    Chain chain_;
};

}  // namespace sluice
