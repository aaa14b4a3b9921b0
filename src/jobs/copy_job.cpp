#include <algorithm>
#include <memory>
#include <optional>

#include "jobs/data_jobs.hpp"
#include "plan/cluster.hpp"
#include "plan/role_disks.hpp"
#include "plan/run_directory.hpp"
#include "runtime/units.hpp"
#include "stages/network.hpp"
#include "stages/reader.hpp"
#include "stages/sequential_writer.hpp"

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
    if (job.config.io.preallocate) file->preallocate(bytes);
    const std::size_t buffers = 2 * depth + 2;
    BufferPool pool(job.executor, "copy", arena.take(buffers * block_bytes, kDirectIoAlign, "copy"), block_bytes,
                    buffers);
    WorkQueue<Buffer> queue(job.executor, buffers, 1);
    Reader reader(job.io, std::move(ranges), depth, pool, queue, 1);
    SequentialWriter writer(job.io, *file, depth, queue);
    Pipeline pipeline(job.executor, job.bind);
    pipeline.add(StageKind::reader, 0, [&] { reader.run(); });
    pipeline.add(StageKind::writer, 0, [&] { writer.run(); });
    pipeline.guard(pool);
    pipeline.guard(queue);
    pipeline.on_change([&job] { job.doorbell.ring(); });
    pipeline.start();
    make_network_loop(job, pipeline).wait_for_workers();
    if (job.config.io.fsync) file->sync_data();
    file->close_checked();
}

std::string copy_name(std::uint32_t rank, bool is_output) {
    return "copy-r" + std::to_string(rank) + (is_output ? "-out" : "-log");
}

/// The copy's files lie in a directory of their own on the rank's first disk of a role.
class CopyFile {
public:
    CopyFile(JobContext& job, DiskRole role, const std::string& run_id) {
        const RoleDisks disks = role_disks(job, role);
        Problems problems;
        if (disks.disks.empty()) {
            problems.push_back(
                {Errc::config, "disks: none has role = \"" + word_of(role) + "\", which such a copy writes to"});
        }
        refuse_if_any(job, problems);
        const RoleDisk& disk = disks.disks[disks.used().front()];
        OwnerRecord record;
        record.run_id = run_id;
        record.verb = "bench";
        record.disks = disks.total;
        record.disk = disk.number;
        record.patterns = {"copy-r#"};
        const bool is_output = role == DiskRole::output;
        // A directory a rank: they may share the disk, and each comes and goes as it does.
        directory_ = std::make_unique<RunDirectory>(
            job, job.files.open_directory(disk.path),
            run_directory_name(RunDirectoryKind::scratch, run_id, copy_name(job.rank(), is_output)));
        directory_->make(record);
        path_ = directory_->path() + "/copy-r" + std::to_string(job.rank());
    }
    ~CopyFile() {
        try {
            directory_->remove();
        } catch (const std::exception&) {  // it stays as what a dead run leaves
        }
    }
    CopyFile(const CopyFile&) = delete;
    const std::string& path() const { return path_; }

private:
    std::unique_ptr<RunDirectory> directory_;
    std::string path_;
};

}  // namespace

CopyResult run_bare_copy(JobContext& job, const std::vector<InputSlice>& slices, unsigned passes,
                         std::uint64_t read_bytes, unsigned depth) {
    const std::string run_id = make_run_id(job);
    job.enter(passes == 1 ? "one-pass-copy" : "two-pass-copy", run_id);
    const CopyFile out(job, DiskRole::output, run_id);
    std::optional<CopyFile> log;
    if (passes == 2) log.emplace(job, DiskRole::intermediate, run_id);
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
    const std::string first = log ? log->path() : out.path();
    result.pass_one_s = timed([&] { copy(job, *arena, ranges, first, read_bytes, depth); });
    if (log)
        result.pass_two_s = timed([&] { copy(job, *arena, {{first, 0, log_bytes}}, out.path(), read_bytes, depth); });
    result.bytes = sum_over_ranks(job.communicator, result.bytes);
    return result;
}

}  // namespace sluice
