#include "jobs/overflow.hpp"

#include <algorithm>
#include <numeric>

#include "jobs/phase_one.hpp"
#include "jobs/phase_zero.hpp"
#include "record/chunk_layout.hpp"
#include "runtime/units.hpp"

namespace sluice {
namespace {

constexpr double kPieceFill = 0.7;   // of what fits, so that a sampled boundary may be a third off
constexpr unsigned kMostDepth = 16;  // each level divides by two at the least; more means a bug

/// One rank by itself: collectives are its own, but a failure of another rank still ends it.
class AloneCommunicator final : public Communicator {
public:
    explicit AloneCommunicator(Communicator& all) : all_(all) {}
    std::uint32_t rank() const override { return 0; }
    std::uint32_t size() const override { return 1; }
    void barrier() override {}
    std::string broadcast(std::string text, std::uint32_t) override { return text; }
    std::vector<std::string> exchange(const std::vector<std::string>& to_rank) override { return to_rank; }
    std::vector<std::string> gather(const std::string& text, std::uint32_t) override { return {text}; }
    std::vector<std::string> all_gather(const std::string& text) override { return {text}; }
    void announce_failure(const Failure& failure) override { all_.announce_failure(failure); }
    std::optional<Failure> poll_failure() override { return all_.poll_failure(); }
    void barrier_or_failure() override {}

private:
    Communicator& all_;
};

/// Key ranges of a rank's parts.
class PartRanges final : public PrefixRanges {
public:
    explicit PartRanges(std::uint32_t first) : first_(first) {}
    void add(std::pair<std::uint64_t, std::uint64_t> range) { ranges_.push_back(range); }
    std::pair<std::uint64_t, std::uint64_t> prefix_range(std::uint32_t part) const override {
        return ranges_[part - first_];
    }

private:
    std::uint32_t first_;
    std::vector<std::pair<std::uint64_t, std::uint64_t>> ranges_;
};

struct Piece {
    std::vector<Extent> extents;
    std::pair<std::uint64_t, std::uint64_t> range;
    std::uint64_t record_bytes() const {
        return std::accumulate(extents.begin(), extents.end(), std::uint64_t{0},
                               [](std::uint64_t sum, const Extent& e) { return sum + e.record_bytes; });
    }
    std::uint64_t written_bytes() const {
        return std::accumulate(extents.begin(), extents.end(), std::uint64_t{0},
                               [](std::uint64_t sum, const Extent& e) { return sum + e.written_bytes; });
    }
};

class Splitting {
public:
    Splitting(JobContext& job, Arena& arena, const SortPlan& plan, const OverflowInput& input, LiveCounters& live)
        : job_(job), arena_(arena), format_(plan.format), input_(input), live_(live), alone_(job.communicator) {}

    /// Appends to `fitting` the pieces of `piece`, in key order, none larger than most_bytes.
    void split(const Piece& piece, unsigned depth, std::vector<Piece>& fitting, OverflowResult& result) {
        if (piece.written_bytes() <= input_.most_bytes) {
            fitting.push_back(piece);
            return;
        }
        SLUICE_CHECK(depth < kMostDepth);
        for (const Piece& part : spread(piece, depth, result)) split(part, depth + 1, fitting, result);
    }

private:
    std::vector<Piece> spread(const Piece& piece, unsigned depth, OverflowResult& result) {
        const std::uint64_t bytes = piece.record_bytes();
        const auto [plan, ranges] = plan_pass(piece);
        const std::uint32_t pieces = plan.ownership.partitions();
        Config config = job_.config;
        config.keys.samples = 0;
        config.run.seed += 1 + depth;  // a split that went badly is not repeated with the same sample
        JobContext job{.executor = job_.executor,
                       .communicator = alone_,
                       .doorbell = job_.doorbell,
                       .io = job_.io,
                       .files = job_.files,
                       .processes = job_.processes,
                       .config = config,
                       .place = job_.place,
                       .make_transport = {},
                       .make_arena = job_.make_arena,
                       .bind = job_.bind,
                       .backoff = job_.backoff,
                       .say = job_.say};
        const SamplePlan sample = plan_sample(config, plan, {bytes}, {arena_.capacity_bytes()}, 1);
        if (result.first_read_ns == 0) result.first_read_ns = job.executor.now_ns();
        const PhaseZeroResult zero =
            run_phase_zero(job, arena_, plan, sample, ranges, std::vector<double>(pieces, 1.0 / pieces), live_);
        ExtentIndex index(job.executor, pieces);
        const PhaseOneInput one{ranges, input_.logs, input_.log_space, 0, {}};
        const PhaseOneResult pass =
            run_phase_one(job, arena_, plan.ranks.front(), plan, *zero.partitioner, one, index, live_);
        if (pass.input_sum.count * format_.record_bytes != bytes || index.total_bytes() != bytes) {
            throw Error(Errc::integrity, "splitting a partition of " + format_bytes(bytes) + " read " +
                                             format_bytes(pass.input_sum.count * format_.record_bytes) + " and wrote " +
                                             format_bytes(index.total_bytes()) +
                                             "; the intermediate logs were damaged, sort again");
        }
        result.report.phase = "overflow";
        add_phase(result.report, zero.report);
        add_phase(result.report, pass.report);
        ++result.passes;
        std::vector<Piece> parts;
        for (std::uint32_t p = 0; p < pieces; ++p) {
            const auto [low, high] = zero.partitioner->prefix_range(p);
            parts.push_back({index.extents(p), {std::max(low, piece.range.first), std::min(high, piece.range.second)}});
        }
        return parts;
    }

