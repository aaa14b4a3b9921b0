#include "jobs/overflow.hpp"

#include <algorithm>
#include <numeric>

#include "jobs/phase_one.hpp"
#include "jobs/phase_zero.hpp"
#include "net/lone_communicator.hpp"
#include "record/chunk_layout.hpp"
#include "runtime/units.hpp"

namespace sluice {
namespace {

constexpr double kPieceFill = 0.7;   // of what fits, so that a sampled boundary may be a third off
constexpr unsigned kMostDepth = 16;  // each level divides by two at the least; more means a bug

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
    std::uint64_t payload_bytes() const {
        return std::accumulate(extents.begin(), extents.end(), std::uint64_t{0},
                               [](std::uint64_t sum, const Extent& e) { return sum + e.payload_bytes; });
    }
    std::uint64_t written_bytes() const {
        return std::accumulate(extents.begin(), extents.end(), std::uint64_t{0},
                               [](std::uint64_t sum, const Extent& e) { return sum + e.written_bytes; });
    }
};

class Splitting {
public:
    explicit Splitting(const LogStore::Parts& store)
        : store_(store),
          job_(store.job),
          format_(store.plan.format),
          most_bytes_(planned().two.partition_bytes),
          chunk_bytes_(planned().one.chunk_bytes),
          alone_(&store.job.communicator) {}

    /// Appends to `fitting` the pieces of `piece`, in key order, none larger than phase two's plan has room for.
    void split(const Piece& piece, unsigned depth, std::vector<Piece>& fitting, PartList& list) {
        if (piece.written_bytes() <= most_bytes_) {
            fitting.push_back(piece);
            return;
        }
        SLUICE_CHECK(depth < kMostDepth);
        for (const Piece& part : spread(piece, depth, list)) split(part, depth + 1, fitting, list);
    }

private:
    const RankPlan& planned() const { return store_.plan.ranks[store_.job.rank()]; }

    std::vector<Piece> spread(const Piece& piece, unsigned depth, PartList& list) {
        const std::uint64_t bytes = piece.payload_bytes();
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
                       .say = job_.say,
                       .live = job_.live};
        Arena& arena = store_.arena;
        const SamplePlan sample = plan_sample(
            {.config = config, .plan = plan, .input_bytes = {bytes}, .memory_bytes = {arena.capacity_bytes()}});
        if (list.first_read_ns == 0) list.first_read_ns = job.executor.now_ns();
        const PhaseZeroResult zero =
            run_phase_zero(job, arena, plan, sample, ranges, std::vector<double>(pieces, 1.0 / pieces));
        LogStore pieces_store({job, arena, plan, store_.rank, store_.logs});
        const PhaseOneResult pass = run_phase_one(job, arena,
                                                  {.plan = plan.ranks.front(),
                                                   .sort = plan,
                                                   .partitioner = *zero.partitioner,
                                                   .store = pieces_store,
                                                   .ranges_by_reader = ranges});
        if (pass.input_sum.count * format_.record_bytes != bytes || pieces_store.total_bytes() != bytes) {
            throw Error(Errc::integrity, "splitting a partition of " + format_bytes(bytes) + " read " +
                                             format_bytes(pass.input_sum.count * format_.record_bytes) + " and wrote " +
                                             format_bytes(pieces_store.total_bytes()) +
                                             "; the intermediate logs were damaged, sort again");
        }
        list.report.phase = "overflow";
        add_up(list.report, zero.report);
        add_up(list.report, pass.report);
        ++list.passes;
        std::vector<Piece> parts;
        for (std::uint32_t p = 0; p < pieces; ++p) {
            const auto [low, high] = zero.partitioner->prefix_range(p);
            parts.push_back({pieces_store.index().extents(p),
                             {std::max(low, piece.range.first), std::min(high, piece.range.second)}});
        }
        return parts;
    }

