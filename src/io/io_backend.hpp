#pragma once
/// Asynchronous file I/O behind one seam: libaio with O_DIRECT for real runs; sync, memory, null and fault-injecting
/// back ends for comparison and tests (ARCHITECTURE.md, Threads).

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "io/file_identity.hpp"
#include "runtime/choices.hpp"
#include "runtime/executor.hpp"
#include "runtime/fields.hpp"

namespace sluice {

/// An open file of one back end. Used by any thread; closed by the destructor. After writing call close_checked(): a
/// close that fails means lost data, and a destructor cannot say so.
class IoFile {
public:
    virtual ~IoFile() = default;
    virtual const std::string& path() const = 0;
    virtual std::uint64_t size_bytes() const = 0;
    virtual FileIdentity identity() const = 0;
    /// Reserves the blocks of [0, bytes) so that later direct writes are asynchronous (ext4 extends files synchronously
    /// inside io_submit); the file is then at least that long. Throws Error(space) naming free and needed bytes, and
    /// takes none, when the disk has not enough. Does nothing on file systems that cannot.
    virtual void preallocate(std::uint64_t bytes) = 0;
    virtual void truncate(std::uint64_t bytes) = 0;
    virtual void sync_data() = 0;  ///< fdatasync; an error means the file is lost, never retried
    virtual void close_checked() = 0;
    /// Requests must be aligned: it was opened with O_DIRECT. Whether that by-passes the page cache is another
    /// question: IoBackend::cached_directories().
    virtual bool is_direct() const = 0;
};

/// One request that is done.
struct IoCompletion {
    std::uint64_t token = 0;  ///< the caller's name for the request
    std::uint64_t bytes = 0;  ///< moved; less than asked only for a read that met the end of the file
};

/// Counters of one queue, from completed requests only. Plain numbers of the owning thread: others read them when that
/// one has ended.
struct IoCounters {
    std::uint64_t read_bytes = 0, written_bytes = 0;
    std::uint64_t read_requests = 0, write_requests = 0;
    std::uint64_t submit_ns = 0;  ///< inside io_submit: large values mean that the file system is synchronous there
    std::uint64_t short_transfers = 0;  ///< continued by the queue
    unsigned max_in_flight = 0;
    std::uint64_t busy_ns = 0;  ///< with at least one request under way: bytes over it are the disk's own rate
    static constexpr auto fields = std::tuple{field("read_bytes", &IoCounters::read_bytes, Total::sum).in_csv(),
                                              field("written_bytes", &IoCounters::written_bytes, Total::sum).in_csv(),
                                              field("read_requests", &IoCounters::read_requests, Total::sum),
                                              field("write_requests", &IoCounters::write_requests, Total::sum),
                                              field("submit_ns", &IoCounters::submit_ns, Total::sum),
                                              field("short_transfers", &IoCounters::short_transfers, Total::sum),
                                              field("max_in_flight", &IoCounters::max_in_flight, Total::most),
                                              field("busy_ns", &IoCounters::busy_ns, Total::sum)};
};

/// What a stage keeps in flight on its disks: short requests are many, long ones no more than the disks have use for.
struct InFlight {
    unsigned requests = 1;
    std::uint64_t bytes = UINT64_MAX;  ///< no further request once so much is in flight
};

/// Requests in flight of one worker; not thread-safe. Buffers stay the caller's and must live until their completion.
/// Short transfers, EINTR and EAGAIN are handled inside; any other failure throws Error(device), or Error(space) on a
/// full disk, naming file, offset and length: from the call itself or from the wait() that meets it. The failed request
/// is then no longer in flight; others that completed with it are in `done`. Misalignment and more requests than the
/// depth are Error(internal). The destructor waits for what is in flight. Nothing is allocated per request.
class IoQueue {
public:
    virtual ~IoQueue() = default;
    /// offset, length and address must be multiples of kDirectIoAlign for direct files; the length may reach past the
    /// end of the file (the completion then says how many bytes there were).
    virtual void read(IoFile& file, std::uint64_t offset, std::span<std::byte> memory, std::uint64_t token) = 0;
    /// One vectored write of all `pieces` in order, at most 256; the pieces array is copied.
    virtual void write(IoFile& file, std::uint64_t offset, std::span<const std::span<const std::byte>> pieces,
                       std::uint64_t token) = 0;
    /// Asynchronous fdatasync where the kernel has it, else done on the spot; completes like a request.
    virtual void sync(IoFile& file, std::uint64_t token) = 0;
    /// Waits until at least `minimum` completions (at most in_flight()) are there; 0 polls. Appends them to `done`.
    virtual void wait(unsigned minimum, std::vector<IoCompletion>& done) = 0;
    virtual unsigned in_flight() const = 0;
    virtual unsigned depth() const = 0;  ///< requests it takes at once; more is a bug of the caller
    virtual IoCounters counters() const = 0;
};

/// How a program reaches its data files: opens and creates them, and makes the queues that move their bytes. One for a
/// rank, used by all its threads at once; outlives its files and queues. A queue belongs to one thread.
class IoBackend {
public:
    virtual ~IoBackend() = default;
    /// Error(input) when there is no such file, it is no regular one, or it may not be read.
    virtual std::unique_ptr<IoFile> open_for_read(const std::string& path) = 0;
    /// As open_for_read, for a file that this run wrote: a link in its place is Error(input), never followed.
    virtual std::unique_ptr<IoFile> open_written(const std::string& path) { return open_for_read(path); }
    /// Creates a new file (O_EXCL, O_NOFOLLOW, mode 0600 whatever the umask); an existing one is Error(config), never
    /// overwritten; a directory that is not there or not writable is Error(environment).
    virtual std::unique_ptr<IoFile> create(const std::string& path) = 0;
    /// Opens a file of ours for reading and writing, such as a log in phase two.
    virtual std::unique_ptr<IoFile> open_for_update(const std::string& path) = 0;
    /// `depth` from 1. Error(environment) when the host's aio limit is used up.
    virtual std::unique_ptr<IoQueue> make_queue(unsigned depth) = 0;
    /// Where files were opened so far that do not by-pass the page cache, as far as can be proved. Any thread.
    virtual std::vector<std::string> cached_directories() const { return {}; }
    virtual const char* name() const = 0;
};

/// O_DIRECT: on refuses files for which it is not proven to work (io/direct_io.hpp) with Error(environment), attempt
/// takes the page cache for those and notes them, off never asks.
/// "libaio": one kernel aio context a queue, O_DIRECT as `direct` says.
std::unique_ptr<IoBackend> make_libaio_backend(DirectIo direct);
/// "sync": pread/pwrite, one request at a time; the baseline.
std::unique_ptr<IoBackend> make_sync_backend(DirectIo direct);

/// "null": writes are counted and dropped, reads give zeros up to what was written; each request takes `request_ns` of
/// the executor's time, any number side by side: a disk of known speed. File names live as long as the back end.
std::unique_ptr<IoBackend> make_null_backend(Executor& executor, std::uint64_t request_ns = 0);

}  // namespace sluice