    /// As many pieces as bring each well below what fits, or as many as the memory lets this pass have chunks for.
    std::pair<SortPlan, std::vector<std::vector<ReadRange>>> plan_pass(const Piece& piece) const {
        const std::uint64_t bytes = piece.record_bytes();
        const auto wanted = static_cast<std::uint64_t>(static_cast<double>(bytes) /
                                                       (kPieceFill * static_cast<double>(input_.most_bytes))) +
                            1;
        auto pieces = static_cast<std::uint32_t>(std::clamp<std::uint64_t>(wanted, 2, input_.most_pieces));
        RankResources rank = input_.resources;
        rank.input_bytes = bytes;
        rank.input_disks = static_cast<unsigned>(input_.logs.size());
        const std::uint64_t budget_bytes = arena_.capacity_bytes() - kMiB / 2;
        Config config = job_.config;
        config.io.chunk_size_bytes = input_.chunk_bytes;  // phase two takes the padding out of chunks of one size
        auto one = plan_phase_one_alone(config, format_, rank, pieces, budget_bytes);
        while (!one && pieces > 2) {
            pieces = std::max(2u, pieces / 2);
            one = plan_phase_one_alone(config, format_, rank, pieces, budget_bytes);
        }
        if (!one) {
            throw Error(Errc::config, "a partition of " + format_bytes(bytes) + " does not fit in memory, and " +
                                          format_bytes(budget_bytes) +
                                          " are too little to split it; raise memory.budget");
        }
        SLUICE_CHECK(one->chunk_bytes == input_.chunk_bytes ||
                     chunk_record_bytes(input_.chunk_bytes, format_.record_bytes) == input_.chunk_bytes);
        SortPlan plan;
        plan.format = format_;
        plan.ownership.first_partition = {0, pieces};
        plan.input_bytes = bytes;
        plan.mean_partition_bytes = bytes / pieces;
        plan.planned_partition_bytes = input_.most_bytes;
        plan.ranks = {RankPlan{pieces, *one, {}}};
        std::vector<std::vector<ReadRange>> ranges(one->readers);
        // Each disk has its readers, which take its extents in turn.
        const std::size_t disks = input_.logs.size(), turns = std::max<std::size_t>(1, one->readers / disks);
        std::size_t turn = 0;
        for (const Extent& extent : piece.extents)
            add_ranges(extent, ranges[(extent.disk + turn++ % turns * disks) % one->readers]);
        return {std::move(plan), std::move(ranges)};
    }

    /// Where the records of an extent lie: in one piece, or between the paddings of its chunks.
    void add_ranges(const Extent& extent, std::vector<ReadRange>& ranges) const {
        const std::string path = input_.logs[extent.disk]->path();
        const std::uint64_t in_chunk = chunk_record_bytes(input_.chunk_bytes, format_.record_bytes);
        if (in_chunk == input_.chunk_bytes) {
            ranges.push_back({path, extent.offset, extent.record_bytes});
            return;
        }
        std::uint64_t offset = extent.offset;
        for (std::uint64_t left = extent.record_bytes; left > 0; offset += input_.chunk_bytes) {
            const std::uint64_t bytes = std::min(left, in_chunk);
            ranges.push_back({path, offset, bytes});
            left -= bytes;
        }
    }

    JobContext& job_;
    Arena& arena_;
    RecordFormat format_;
    const OverflowInput& input_;
    LiveCounters& live_;
    AloneCommunicator alone_;
};

}  // namespace

OverflowResult split_overflow(JobContext& job, Arena& arena, const SortPlan& plan, const PrefixRanges& ranges,
                              const ExtentIndex& index, const OverflowInput& input, LiveCounters& live) {
    const std::uint32_t first = plan.ownership.first(job.rank());
    job.enter("overflow");
    OverflowResult result;
    Splitting splitting(job, arena, plan, input, live);
    auto part_ranges = std::make_unique<PartRanges>(first);
    std::vector<Piece> parts;
    for (std::uint32_t partition = 0; partition < index.logical_disks(); ++partition) {
        std::vector<Piece> pieces;
        splitting.split({index.extents(partition), ranges.prefix_range(first + partition)}, 0, pieces, result);
        const bool split = pieces.size() > 1;
        result.split_partitions += split ? 1 : 0;
        for (std::uint32_t piece = 0; piece < pieces.size(); ++piece) {
            result.parts.push_back({partition, piece, split});
            part_ranges->add(pieces[piece].range);
            parts.push_back(std::move(pieces[piece]));
        }
    }
    result.index = std::make_unique<ExtentIndex>(job.executor, static_cast<std::uint32_t>(parts.size()));
    for (std::uint32_t part = 0; part < parts.size(); ++part) {
        for (const Extent& extent : parts[part].extents) result.index->add(part, extent);
    }
    result.ranges = std::move(part_ranges);
    return result;
}

}  // namespace sluice
