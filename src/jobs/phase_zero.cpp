#include "jobs/phase_zero.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>

#include "net/collectives.hpp"
#include "plan/cluster.hpp"
#include "plan/descriptors.hpp"
#include "record/crc32c.hpp"
#include "runtime/machine.hpp"
#include "runtime/units.hpp"
#include "sort/sort_partition.hpp"
#include "stages/network.hpp"
#include "stages/sample_reader.hpp"

namespace sluice {
namespace {

constexpr double kWantedShare = 0.0008;      // of the bytes: under 0.1 % with what strata round up
constexpr double kLeastSamples = 200;        // a partition; its size is then right within 7 % (one sigma)
constexpr double kSamplesForTargets = 6400;  // for each rank or disk but one: 5 % are then four sigma
// Where the records of a span are neighbours it counts as one sample. In sorted data either border of a partition may
// be a stratum off; runs of neighbours in random order make n spans to a partition right within 1/sqrt(n) (one sigma):
// 64 keep the largest of 16 partitions below 1.25 of the mean. Twelve at least, more as far as 0.35 % of the bytes go,
// both as far as 9.8 MB, or 0.098 % of more than 10 GB, go.
constexpr double kLeastSpans = 12, kWantedSpans = 64, kShareForSpans = 0.0035;
constexpr double kMostShareForSpans = 0.00098, kSmallForSpans = 10e9;
constexpr double kMostSamples = 1000;          // more does not pay
constexpr std::uint64_t kLeastCap = 4 * kMiB;  // a little input may be read twice
// Of one gathering, outside the budget: a sixteenth of rank 0's memory, but no more.
constexpr std::uint64_t kMostRoundBytes = 8 * kMiB, kRoundDivisor = 16;

/// Bytes that one span reads and records it brings, on average.
struct SpanCost {
    explicit SpanCost(std::uint32_t record_bytes) {
        if (record_bytes <= kDirectIoAlign / 2) {
            const std::uint64_t phase = std::gcd<std::uint64_t>(record_bytes, kDirectIoAlign);
            records = static_cast<double>(kDirectIoAlign - record_bytes + phase) / record_bytes;
            read_bytes = kDirectIoAlign;
        } else {
            read_bytes = round_up(record_bytes, kDirectIoAlign) + kDirectIoAlign;
        }
    }
    double records = 1;
    std::uint64_t read_bytes = 0;
};

// Of a rank's memory: its own sample, all samples on rank 0, and the reads under way.
constexpr double kSampleRoom = 0.375, kGatherRoom = 0.375;
constexpr std::uint64_t kReadRoomDivisor = 8;

/// Memory for `records` sampled records of a rank: as read, sorted, and the tags between.
std::uint64_t sample_memory(double records, const RecordFormat& format) {
    const auto count = static_cast<std::uint64_t>(std::ceil(records)) + 1;
    return 2 * (count * format.record_bytes + kDirectIoAlign) + sort_scratch_bytes(count, format) + 2 * kDirectIoAlign;
}

/// What a plan decides about where records go and how they travel: ranks that differ in it must not sort together.
std::string plan_text(const SortPlan& plan) {
    std::string text = std::to_string(plan.format.record_bytes) + " " + std::to_string(plan.format.key_offset) + " " +
                       std::to_string(plan.format.key_bytes) + " " + std::to_string(plan.mean_partition_bytes);
    for (const std::uint32_t first : plan.ownership.first_partition) text += " " + std::to_string(first);
    for (const RankPlan& rank : plan.ranks)
        text += " " + std::to_string(rank.one.message_bytes) + " " + std::to_string(rank.one.receive_buffers);
    return text;
}

std::uint32_t hash_of(const std::string& splitters, const SortPlan& plan) {
    const std::string plan_words = plan_text(plan);
    return crc32c(std::as_bytes(std::span(splitters)), crc32c(std::as_bytes(std::span(plan_words))));
}

/// One rank's part of the phase: its sample, read by one worker a disk, then sorted.
class Sampler {
public:
    Sampler(JobContext& job, Arena& arena, const SortPlan& plan, const SamplePlan& sample,
            const std::vector<std::vector<ReadRange>>& ranges)
        : job_(job), arena_(arena), format_(plan.format), pipeline_(job.executor, job.bind) {
        Rng rng(job.config.run.seed * 1'000'003 + job.rank());
        const std::uint32_t record_bytes = format_.record_bytes;
        std::vector<std::vector<SampleSpan>> spans;
        for (const auto& of_reader : ranges) {
            std::uint64_t bytes = 0;
            for (const ReadRange& range : of_reader) bytes += range.bytes;
            const std::uint64_t strata = sample.stratum_bytes == 0 ? 0 : ceil_div(bytes, sample.stratum_bytes);
            spans.push_back(bytes == 0 ? std::vector<SampleSpan>{}
                                       : plan_sample_spans(of_reader, record_bytes, strata, rng));
            for (const SampleSpan& span : spans.back()) sample_bytes_ += span.bytes;
        }
        records_ = arena.take(round_up(sample_bytes_, kDirectIoAlign), kDirectIoAlign, "sample").first(sample_bytes_);
        depth_ = sample_depth(job.config);
        std::size_t at = 0;
        for (std::size_t reader = 0; reader < spans.size(); ++reader) {
            std::size_t bytes = 0;
            for (const SampleSpan& span : spans[reader]) bytes += span.bytes;
            const std::uint64_t buffer_bytes = largest_span_read_bytes(spans[reader]);
            // Small memories take fewer requests in flight, at least one.
            const std::uint64_t room = arena.capacity_bytes() / kReadRoomDivisor / spans.size();
            const auto depth = static_cast<unsigned>(std::clamp<std::uint64_t>(
                std::min<std::uint64_t>(spans[reader].size(), room / buffer_bytes), 1, depth_));
            readers_.push_back(std::make_unique<SampleReader>(
                job.io, ranges[reader], std::move(spans[reader]),
                SampleReader::Buffers{arena.take(depth * buffer_bytes, kDirectIoAlign, "sample reads"), buffer_bytes,
                                      depth},
                records_.subspan(at, bytes)));
            at += bytes;
        }
        unsigned index = 0;
        for (auto& reader : readers_) pipeline_.add(StageKind::reader, index++, [&reader] { reader->run(); });
        pipeline_.on_change([this] { job_.doorbell.ring(); });
    }

