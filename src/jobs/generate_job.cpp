#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "jobs/cluster.hpp"
#include "jobs/data_jobs.hpp"
#include "jobs/old_data_set.hpp"
#include "record/record_stream.hpp"
#include "record/uint128_text.hpp"
#include "runtime/units.hpp"
#include "runtime/wall_clock.hpp"
#include "stages/copy_writer.hpp"
#include "stages/network.hpp"

namespace sluice {
namespace {

constexpr std::uint64_t kWantedBlockBytes = kMiB;
constexpr std::uint64_t kStepBytes = 12'800;  // made and summed in one go: they stay in the first-level cache
constexpr unsigned kDepth = 4;

/// One write: whole device blocks, and whole records where a block of about 1 MiB can hold them.
std::uint64_t block_bytes_of(RecordFormat format) {
    const std::uint64_t unit = format.aligned_unit_bytes();
    return unit <= kWantedBlockBytes ? round_down(kWantedBlockBytes, unit) : kWantedBlockBytes;
}

/// One file: a range of the data set's records. Made in order by one worker, written by another.
struct FilePlan {
    std::string path;
    std::uint64_t first = 0, records = 0;  ///< counted from the data set's first record
    RecordSum sum;
};

/// Makes `plan`'s records into buffers of `pool`; a record may lie across two of them.
void make_records(const DataGenerator& data, RecordFormat format, FilePlan& plan, BufferPool& pool,
                  WorkQueue<Buffer>& queue) {
    DataGenerator generator = data.from(plan.first);
    RecordStream stream(format.record_bytes, pool.buffer_bytes());
    const std::size_t step_bytes = std::max<std::size_t>(1, kStepBytes / format.record_bytes) * format.record_bytes;
    stream.begin(plan.records);
    while (stream.bytes_left() > 0) {
        Buffer buffer = pool.take();
        buffer.commit(stream.fill(buffer.storage(), [&](std::span<std::byte> records) {
            for (; !records.empty(); records = records.subspan(std::min(step_bytes, records.size()))) {
                const auto piece = records.first(std::min(step_bytes, records.size()));
                generator.fill(piece);
                plan.sum += sum_records(piece, format.record_bytes);
            }
        }));
        this_worker().input_bytes.add(buffer.size());
        queue.push(std::move(buffer));
    }
    queue.producer_done();
}

/// One thread makes records and sums them, the other writes; several files (disks) at a time.
void write_files(JobContext& job, const DataGenerator& data, RecordFormat format, std::vector<FilePlan>& plans,
                 LiveCounters& live) {
    const std::size_t files = std::max<std::size_t>(1, plans.size());
    const std::size_t buffers = kDepth + 2;
    const std::uint64_t block_bytes = block_bytes_of(format);
    const auto arena = job.make_arena(files * buffers * block_bytes);
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
        const std::uint64_t file_bytes = plan.records * format.record_bytes;
        goal_bytes += file_bytes;
        lane.file = job.io.create(plan.path);
        if (job.config.io.preallocate) lane.file->preallocate(round_up(file_bytes, kDirectIoAlign));
        lane.pool = std::make_unique<BufferPool>(job.executor, "generate",
                                                 arena->take(buffers * block_bytes, kDirectIoAlign, "generate"),
                                                 block_bytes, buffers);
        lane.queue = std::make_unique<WorkQueue<Buffer>>(job.executor, buffers, 1);
        lane.writer = std::make_unique<CopyWriter>(job.io, *lane.file, kDepth, *lane.queue);
        pipeline.add("generator", static_cast<unsigned>(i),
                     [&plan, &lane, &data, format] { make_records(data, format, plan, *lane.pool, *lane.queue); });
        pipeline.add("writer", static_cast<unsigned>(i), [file_bytes, &lane, &job] {
            lane.writer->run();
            lane.file->truncate(file_bytes);
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

/// For people, and enough to make the same data again.
std::string describe(const GeneratedData& data) {
    const bool gensort = data.format.record_bytes == kGensortRecordBytes;
    std::string text = std::string(gensort ? "gensort" : "seeded bytes") + (data.ascii ? " ascii" : " binary");
    text +=
        ", keys " + data.keys.text() + ", " + std::to_string(data.records) + " records from " + to_decimal(data.start);
    const bool seeded = !gensort || (data.keys.kind != KeyDistribution::Kind::uniform &&
                                     data.keys.kind != KeyDistribution::Kind::skewed);
    return seeded ? text + ", seed " + std::to_string(data.seed) : text;
}

/// What can be known before the first byte, as refuse_if_any() takes it.
std::vector<std::string> generate_problems(JobContext& job, const GenerateOptions& options,
                                           const std::vector<std::string>& disks, RecordFormat format) {
    std::vector<std::string> problems;
    const std::uint64_t share = options.records * format.record_bytes / job.ranks() + 1;
    if (options.ascii && format.record_bytes != kGensortRecordBytes) {
        problems.push_back("[2] --ascii: printable records have 100 bytes, record.size is " +
                           format_bytes(format.record_bytes) + "; leave out one of them");
    }
    if (options.records > (std::uint64_t{1} << 62) / format.record_bytes) {
        problems.push_back("[2] --records " + std::to_string(options.records) + ": of " +
                           format_bytes(format.record_bytes) + " each are more than 4 EiB; make fewer");
    }
    if (disks.empty()) problems.push_back("[2] disks: none has role = \"input\"; add a [[disks]] table with it");
    std::map<std::uint64_t, std::uint64_t> removable;  // by device; run.overwrite removes the old set first
    if (job.config.run.overwrite) {
        const auto found = overwrite_problems(job, DiskRole::input, job.config.input.name);
        problems.insert(problems.end(), found.begin(), found.end());
        removable = removable_bytes(job, DiskRole::input, job.config.input.name);
    }
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
        } else if (const auto direct = check_direct_io(job, disk); !direct.problem.empty()) {
            problems.push_back("[3] input disk '" + disk + "' on host " + job.place.host + ": " + direct.problem);
        } else if (job.files.free_bytes(disk) + removable[info->device] <
                   share * job.place.local_ranks / disks.size()) {
            problems.push_back("[3] input disk '" + disk + "' on host " + job.place.host + ": " +
                               human_bytes(static_cast<double>(job.files.free_bytes(disk))) +
                               " free are not enough for " +
                               human_bytes(static_cast<double>(share * job.place.local_ranks / disks.size())) +
                               "; free space or add disks");
        }
    }
    return problems;
}

}  // namespace

GenerateResult run_generate(JobContext& job, const GenerateOptions& options, LiveCounters& live) {
    job.enter("generate");
    const std::uint64_t begin_ns = job.executor.now_ns();
    const auto disks = disk_paths(job, DiskRole::input);
    const auto mine = disks_of_rank(job.place, disks.size());
    const RecordFormat format = configured_format(job.config);
    const GeneratedData described{format,        options.ascii,  options.keys, job.config.run.seed,
                                  options.start, options.records};
    auto problems = generate_problems(job, options, disks, format);
    if (const std::string problem = described.problem(); !problem.empty()) problems.push_back("[2] " + problem);
    refuse_if_any(job, problems);
    if (job.config.run.overwrite) remove_data_set(job, DiskRole::input, job.config.input.name);
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
        plans.push_back({disks[mine[i]] + "/" + job.config.input.name + "/" + name, first + begin, end - begin, {}});
    }
    write_files(job, DataGenerator(described, first), format, plans, live);

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
            set.files.push_back({file["host"], file["path"], sum.count * format.record_bytes, sum, -1});
            set.total += sum;
        }
    }
    set.kind = "input";
    set.format = format;
    set.run_id = make_run_id(job);
    set.created = job.communicator.broadcast(utc_now(), 0);
    set.input_total = set.total;
    set.origin = describe(described);
    if (shared ? job.rank() == 0 : job.place.local_rank == 0) {
        job.files.write_durably(disks.front() + "/" + job.config.input.name + "/" + kManifestName, set.to_text());
    }
    job.communicator.barrier_or_failure();
    result.elapsed_s = static_cast<double>(job.executor.now_ns() - begin_ns) * 1e-9;
    return result;
}

}  // namespace sluice
