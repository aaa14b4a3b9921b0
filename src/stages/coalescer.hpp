#pragma once
/// Phase one: chains full chunks of one logical disk, so that each becomes one large write.

#include <cstdint>
#include <exception>
#include <vector>

#include "runtime/buffer_pool.hpp"
#include "runtime/executor.hpp"

namespace sluice {

/// Chunks of ONE logical disk in the order they are written; only the last chunk of the last chain may be short.
struct Chain {
    std::uint32_t partition = 0;  ///< local number of the logical disk
    std::vector<Buffer> chunks;
    std::uint64_t payload_bytes() const;
};

/// Shared by all distributors (which add) and all log writers (which take). Longest chain first; while anybody waits
/// for a chunk, or once all distributors are done, a chain of any length goes out. Source: TritonSort (NSDI 2011),
/// write chaining.
class Coalescer {
public:
    struct Options {
        std::uint32_t partitions = 0;
        std::size_t target_chunks = 1;     ///< a chain this long is worth writing at once
        std::size_t max_chunks = 1;        ///< no write is longer
        std::size_t low_water_chunks = 0;  ///< with fewer free chunks than this, any chain goes out, longest first
        bool ignore_waiting_distributors = false;  ///< MUTANT for tests: deadlocks when memory is tight
    };
    /// Allocates a node for every chunk of the pool: add() and take() allocate nothing.
    /// @param chunks     where all chunks come from; must outlive this
    /// @param producers  how many distributors call producer_done()
    Coalescer(Executor& executor, BufferPool& chunks, std::uint32_t record_bytes, Options options,
              std::size_t producers);

    /// Adds a full chunk. Never waits.
    void add(std::uint32_t partition, Buffer chunk);
    /// Adds a worker's last, partly filled chunk: merged with the other workers' so that one short chunk remains.
    void add_partial(std::uint32_t partition, Buffer chunk);
    void producer_done();

    /// The chain to write next. Waits for one if `may_wait`; false = nothing to write now or, if drained(), ever.
    /// @param chain  emptied and filled again, so that its memory is reused; true when it holds something.
    bool take(Chain& chain, bool may_wait);
    bool drained() const;
    void abort(std::exception_ptr cause);
    /// Wakes waiting takers to look again: connected to the chunk pool's on_pressure.
    void look_again();

private:
    static constexpr std::uint32_t kNone = ~0u;
    struct Node {  // one chained chunk; there are as many nodes as the pool has chunks
        Buffer chunk;
        std::uint32_t next = kNone;
    };
    struct Entry {  // one logical disk: its chain, and its place in the list of its length
        std::uint32_t first_node = kNone, last_node = kNone;
        std::size_t length = 0;
        Buffer partial;
        std::uint32_t next = kNone, previous = kNone;
    };
    void append(std::uint32_t partition, Buffer chunk);
    void link(std::uint32_t partition);
    void unlink(std::uint32_t partition);
    bool ready() const;
    void flush_partials();

    BufferPool& pool_;
    std::uint32_t record_bytes_;
    Options options_;
    std::size_t producers_;
    std::vector<Entry> entries_;
    std::vector<Node> nodes_;
    std::uint32_t free_node_ = kNone;
    std::vector<std::uint32_t> heads_;  // by chain length, capped at max_chunks
    std::size_t longest_ = 0;           // upper bound of the longest non-empty list
    mutable Mutex mutex_;
    Condition changed_;
    std::exception_ptr cause_;
    Executor& executor_;
};

}  // namespace sluice