    /// As many pieces as bring each well below what fits, or as many as the memory lets this pass have chunks for.
    std::pair<SortPlan, std::vector<std::vector<ReadRange>>> plan_pass(const Piece& piece) const {
        const std::uint64_t bytes = piece.payload_bytes();
        const auto wanted =
            static_cast<std::uint64_t>(static_cast<double>(bytes) / (kPieceFill * static_cast<double>(most_bytes_))) +
            1;
        auto pieces = static_cast<std::uint32_t>(std::clamp<std::uint64_t>(wanted, 2, store_.most_pieces));
        RankResources rank = store_.rank;
        rank.input_bytes = bytes;
        const std::size_t disks = store_.logs->files().size();
        rank.input_disks = static_cast<unsigned>(disks);
        const std::uint64_t budget_bytes = store_.arena.capacity_bytes() - kMiB / 2;
        Config config = job_.config;
        config.io.chunk_size_bytes = chunk_bytes_;  // phase two takes the padding out of chunks of one size
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
        SLUICE_CHECK(one->chunk_bytes == chunk_bytes_ ||
                     chunk_record_bytes(chunk_bytes_, format_.record_bytes) == chunk_bytes_);
        SortPlan plan;
        plan.format = format_;
        plan.ownership.first_partition = {0, pieces};
        plan.input_bytes = bytes;
        plan.mean_partition_bytes = bytes / pieces;
        plan.planned_partition_bytes = most_bytes_;
        plan.ranks = {RankPlan{pieces, *one, {}}};
        std::vector<std::vector<ReadRange>> ranges(one->readers);
        // Each disk has its readers, which take its extents in turn.
        const std::size_t turns = std::max<std::size_t>(1, one->readers / disks);
        std::size_t turn = 0;
        for (const Extent& extent : piece.extents)
            add_ranges(extent, ranges[(extent.disk + turn++ % turns * disks) % one->readers]);
        return {std::move(plan), std::move(ranges)};
    }

    /// Where the records of an extent lie: in one piece, or between the paddings of its chunks.
    void add_ranges(const Extent& extent, std::vector<ReadRange>& ranges) const {
        const std::string path = store_.logs->files()[extent.disk]->path();
        const std::uint64_t in_chunk = chunk_record_bytes(chunk_bytes_, format_.record_bytes);
        if (in_chunk == chunk_bytes_) {
            ranges.push_back({path, extent.offset, extent.payload_bytes});
            return;
        }
        std::uint64_t offset = extent.offset;
        for (std::uint64_t left = extent.payload_bytes; left > 0; offset += chunk_bytes_) {
            const std::uint64_t bytes = std::min(left, in_chunk);
            ranges.push_back({path, offset, bytes});
            left -= bytes;
        }
    }

    const LogStore::Parts& store_;
    JobContext& job_;
    RecordFormat format_;
    std::uint64_t most_bytes_, chunk_bytes_;  // of a part, padding included; of phase one
    LoneCommunicator alone_;
};

}  // namespace

SplitParts split_overflow(const LogStore::Parts& store, const PrefixRanges& ranges, const ExtentIndex& index) {
    const std::uint32_t first = store.plan.ownership.first(store.job.rank());
    store.job.enter("overflow");
    SplitParts made;
    Splitting splitting(store);
    auto part_ranges = std::make_unique<PartRanges>(first);
    std::vector<Piece> parts;
    for (std::uint32_t partition = 0; partition < index.logical_disks(); ++partition) {
        std::vector<Piece> pieces;
        splitting.split({index.extents(partition), ranges.prefix_range(first + partition)}, 0, pieces, made.list);
        const bool split = pieces.size() > 1;
        made.list.split_partitions += split ? 1 : 0;
        for (std::uint32_t piece = 0; piece < pieces.size(); ++piece) {
            made.list.labels.push_back({partition, piece, split});
            part_ranges->add(pieces[piece].range);
            parts.push_back(std::move(pieces[piece]));
        }
    }
    made.index = std::make_unique<ExtentIndex>(store.job.executor, static_cast<std::uint32_t>(parts.size()));
    for (std::uint32_t part = 0; part < parts.size(); ++part) {
        for (const Extent& extent : parts[part].extents) made.index->add(part, extent);
    }
    made.list.ranges = std::move(part_ranges);
    return made;
}

}  // namespace sluice
