#include <algorithm>
#include <map>

#include "jobs/data_jobs.hpp"
#include "jobs/last_word.hpp"
#include "jobs/output_set.hpp"
#include "jobs/part_check.hpp"
#include "net/collectives.hpp"
#include "plan/cluster.hpp"
#include "plan/disk_space.hpp"
#include "plan/input_proof.hpp"
#include "plan/preflight_paths.hpp"
#include "record/record_stream.hpp"
#include "record/uint128_text.hpp"
#include "runtime/packing.hpp"
#include "runtime/resources.hpp"
#include "runtime/units.hpp"
#include "runtime/wall_clock.hpp"
#include "stages/network.hpp"
#include "stages/sequential_writer.hpp"

namespace sluice {
namespace {

constexpr std::uint64_t kWantedBlockBytes = kMiB;
constexpr std::uint64_t kStepBytes = 12'800;  // made and summed in one go: they stay in the first-level cache
constexpr unsigned kDepth = 4;
constexpr std::size_t kBuffersOfAFile = kDepth + 2;

/// One write: whole device blocks, and whole records where a block of about 1 MiB can hold them.
std::uint64_t block_bytes_of(RecordFormat format) {
    const std::uint64_t unit = format.aligned_unit_bytes();
    return unit <= kWantedBlockBytes ? round_down(kWantedBlockBytes, unit) : kWantedBlockBytes;
}

/// One file: a range of the data set's records. Made in order by one worker, written by another.
struct FilePlan {
    std::string path, name;
    std::uint32_t disk = 0;                ///< of the data set
    std::uint64_t first = 0, records = 0;  ///< counted from the data set's first record
    RecordSum sum;
    std::vector<std::byte> last_key;
};

/// Of the last record, where all of its key is in the last buffer; to be looked for before the data set is published.
void keep_last_key(RecordFormat format, std::span<const std::byte> bytes, FilePlan& plan) {
    const std::size_t behind_key = format.record_bytes - format.key_offset - format.key_bytes;
    if (bytes.size() < behind_key + format.key_bytes) return;
    const auto key = bytes.subspan(bytes.size() - behind_key - format.key_bytes, format.key_bytes);
    plan.last_key.assign(key.begin(), key.end());
}

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
        if (stream.bytes_left() == 0) keep_last_key(format, buffer.data(), plan);
        this_worker().input_bytes.add(buffer.size());
        queue.push(std::move(buffer));
    }
    queue.producer_done();
}