    void read() {
        const LivePhase shown(job_.live, "phase zero", pipeline_, sample_bytes_);
        pipeline_.start();
        make_network_loop(job_, pipeline_).wait_for_workers();
    }
    std::uint64_t records() const { return sample_bytes_ / format_.record_bytes; }

    /// Every `step`th record of the sorted sample.
    std::span<const std::byte> sorted(std::uint64_t step) {
        const std::uint64_t bytes = ceil_div(records(), step) * format_.record_bytes;
        return sort_records(arena_, format_, records_, step,
                            arena_.take(round_up(bytes, kDirectIoAlign), kDirectIoAlign, "sorted sample").first(bytes));
    }
    static std::span<const std::byte> sort_records(Arena& arena, const RecordFormat& format,
                                                   std::span<const std::byte> records, std::uint64_t step,
                                                   std::span<std::byte> out) {
        const std::uint64_t count = records.size() / format.record_bytes;
        PartitionSorter sorter(format, arena.take(sort_scratch_bytes(count, format), kDirectIoAlign, "sample tags"));
        sorter.sort(records, {});
        // The middle of each step stands for it.
        for (std::uint64_t i = 0; i * format.record_bytes < out.size(); ++i)
            sorter.gather(std::min(count - 1, i * step + step / 2),
                          out.subspan(i * format.record_bytes, format.record_bytes));
        return out;
    }

