#include <algorithm>
#include <nlohmann/json.hpp>

#include "jobs/cluster.hpp"
#include "jobs/data_jobs.hpp"
#include "jobs/sort_job.hpp"
#include "record/uint128_text.hpp"
#include "runtime/units.hpp"
#include "stages/copy_writer.hpp"
#include "stages/network.hpp"

namespace sluice {
namespace {

constexpr std::uint64_t kUnit = kGensortFormat.aligned_unit_bytes();
constexpr std::uint64_t kBlockBytes = 10 * kUnit;  // 1,024,000 B: whole records, whole device blocks
constexpr unsigned kDepth = 4;

/// One file: a range of record numbers. Made in order by one worker, written by another.
struct FilePlan {
    std::string path;
    Uint128 start = 0;
    std::uint64_t records = 0;
    RecordSum sum;
};

/// One thread makes records and sums them, the other writes; several files (disks) at a time.
void write_files(JobContext& job, const GenerateOptions& options, std::vector<FilePlan>& plans, LiveCounters& live) {
    const std::size_t files = std::max<std::size_t>(1, plans.size());
    const std::size_t buffers = kDepth + 2;
    const auto arena = job.make_arena(files * buffers * kBlockBytes);
    struct Lane {
        std::unique_ptr<IoFile> file;
        std::unique_ptr<BufferPool> pool;
        std::unique_ptr<WorkQueue<Buffer>> queue;
        std::unique_ptr<CopyWriter> writer;
    };
    std::vector<Lane> lanes(plans.size());
    Pipeline pipeline(job.executor, job.bind);
    std::uint64_t goal_bytes = 0;
    for (std::size_t i = 0; i < plans.size(); ++i) {
        FilePlan& plan = plans[i];
        Lane& lane = lanes[i];
        goal_bytes += plan.records * kGensortRecordBytes;
        lane.file = job.io.create(plan.path);
        if (job.config.io.preallocate)
            lane.file->preallocate(round_up(plan.records * kGensortRecordBytes, kDirectIoAlign));
        lane.pool = std::make_unique<BufferPool>(job.executor, "generate",
                                                 arena->take(buffers * kBlockBytes, kDirectIoAlign, "generate"),
                                                 kBlockBytes, buffers);
        lane.queue = std::make_unique<WorkQueue<Buffer>>(job.executor, buffers, 1);
        lane.writer = std::make_unique<CopyWriter>(job.io, *lane.file, kDepth, *lane.queue);
        pipeline.add("generator", static_cast<unsigned>(i), [&plan, &lane, &options] {
            RecordGenerator generator(options.generator, plan.start);
            for (std::uint64_t left = plan.records; left > 0;) {
                Buffer buffer = lane.pool->take();
                const std::uint64_t records = std::min<std::uint64_t>(left, buffer.capacity() / kGensortRecordBytes);
                for (std::uint64_t done = 0;
                     done < records;) {  // small steps keep the records in the cache for their sum
                    const auto piece =
                        buffer.free_space().first(std::min<std::uint64_t>(128, records - done) * kGensortRecordBytes);
                    generator.fill(piece);
                    plan.sum += sum_records(piece, kGensortRecordBytes);
                    buffer.commit(piece.size());
                    done += piece.size() / kGensortRecordBytes;
                }
                this_worker().input_bytes.add(buffer.size());
                left -= records;
                lane.queue->push(std::move(buffer));
            }
            lane.queue->producer_done();
        });
        pipeline.add("writer", static_cast<unsigned>(i), [&plan, &lane, &job] {
            lane.writer->run();
            lane.file->truncate(plan.records * kGensortRecordBytes);
            if (job.config.io.fsync) lane.file->sync_data();
            lane.file->close_checked();
        });
        pipeline.guard(*lane.pool);
        pipeline.guard(*lane.queue);
    }
    pipeline.on_change([&job] { job.doorbell.ring(); });
    const LivePhase shown(live, "generate", pipeline, goal_bytes);
    pipeline.start();
    NetworkLoop(job.communicator, pipeline, job.doorbell, job.backoff, job.executor.seeded() != nullptr)
        .wait_for_workers();
}

}  // namespace

GenerateResult run_generate(JobContext& job, const GenerateOptions& options, LiveCounters& live) {
    const std::uint64_t begin_ns = job.executor.now_ns();
    std::vector<std::string> problems;
    const auto disks = disk_paths(job, DiskRole::input);
    const auto mine = disks_of_rank(job.place, disks.size());
    const std::uint64_t share = options.records * kGensortRecordBytes / job.ranks() + 1;
    if (disks.empty()) problems.push_back("[2] disks: none has role = \"input\"; add a [[disks]] table with it");
    for (const std::string& disk : disks) {
        const auto info = job.files.info(disk);
        const std::string data = disk + "/" + job.config.input.name;
        if (!info || !info->is_directory) {
            problems.push_back("[3] input disk '" + disk + "' on host " + job.place.host +
                               ": is no directory; mount it or make it");
        } else if (!job.files.is_writable(disk)) {
            problems.push_back("[3] input disk '" + disk + "' on host " + job.place.host +
                               ": is not writable by this user");
        } else if (job.files.info(data) && !job.config.run.overwrite) {
            problems.push_back(
                "[2] data set '" + data +
                "': is there already; remove it, choose another input.name, or set run.overwrite = true");
        } else if (job.files.free_bytes(disk) < share * job.place.local_ranks / disks.size()) {
            problems.push_back("[3] input disk '" + disk + "' on host " + job.place.host + ": " +
                               human_bytes(static_cast<double>(job.files.free_bytes(disk))) +
                               " free are not enough for " +
                               human_bytes(static_cast<double>(share * job.place.local_ranks / disks.size())));
        }
    }
    refuse_if_any(job, problems);
    if (job.config.run.overwrite && job.place.local_rank == 0)
        remove_data_set(job, DiskRole::input, job.config.input.name);
    job.communicator.barrier_or_failure();
    for (const std::string& disk : disks) job.files.make_directories(disk + "/" + job.config.input.name);

    const auto records_before = [&](std::uint64_t rank) {
        return static_cast<std::uint64_t>(static_cast<Uint128>(options.records) * rank / job.ranks());
    };
    const std::uint64_t first = records_before(job.rank()), count = records_before(job.rank() + 1) - first;
    std::vector<FilePlan> plans;
    for (std::size_t i = 0; i < mine.size(); ++i) {
        const std::uint64_t begin = count * i / mine.size(), end = count * (i + 1) / mine.size();
        char name[64];
        std::snprintf(name, sizeof name, "data-r%05u-d%02u", job.rank(), mine[i]);
        plans.push_back({disks[mine[i]] + "/" + job.config.input.name + "/" + name,
                         options.start + first + begin,
                         end - begin,
                         {}});
    }
    write_files(job, options, plans, live);

    const bool shared = job.config.disks_of(DiskRole::input).front().scope == DiskScope::shared;
    nlohmann::json list = nlohmann::json::array();
    for (const FilePlan& plan : plans) {
        list.push_back({{"host", shared ? "*" : job.place.host},
                        {"path", plan.path},
                        {"count", plan.sum.count},
                        {"sum", to_hex(plan.sum.sum)}});
    }
    GenerateResult result;
    DataSet& set = result.set;
    for (const std::string& text : job.communicator.all_gather(list.dump())) {
        for (const auto& file : nlohmann::json::parse(text)) {
            const RecordSum sum{file["count"], *parse_hex(file["sum"].get<std::string>())};
            set.files.push_back({file["host"], file["path"], sum.count * kGensortRecordBytes, sum, -1});
            set.total += sum;
        }
    }
    set.kind = "input";
    set.run_id = make_run_id(job);
    set.created = job.communicator.broadcast(utc_now(), 0);
    set.input_total = set.total;
    set.origin = std::string("gensort") + (options.generator.ascii ? " ascii" : " binary") +
                 (options.generator.skewed ? " skewed" : "") + ", " + std::to_string(options.records) +
                 " records from " + to_decimal(options.start);
    if (shared ? job.rank() == 0 : job.place.local_rank == 0) {
        job.files.write_durably(disks.front() + "/" + job.config.input.name + "/" + kManifestName, set.to_text());
    }
    job.communicator.barrier_or_failure();
    result.elapsed_s = static_cast<double>(job.executor.now_ns() - begin_ns) * 1e-9;
    return result;
}

}  // namespace sluice
