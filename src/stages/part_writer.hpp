#pragma once
/// Phase two, last stage: writes the sorted parts of one output disk.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "io/io_backend.hpp"
#include "runtime/work_queue.hpp"
#include "stages/in_flight_slots.hpp"
#include "stages/sorter.hpp"

namespace sluice {

/// A part all of whose bytes are written; still to be cut to its size, synced and closed.
struct WrittenPart {
    std::unique_ptr<IoFile> file;
    std::uint64_t bytes = 0;
};

/// One worker per instance and disk. Each part is a file of its own, created and preallocated at its first piece and
/// handed to the finisher after its last.
class PartWriter {
public:
    struct Options {
        unsigned depth = 4;
        bool preallocate = true;
    };
    /// References outlive this. Throws Error(environment) where the host has no room for so many requests.
    /// @param path_of_part  number of a part on this rank -> absolute path of the file to create; called by this worker
    PartWriter(IoBackend& backend, Options options, std::function<std::string(std::uint32_t)> path_of_part,
               WorkQueue<SortedPiece>& input, WorkQueue<WrittenPart>& output);
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
        Buffer buffer;
    };
    Part& part_of(const SortedPiece& piece);
    void write(SortedPiece piece);
    void collect();
    void hand_on(Part& part);

    IoBackend& backend_;
    Options options_;
    std::function<std::string(std::uint32_t)> path_of_part_;
    WorkQueue<SortedPiece>& input_;
    WorkQueue<WrittenPart>& output_;
    std::vector<Part> parts_;  // under way: one a request and a sorter at most
    InFlightSlots<Request> requests_;
    std::vector<IoCompletion> done_;
    std::unique_ptr<IoQueue> queue_;  // last: its destructor waits for the kernel while buffers and files still live
};

/// Written parts of a disk that may wait for its finishers, and how many of these it has at most: both bound the files
/// that are open.
inline constexpr std::size_t kWaitingParts = 16;
inline constexpr unsigned kFinishers = 4;
/// How many finishers a disk gets. Where parts are small the file system commits several syncs together. From
/// kOneFinisherBytes a part on, writing one takes longer than its sync, and syncs at the same time only make the
/// writers' submissions wait for the journal: with parts of 25 MB, four finishers take 1.7 times the time inside
/// io_submit that one takes.
inline constexpr std::uint64_t kOneFinisherBytes = 4 << 20;
unsigned count_finishers(std::uint64_t parts, std::uint64_t bytes);

/// One worker per instance, count_finishers of them a disk. Cuts, syncs and closes written parts: calls that wait for
/// the file system, on threads where the disk's queue need not wait for them. A part that left here is durable but for
/// its name.
class PartFinisher {
public:
    /// @param sync  io.fsync: whether a part is synced before it counts as written. @param input  outlives this
    PartFinisher(bool sync, WorkQueue<WrittenPart>& input) : sync_(sync), input_(input) {}
    void run();

private:
    bool sync_;
    WorkQueue<WrittenPart>& input_;
};

}  // namespace sluice
