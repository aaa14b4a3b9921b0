#pragma once
/// Phase two, last stage: writes the sorted parts of one output disk.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "io/io_backend.hpp"
#include "runtime/work_queue.hpp"
#include "stages/sorter.hpp"

namespace sluice {

/// One worker per instance and disk. Each part is a file of its own: created and preallocated at its first piece, cut
/// to its size and synced, without waiting, after its last. A part that reached `durable` is complete on the disk.
class PartWriter {
public:
    struct Options {
        unsigned depth = 4;
        bool preallocate = true, sync = true;
        std::size_t parts_open = 8;  ///< parts that may be under way at once: at least the number of sorters + 1
    };
    PartWriter(IoBackend& backend, Options options, std::function<std::string(std::uint32_t)> path_of_part,
               WorkQueue<SortedPiece>& input);
    void run();
    IoCounters counters() const { return queue_->counters(); }

private:
    struct Part {
        std::unique_ptr<IoFile> file;
        std::uint32_t partition = 0;
        std::uint64_t total_bytes = 0, completed_bytes = 0;
    };
    struct Request {
        std::size_t part = 0;
        Buffer buffer;  ///< empty: a sync
    };
    Part& part_of(const SortedPiece& piece);
    void write(SortedPiece piece);
    void collect();
    void completed(std::size_t part);
    void close(std::size_t part);
    std::size_t take_token(std::size_t part, Buffer buffer);

    IoBackend& backend_;
    Options options_;
    std::function<std::string(std::uint32_t)> path_of_part_;
    WorkQueue<SortedPiece>& input_;
    std::vector<Part> parts_;
    std::vector<Request> requests_;
    std::vector<std::size_t> free_requests_, complete_;  // complete_: all bytes written, waiting for room to sync
    std::vector<IoCompletion> done_;
    std::unique_ptr<IoQueue> queue_;  // last: its destructor waits for the kernel while buffers and files still live
};

}  // namespace sluice