    void report(PhaseReport& report, std::uint64_t begin_ns) const {
        report.stages = report_stages(pipeline_, begin_ns);
        for (const auto& reader : readers_) add_up(report.io, reader->counters());
        report.planned_depth = depth_;
    }

private:
    JobContext& job_;
    Arena& arena_;
    RecordFormat format_;
    std::uint64_t sample_bytes_ = 0;
    std::span<std::byte> records_;
    unsigned depth_ = 1;
    std::vector<std::unique_ptr<SampleReader>> readers_;
    Pipeline pipeline_;  // last: its destructor joins the workers while everything they use still lives
};

/// All ranks' records, on rank 0, in its arena; empty elsewhere. In rounds, so that little lies outside the budget.
std::span<std::byte> gather_sample(JobContext& job, Arena& arena, std::span<const std::byte> mine,
                                   const std::vector<std::uint64_t>& bytes_of_rank, std::uint32_t record_bytes,
                                   std::uint64_t round_bytes) {
    const std::uint64_t total = std::accumulate(bytes_of_rank.begin(), bytes_of_rank.end(), std::uint64_t{0});
    // Whole records: what follows a part in `all` is another rank's.
    const std::uint64_t piece =
        std::max<std::uint64_t>(record_bytes, round_down(round_bytes / job.ranks(), record_bytes));
    const std::uint64_t largest = *std::max_element(bytes_of_rank.begin(), bytes_of_rank.end());
    std::span<std::byte> all;
    if (job.rank() == 0) all = arena.take(round_up(total, kDirectIoAlign), kDirectIoAlign, "all samples").first(total);
    std::uint64_t filled = 0;
    for (std::uint64_t from = 0; from < largest; from += piece) {
        const auto part = mine.subspan(std::min<std::uint64_t>(from, mine.size()));
        const auto sent = part.first(std::min<std::uint64_t>(piece, part.size()));
        const auto texts =
            job.communicator.gather(std::string(reinterpret_cast<const char*>(sent.data()), sent.size()), 0);
        for (const std::string& text : texts) {
            if (!text.empty()) std::memcpy(all.data() + filled, text.data(), text.size());
            filled += text.size();
        }
    }
    SLUICE_CHECK(filled == all.size());
    return all;
}

}  // namespace

SamplePlan plan_sample(const Config& config, const SortPlan& plan, const std::vector<std::uint64_t>& input_bytes,
                       const std::vector<std::uint64_t>& memory_bytes, std::size_t targets) {
    const RecordFormat& format = plan.format;
    const SpanCost cost(format.record_bytes);
    const auto total = static_cast<double>(plan.input_bytes);
    const double each = config.keys.samples != 0
                            ? config.keys.samples
                            : std::clamp(kWantedShare * static_cast<double>(plan.mean_partition_bytes) /
                                             static_cast<double>(cost.read_bytes) * cost.records,
                                         kLeastSamples, kMostSamples);
    double wanted = each * plan.ownership.partitions();
    if (config.keys.samples == 0) wanted = std::max(wanted, kSamplesForTargets * static_cast<double>(targets - 1));
    const double cap_bytes = std::max(total / 100, static_cast<double>(kLeastCap));
    double spans = wanted / cost.records;
    if (config.keys.samples == 0) {
        const double most = kMostShareForSpans * std::max(total, kSmallForSpans) / static_cast<double>(cost.read_bytes);
        const double partitions = plan.ownership.partitions(), read_bytes = static_cast<double>(cost.read_bytes);
        const double more = std::min(kWantedSpans * partitions, kShareForSpans * total / read_bytes);
        spans = std::max(spans, std::min(std::max(kLeastSpans * partitions, more), most));
    }
    spans = std::min(spans, cap_bytes / static_cast<double>(cost.read_bytes));
    SamplePlan sample;
    sample.samples_wanted = static_cast<std::uint64_t>(wanted);
    const double per_record = static_cast<double>(sample_memory(1000, format)) / 1000;
    bool all_fits = true;
    for (std::size_t rank = 0; rank < input_bytes.size(); ++rank) {
        const double room = kSampleRoom * static_cast<double>(memory_bytes[rank]);
        const double own = static_cast<double>(input_bytes[rank]);
        if (own > 0) spans = std::min(spans, room / per_record / cost.records * total / own);
        all_fits = all_fits && static_cast<double>(sample_memory(own / format.record_bytes, format)) < room;
    }
    const double gathered = kGatherRoom * static_cast<double>(memory_bytes[0]) / per_record;
    sample.gather_bytes = std::max<std::uint64_t>(1, static_cast<std::uint64_t>(gathered)) * format.record_bytes;
    sample.round_bytes = std::min(kMostRoundBytes, memory_bytes[0] / kRoundDivisor);
    const bool everything = spans * static_cast<double>(cost.read_bytes) >= total / 2 && all_fits;
    if (!everything)
        sample.stratum_bytes =
            std::max<std::uint64_t>(cost.read_bytes, static_cast<std::uint64_t>(total / std::max(1.0, spans)));
    return sample;
}

PhaseZeroResult run_phase_zero(JobContext& job, Arena& arena, const SortPlan& plan, const SamplePlan& sample,
                               const std::vector<std::vector<ReadRange>>& ranges_by_reader,
                               const std::vector<double>& shares) {
    job.enter("phase-zero");
    arena.reset();
    const std::uint64_t begin_ns = job.executor.now_ns();
    const ProcessIo before = read_process_io();
    PhaseZeroResult result;
    Sampler sampler(job, arena, plan, sample, ranges_by_reader);
    sampler.read();

    std::vector<std::uint64_t> records = all_gather(job.communicator, std::uint64_t{sampler.records()});
    result.samples = std::accumulate(records.begin(), records.end(), std::uint64_t{0});
    const std::uint32_t record_bytes = plan.format.record_bytes;
    const std::uint64_t most = std::max<std::uint64_t>(1, sample.gather_bytes / record_bytes);
    // Ranks' remainders add at most one record each.
    const std::uint64_t step = result.samples <= most ? 1 : ceil_div(result.samples, most) + 1;
    for (std::uint64_t& count : records) count = ceil_div(count, step) * record_bytes;
    const auto all = gather_sample(job, arena, sampler.sorted(step), records, record_bytes, sample.round_bytes);

    std::string message;
    if (job.rank() == 0) {
        const auto sorted = Sampler::sort_records(
            arena, plan.format, all, 1,
            arena.take(round_up(all.size(), kDirectIoAlign), kDirectIoAlign, "sorted samples").first(all.size()));
        message = choose_splitters(plan.format, sorted, shares).serialize();
        const std::uint32_t hash = hash_of(message, plan);
        message.append(reinterpret_cast<const char*>(&hash), sizeof hash);
    }
    message = job.communicator.broadcast(std::move(message), 0);
    std::uint32_t hash = 0;
    SLUICE_CHECK(message.size() >= sizeof hash);
    std::memcpy(&hash, message.data() + message.size() - sizeof hash, sizeof hash);
    message.resize(message.size() - sizeof hash);
    Problems problems;
    if (hash != hash_of(message, plan)) {
        problems.push_back(
            {Errc::integrity,
             "splitters and plan from rank 0 do not match their hash on this rank: another plan, or "
             "a network or memory that changes bytes; check that all ranks run the same build and config"});
    }
    fail_if_any(job, problems);
    Splitters splitters = Splitters::deserialize(message, plan.format);
    SLUICE_CHECK(splitters.partitions() == plan.ownership.partitions());
    result.partitioner = std::move(splitters).make_partitioner(plan.format);

    PhaseReport& report = result.report;
    report.phase = "phase zero";
    report.elapsed_ns = job.executor.now_ns() - begin_ns;
    sampler.report(report, begin_ns);
    const ProcessIo after = read_process_io();
    report.kernel_read_bytes = after.read_bytes - before.read_bytes;
    report.kernel_written_bytes = after.write_bytes - before.write_bytes;
    return result;
}

}  // namespace sluice
