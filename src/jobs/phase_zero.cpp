#include "jobs/phase_zero.hpp"

#include <algorithm>
#include <cstring>
#include <string_view>
#include <tuple>

#include "plan/descriptors.hpp"
#include "record/crc32c.hpp"
#include "runtime/machine.hpp"
#include "runtime/packing.hpp"
#include "runtime/units.hpp"
#include "sort/parallel_sort.hpp"
#include "stages/network.hpp"
#include "stages/sample_reader.hpp"

namespace sluice {
namespace {

/// What a plan decides about where records go and how they travel: ranks that differ in it must not sort together.
std::string plan_text(const SortPlan& plan) {
    std::string text = std::to_string(plan.format.record_bytes) + " " + std::to_string(plan.format.key_offset) + " " +
                       std::to_string(plan.format.key_bytes) + " " + std::to_string(plan.mean_partition_bytes);
    for (const std::uint32_t first : plan.ownership.first_partition) text += " " + std::to_string(first);
    for (const RankPlan& rank : plan.ranks)
        text += " " + std::to_string(rank.one.message_bytes) + " " + std::to_string(rank.one.receive_buffers);
    return text;
}

std::uint32_t hash_of(const std::string& text, std::uint32_t begin = 0) {
    return crc32c(std::as_bytes(std::span(text)), begin);
}

/// The sampled records of the ranks, and how they are sent, belong to it.
std::uint32_t hash_of(const SortPlan& plan, const SamplePlan& sample) {
    return hash_of(plan_text(plan) + " " + std::to_string(sample.records_before.back()) + " " +
                   std::to_string(sample.gather_records) + " " + std::to_string(sample.round_records));
}

/// What a rank says in the first round, ahead of its records.
struct SampleHead {
    std::uint64_t records = 0;  ///< that it sampled
    std::uint64_t plan_hash = 0;
    static constexpr auto fields = std::tuple{&SampleHead::records, &SampleHead::plan_hash};
    static constexpr std::size_t kBytes = 16;
};

/// What rank 0 says behind the splitters.
struct SplittersTail {
    std::uint64_t samples = 0;  ///< over all ranks
    std::uint64_t hash = 0;     ///< of splitters and plan
    static constexpr auto fields = std::tuple{&SplittersTail::samples, &SplittersTail::hash};
    static constexpr std::size_t kBytes = 16;
};

/// Calls work(0) to work(count - 1) on workers of their own; the main thread looks after the other ranks meanwhile.
void on_workers(JobContext& job, std::uint64_t count, const std::function<void(std::uint64_t)>& work) {
    Pipeline pipeline(job.executor, job.bind);
    for (std::uint64_t turn = 0; turn < count; ++turn)
        pipeline.add(StageKind::sorter, static_cast<unsigned>(turn), [&work, turn] { work(turn); });
    pipeline.on_change([&job] { job.doorbell.ring(); });
    pipeline.start();
    make_network_loop(job, pipeline).wait_for_workers();
}

ParallelSorter make_sorter(JobContext& job, const SortPlan& plan) {
    return {plan.format, plan.ranks[job.rank()].two.sorters,
            [&job](std::uint64_t count, const auto& work) { on_workers(job, count, work); }};
}

/// One rank's part of the phase: its sample, read by one worker a disk, then sorted.
class Sampler {
public:
    Sampler(JobContext& job, Arena& arena, const SortPlan& plan, const SamplePlan& sample,
            const std::vector<std::vector<ReadRange>>& ranges)
        : job_(job), arena_(arena), record_bytes_(plan.format.record_bytes), pipeline_(job.executor, job.bind) {
        Rng rng(job.config.run.seed * 1'000'003 + job.rank());
        // No strata are no reads, but where everything is read.
        if (sample.stratum_bytes == 0 || sample.strata[job.rank()] > 0)
            spans_ = plan_sample_spans(ranges, record_bytes_, sample.strata[job.rank()], sample.span_blocks, rng);
        spans_.resize(ranges.size());
        for (const auto& of_reader : spans_) sample_bytes_ += bytes_of(of_reader);
        SLUICE_CHECK(records() <= sample.most_records(job.rank()));
        records_ = arena.take(round_up(sample_bytes_, kDirectIoAlign), kDirectIoAlign, "sample").first(sample_bytes_);
        depth_ = sample_depth(job.config);
        // Small memories take fewer requests in flight, at least one.
        const std::uint64_t room =
            sample_read_room(arena.capacity_bytes(), ranges.size(), sample.span_read_bytes) / ranges.size();
        std::size_t at = 0;
        for (std::size_t reader = 0; reader < ranges.size(); ++reader) {
            const std::size_t bytes = bytes_of(spans_[reader]);
            const std::uint64_t buffer_bytes = largest_span_read_bytes(spans_[reader]);
            const auto depth = static_cast<unsigned>(std::clamp<std::uint64_t>(
                std::min<std::uint64_t>(spans_[reader].size(), room / buffer_bytes), 1, depth_));
            readers_.push_back(std::make_unique<SampleReader>(
                job.io, ranges[reader], std::move(spans_[reader]),
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
    std::uint64_t records() const { return sample_bytes_ / record_bytes_; }

    /// So many of the sorted sample, evenly spread over it.
    std::span<std::byte> sorted(const ParallelSorter& sorter, std::uint64_t wanted) {
        const std::uint64_t count = records();
        const auto other = arena_.take(records_.size(), kDirectIoAlign, "sorted sample");
        const auto scratch = arena_.take(sorter.scratch_bytes(count), kDirectIoAlign, "sample tags");
        const auto all = sorter.sort(records_, other, scratch);
        SLUICE_CHECK(wanted <= count);
        // The middle of each part stands for it, and comes no earlier than where it goes.
        for (std::uint64_t i = 0; i < wanted && wanted < count; ++i)
            std::memmove(all.data() + i * record_bytes_,
                         all.data() + (2 * i + 1) * count / (2 * wanted) * record_bytes_, record_bytes_);
        return all.first(wanted * record_bytes_);
    }

    void report(PhaseReport& report, std::uint64_t begin_ns) const {
        report.stages = report_stages(pipeline_, begin_ns);
        for (const auto& reader : readers_) add_up(report.io, reader->counters());
        report.planned_depth = depth_;
    }

private:
    static std::uint64_t bytes_of(const std::vector<SampleSpan>& spans) {
        std::uint64_t bytes = 0;
        for (const SampleSpan& span : spans) bytes += span.bytes;
        return bytes;
    }

    JobContext& job_;
    Arena& arena_;
    std::uint64_t record_bytes_;
    std::vector<std::vector<SampleSpan>> spans_;  // by reader, until it has them
    std::uint64_t sample_bytes_ = 0;
    std::span<std::byte> records_;
    unsigned depth_ = 1;
    std::vector<std::unique_ptr<SampleReader>> readers_;
    Pipeline pipeline_;  // last: its destructor joins the workers while everything they use still lives
};

/// Brings the ranks' sorted samples to rank 0, in rounds, so that little lies outside the budget. How many records a
/// rank has is what it says in the first; where their places are, how many rounds there are, and what a round takes
/// follow from the plan.
class Gathering {
public:
    Gathering(JobContext& job, Arena& arena, const SortPlan& plan, const SamplePlan& sample)
        : job_(job),
          arena_(arena),
          sample_(sample),
          record_bytes_(plan.format.record_bytes),
          plan_hash_(hash_of(plan, sample)) {}

    /// @param sampled  records of this rank, of which `mine` are those to send.
    /// Returns all of them on rank 0, in its arena, a run a rank; nothing elsewhere.
    SortedRuns gather(std::uint64_t sampled, std::span<std::byte> mine) {
        if (job_.ranks() == 1) {
            samples_ = sampled;
            return {mine, {mine.size() / record_bytes_}};
        }
        for (std::uint64_t round = 0; round < sample_.rounds(); ++round) {
            const auto [first, last] = piece(job_.rank(), mine.size() / record_bytes_, round);
            std::string text = round == 0 ? pack(SampleHead{sampled, plan_hash_}) : std::string();
            const auto sent = mine.subspan(first * record_bytes_, (last - first) * record_bytes_);
            text.append(reinterpret_cast<const char*>(sent.data()), sent.size());
            std::vector<std::string> texts = job_.communicator.gather(text, 0);
            if (job_.rank() != 0) continue;
            if (round == 0) make_room(texts);
            keep(texts, round);
        }
        return runs_;
    }
    /// Over all ranks; on rank 0.
    std::uint64_t samples() const { return samples_; }

private:
    /// Of `count` records of a rank, those whose places are in this round: first, and behind the last.
    std::pair<std::uint64_t, std::uint64_t> piece(std::size_t rank, std::uint64_t count, std::uint64_t round) const {
        const std::uint64_t first_place = sample_.first_place(rank), begin = round * sample_.round_records;
        const auto in_rank = [&](std::uint64_t place) {
            return std::min(count, std::max(place, first_place) - first_place);
        };
        return {in_rank(begin), in_rank(begin + sample_.round_records)};
    }

    /// From the heads of the first round, which it takes off.
    void make_room(std::vector<std::string>& texts) {
        std::uint64_t end = 0;
        for (std::size_t rank = 0; rank < texts.size(); ++rank) {
            const auto head = unpack<SampleHead>(std::string_view(texts[rank]).substr(0, SampleHead::kBytes));
            texts[rank].erase(0, SampleHead::kBytes);
            if (head.plan_hash != plan_hash_ || head.records > sample_.most_records(rank)) {
                throw Error(Errc::integrity,
                            "rank " + std::to_string(rank) +
                                " has another plan of this sort than rank 0; check that all ranks run the same build "
                                "and config");
            }
            samples_ += head.records;
            end += sample_.sent(rank, head.records);
            runs_.ends.push_back(end);
        }
        const std::uint64_t bytes = end * record_bytes_;
        SLUICE_CHECK(end <= sample_.gather_records);
        runs_.records = arena_.take(round_up(bytes, kDirectIoAlign), kDirectIoAlign, "all samples").first(bytes);
    }

    void keep(const std::vector<std::string>& texts, std::uint64_t round) {
        std::uint64_t begin = 0;
        for (std::size_t rank = 0; rank < texts.size(); ++rank) {
            const auto [first, last] = piece(rank, runs_.ends[rank] - begin, round);
            if (texts[rank].size() != (last - first) * record_bytes_) {
                throw Error(Errc::integrity, "rank " + std::to_string(rank) + " sent " +
                                                 std::to_string(texts[rank].size()) + " bytes of sample instead of " +
                                                 std::to_string((last - first) * record_bytes_) +
                                                 "; check network and memory");
            }
            if (!texts[rank].empty())
                std::memcpy(runs_.records.data() + (begin + first) * record_bytes_, texts[rank].data(),
                            texts[rank].size());
            begin = runs_.ends[rank];
        }
    }

    JobContext& job_;
    Arena& arena_;
    const SamplePlan& sample_;
    std::uint64_t record_bytes_, plan_hash_, samples_ = 0;
    SortedRuns runs_;
};

/// On rank 0: the splitters of the samples that are here.
std::string choose(Arena& arena, const SortPlan& plan, const ParallelSorter& sorter, const SortedRuns& runs,
                   const std::vector<double>& shares) {
    std::span<std::byte> sorted = runs.records;
    if (runs.ends.size() > 1) {
        const auto spare = arena.take(runs.records.size(), kDirectIoAlign, "sorted samples");
        const auto scratch = arena.take(sorter.scratch_bytes(runs.ends.back()), kDirectIoAlign, "samples' tags");
        sorted = sorter.merge(runs, spare, scratch);
    }
    return choose_splitters(plan.format, sorted, shares).serialize();
}

/// Takes the tail off; throws Error(integrity) when the text is not what rank 0 made for this plan.
SplittersTail take_tail(std::string& text, std::uint32_t plan_hash) {
    const std::size_t size = text.size() - std::min(text.size(), SplittersTail::kBytes);
    const auto tail = unpack<SplittersTail>(std::string_view(text).substr(size));
    text.resize(size);
    if (tail.hash != hash_of(text, plan_hash)) {
        throw Error(Errc::integrity,
                    "splitters and plan from rank 0 do not match their hash on this rank: another plan, or a network "
                    "or memory that changes bytes; check that all ranks run the same build and config");
    }
    return tail;
}

}  // namespace

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

    const ParallelSorter sorter = make_sorter(job, plan);
    const auto mine = sampler.sorted(sorter, sample.sent(job.rank(), sampler.records()));
    Gathering gathering(job, arena, plan, sample);
    const SortedRuns runs = gathering.gather(sampler.records(), mine);
    const std::uint32_t plan_hash = hash_of(plan, sample);
    std::string message;
    if (job.rank() == 0) {
        message = choose(arena, plan, sorter, runs, shares);
        message += pack(SplittersTail{gathering.samples(), hash_of(message, plan_hash)});
    }
    message = job.communicator.broadcast(std::move(message), 0);
    result.samples = take_tail(message, plan_hash).samples;
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