/// One thread makes records and sums them, the other writes; several files (disks) at a time.
void write_files(JobContext& job, const DataGenerator& data, RecordFormat format, std::vector<FilePlan>& plans) {
    const std::size_t files = std::max<std::size_t>(1, plans.size());
    const std::size_t buffers = kBuffersOfAFile;
    const std::uint64_t block_bytes = block_bytes_of(format);
    const auto arena = job.make_arena(files * buffers * block_bytes);
    struct Lane {
        std::unique_ptr<IoFile> file;
        std::unique_ptr<BufferPool> pool;
        std::unique_ptr<WorkQueue<Buffer>> queue;
        std::unique_ptr<SequentialWriter> writer;
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
        lane.writer = std::make_unique<SequentialWriter>(job.io, *lane.file, kDepth, *lane.queue);
        pipeline.add(StageKind::generator, static_cast<unsigned>(i),
                     [&plan, &lane, &data, format] { make_records(data, format, plan, *lane.pool, *lane.queue); });
        pipeline.add(StageKind::writer, static_cast<unsigned>(i), [file_bytes, &lane, &job] {
            lane.writer->run();
            lane.file->truncate(file_bytes);
            if (job.config.io.fsync) lane.file->sync_data();
            lane.file->close_checked();
        });
        pipeline.guard(*lane.pool);
        pipeline.guard(*lane.queue);
    }
    pipeline.on_change([&job] { job.doorbell.ring(); });
    const LivePhase shown(job.live, "generate", pipeline, goal_bytes);
    pipeline.start();
    make_network_loop(job, pipeline).wait_for_workers();
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
Problems generate_problems(JobContext& job, const GenerateOptions& options, const std::vector<std::string>& disks,
                           RecordFormat format) {
    Problems problems;
    const std::uint64_t share = options.records * format.record_bytes / job.ranks() + 1;
    if (options.ascii && format.record_bytes != kGensortRecordBytes) {
        problems.push_back({Errc::config, "--ascii: printable records have 100 bytes, record.size is " +
                                              format_bytes(format.record_bytes) + "; leave out one of them"});
    }
    if (options.records > (std::uint64_t{1} << 62) / format.record_bytes) {
        problems.push_back({Errc::config, "--records " + std::to_string(options.records) + ": of " +
                                              format_bytes(format.record_bytes) +
                                              " each are more than 4 EiB; make fewer"});
    }
    if (disks.empty())
        problems.push_back({Errc::config, "disks: none has role = \"input\"; add a [[disks]] table with it"});
    const OldDataSet old(job, DiskRole::input, job.config.input.name);
    const auto found = old.problems(job.config.run.overwrite != Overwrite::no);
    problems.insert(problems.end(), found.begin(), found.end());
    std::vector<std::string> notes;
    check_permissions(job, DiskRole::input, problems, notes);
    say_notes(job, notes);
    prove_disks(job, {DiskRole::input}, problems);
    for (const std::string& disk : disks) {
        const auto info = look(job, disk);
        if (!info || !info->is_directory) {
            problems.push_back({Errc::environment, "input disk '" + disk + "' on host " + job.place.host +
                                                       ": is no directory; mount it or make it"});
        } else if (!job.files.is_writable(disk)) {
            problems.push_back({Errc::environment, "input disk '" + disk + "' on host " + job.place.host +
                                                       ": is not writable by this user"});
        } else if (const auto direct = check_direct_io(job, job.files.direct_io_in(disk)); !direct.problem.empty()) {
            problems.push_back(
                {Errc::environment, "input disk '" + disk + "' on host " + job.place.host + ": " + direct.problem});
        }
    }
    if (job.executor.scheduler() == nullptr) {
        const auto files = static_cast<unsigned>(std::max<std::size_t>(1, disks.size()));
        const std::string lack = problem_of_resources(2 * files, files * kBuffersOfAFile * block_bytes_of(format));
        if (!lack.empty()) problems.push_back({Errc::environment, "host " + job.place.host + ": " + lack});
    }
    DiskSpace space(job);
    const RoleDisks all = role_disks(job, DiskRole::input);
    for (const std::uint32_t index : all.used()) {
        const std::uint64_t bytes = share / all.used().size();
        space.need(all.disks[index], {bytes, 1, round_up(bytes, kDirectIoAlign)});
    }
    space.replaces(old);
    space.judge("the data", problems);
    return problems;
}

/// This rank's adjoining range of the records, one file a disk that it uses.
std::vector<FilePlan> plan_files(const JobContext& job, const GenerateOptions& options, const OutputSet& output) {
    const auto records_before = [&](std::uint64_t rank) {
        return static_cast<std::uint64_t>(static_cast<Uint128>(options.records) * rank / job.ranks());
    };
    const std::uint64_t first = records_before(job.rank()), count = records_before(job.rank() + 1) - first;
    std::vector<FilePlan> plans;
    for (std::uint32_t used = 0; used < output.disks(); ++used) {
        const std::uint64_t begin = count * used / output.disks(), end = count * (used + 1) / output.disks();
        char name[64];
        std::snprintf(name, sizeof name, "data-r%05u-d%02u", job.rank(), used);
        FilePlan plan;
        plan.name = name;
        plan.path = output.path_of(used, name);
        plan.disk = output.disk_number(used);
        plan.first = first + begin;
        plan.records = end - begin;
        plans.push_back(std::move(plan));
    }
    return plans;
}

/// What a rank tells rank 0 of a file.
struct FileFact {
    std::string name;
    std::uint32_t disk = 0;
    RecordSum sum;
    static constexpr auto fields = std::tuple{&FileFact::name, &FileFact::disk, &FileFact::sum};
};

/// What a rank tells rank 0 when its files are written.
struct RankFiles {
    Problems problems;  ///< that stand against publishing
    std::vector<FileFact> files;
    static constexpr auto fields = std::tuple{&RankFiles::problems, &RankFiles::files};
};

DataSet describe_set(const GeneratedData& described, const OutputSet& output, const std::vector<RankFiles>& ranks,
                     const std::string& run_id) {
    DataSet set;
    for (const RankFiles& rank : ranks) {
        for (const FileFact& file : rank.files) {
            set.files.push_back({file.disk, file.name, file.sum.count * described.format.record_bytes, file.sum, -1});
            set.total += file.sum;
        }
    }
    set.kind = SetKind::input;
    set.format = described.format;
    set.run_id = run_id;
    set.created = utc_now();
    set.disks = output.set_disks();
    set.input_total = set.total;
    set.origin = describe(described);
    return set;
}

void look_at_files(JobContext& job, RecordFormat format, const std::vector<FilePlan>& plans) {
    std::vector<WrittenFile> files;
    for (const FilePlan& plan : plans) files.push_back({plan.path, plan.records * format.record_bytes, plan.last_key});
    const auto arena = job.make_arena(kAmpleCheckBytes);
    check_written_files(job, format, files, arena->take(kAmpleCheckBytes, kDirectIoAlign, "last blocks"));
}

}  // namespace

void run_generate(JobContext& job, const GenerateOptions& options, GenerateResult& result) {
    const std::string run_id = make_run_id(job);
    job.enter("generate", run_id);
    const std::uint64_t begin_ns = job.executor.now_ns();
    const RecordFormat format = configured_format(job.config);
    const GeneratedData described{format,        options.ascii,  options.keys, job.config.run.seed,
                                  options.start, options.records};
    auto problems = generate_problems(job, options, disk_paths(job, DiskRole::input), format);
    if (const std::string problem = described.problem(); !problem.empty()) problems.push_back({Errc::config, problem});
    refuse_if_any(job, problems);
    OutputSet output(job, {DiskRole::input, job.config.input.name, run_id, "gen", {"data-r#-d#"}, {}});
    output.claim();
    std::vector<FilePlan> plans = plan_files(job, options, output);
    write_files(job, DataGenerator(described, plans.front().first), format, plans);

    output.require_ours();
    look_at_files(job, format, plans);
    RankFiles mine;
    mine.problems = output.name_problems();
    for (const FilePlan& plan : plans) mine.files.push_back({plan.name, plan.disk, plan.sum});
    const std::vector<RankFiles> ranks = gather(job.communicator, mine);
    std::vector<Problems> problems_by_rank;
    for (const RankFiles& rank : ranks) problems_by_rank.push_back(rank.problems);
    if (job.rank() == 0) result.set = describe_set(described, output, ranks, run_id);
    const auto make = [&](std::size_t piece_bytes, const TakePiece& take) {
        const auto each_file = [&](const TakeFile& take_file) {
            for (const DataFile& file : result.set.files) take_file(file);
        };
        make_manifest(result.set, each_file, piece_bytes, take);
    };
    tell_last_word(job.communicator, problems_by_rank, make,
                   [&](std::string_view piece) { output.write_manifest(piece); });
    result.elapsed_s = static_cast<double>(job.executor.now_ns() - begin_ns) * 1e-9;
    output.publish();
    output.retire_replaced();
}

}  // namespace sluice
