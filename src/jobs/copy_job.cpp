#include <algorithm>

#include "jobs/cluster.hpp"
#include "jobs/data_jobs.hpp"
#include "runtime/units.hpp"
#include "stages/copy_writer.hpp"
#include "stages/network.hpp"
#include "stages/reader.hpp"

namespace sluice {
namespace {

/// Copies `ranges` to the new file `to`: one reader, one writer, `depth` requests of `block_bytes` in flight on either
/// side.
void copy(JobContext& job, Arena& arena, std::vector<ReadRange> ranges, const std::string& to,
          std::uint64_t block_bytes, unsigned depth) {
    arena.reset();
    std::uint64_t bytes = 0;
    for (const ReadRange& range : ranges) bytes += round_up(range.bytes, kDirectIoAlign);
    const auto file = job.io.create(to);
    const auto held = job.files.hold(to);
    if (job.config.io.preallocate) file->preallocate(bytes);
    const std::size_t buffers = 2 * depth + 2;
    BufferPool pool(job.executor, "copy", arena.take(buffers * block_bytes, kDirectIoAlign, "copy"), block_bytes,
                    buffers);
    WorkQueue<Buffer> queue(job.executor, buffers, 1);
    Reader reader(job.io, std::move(ranges), depth, pool, queue, 1);
    CopyWriter writer(job.io, *file, depth, queue);
    Pipeline pipeline(job.executor, job.bind);
    pipeline.add("reader", 0, [&] { reader.run(); });
    pipeline.add("writer", 0, [&] { writer.run(); });
    pipeline.guard(pool);
    pipeline.guard(queue);
    pipeline.on_change([&job] { job.doorbell.ring(); });
    pipeline.start();
    NetworkLoop(job.communicator, pipeline, job.doorbell, job.backoff, job.executor.seeded() != nullptr)
        .wait_for_workers();
    if (job.config.io.fsync) file->sync_data();
    file->close_checked();
}

}  // namespace

CopyResult run_bare_copy(JobContext& job, const std::vector<InputSlice>& slices, unsigned passes,
                         std::uint64_t read_bytes, unsigned depth) {
    const std::string run_id = make_run_id(job);
    job.enter(passes == 1 ? "one-pass-copy" : "two-pass-copy", run_id);
    const auto path = [&](DiskRole role) {
        const auto paths = disk_paths(job, role);
        if (paths.empty()) {
            throw CollectiveError(Errc::config,
                                  "disks: none has role = \"intermediate\", which a copy in two passes writes to");
        }
        return paths[disks_of_rank(job.place, paths.size()).front()] + "/sluice-" + run_id + "-copy-r" +
               std::to_string(job.rank()) + (role == DiskRole::output ? "-out" : "-log");
    };
    const std::string out = path(DiskRole::output), log = passes == 1 ? out : path(DiskRole::intermediate);
    const auto arena = job.make_arena((2 * depth + 2) * read_bytes);
    std::vector<ReadRange> ranges;
    CopyResult result;
    result.passes = passes;
    std::uint64_t log_bytes = 0;
    for (const InputSlice& slice : slices) {
        const std::uint64_t head_bytes = slice.offset % kDirectIoAlign;  // whole blocks move
        ranges.push_back({slice.path, slice.offset - head_bytes, head_bytes + slice.bytes});
        result.bytes += slice.bytes;
        log_bytes += head_bytes + slice.bytes;
    }
    const auto timed = [&](auto&& pass) {
        job.communicator.barrier_or_failure();
        const std::uint64_t begin_ns = job.executor.now_ns();
        pass();
        job.communicator.barrier_or_failure();  // the slowest rank's time
        return static_cast<double>(job.executor.now_ns() - begin_ns) * 1e-9;
    };
    const auto remove = [&](const std::string& file) {
        if (job.files.info(file)) job.files.remove_file(file);
    };
    try {
        result.pass_one_s = timed([&] { copy(job, *arena, ranges, log, read_bytes, depth); });
        if (passes == 2)
            result.pass_two_s = timed([&] { copy(job, *arena, {{log, 0, log_bytes}}, out, read_bytes, depth); });
    } catch (...) {
        remove(log);
        remove(out);
        throw;
    }
    remove(log);
    remove(out);
    result.bytes = sum_over_ranks(job.communicator, result.bytes);
    return result;
}

}  // namespace sluice
