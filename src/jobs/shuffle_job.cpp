#include "jobs/shuffle_job.hpp"

#include <algorithm>
#include <memory>

#include "jobs/conservation.hpp"
#include "net/collectives.hpp"
#include "plan/cluster.hpp"
#include "plan/preflight.hpp"
#include "plan/preflight_paths.hpp"
#include "runtime/thread_clock.hpp"
#include "runtime/units.hpp"
#include "stages/record_sink.hpp"
#include "stages/record_source.hpp"

namespace sluice {
namespace {

using Kind = TrafficPattern::Kind;

bool sends(const TrafficPattern& pattern, std::uint32_t rank, std::uint32_t ranks) {
    return ranks == 1 || !destinations_of(pattern, rank, ranks).empty();
}

/// Divided evenly among the ranks that send, which in all-to-all make their own share as well.
std::uint64_t records_of_rank(const ShuffleOptions& options, std::uint32_t rank, std::uint32_t ranks) {
    std::uint64_t senders = 0, before = 0;
    for (std::uint32_t other = 0; other < ranks; ++other) {
        const bool one = sends(options.pattern, other, ranks);
        before += one && other < rank ? 1 : 0;
        senders += one ? 1 : 0;
    }
    if (!sends(options.pattern, rank, ranks)) return 0;
    return options.records * (before + 1) / senders - options.records * before / senders;
}

/// A sink drops a chunk as soon as it is full, so chunks that wait for a long chain would only cool down.
void trim_chunks(SortPlan& plan) {
    for (RankPlan& rank : plan.ranks) {
        PhaseOnePlan& one = rank.one;
        const std::size_t floor =
            std::size_t{one.distributors + one.logical_disk_distributors} * std::max(1u, rank.partitions);
        one.chunks = std::min(one.chunks, floor + floor / 2 + 16);
        one.target_chunks = 1;
        one.low_water_chunks = 0;
    }
}

void check_pattern(JobContext& job, const ShuffleOptions& shuffle, Problems& problems) {
    const TrafficPattern& pattern = shuffle.pattern;
    if (pattern.kind == Kind::stride && job.ranks() > 1 && pattern.stride % job.ranks() == 0) {
        problems.push_back({Errc::config, "--stride " + std::to_string(pattern.stride) + ": with " +
                                              std::to_string(job.ranks()) +
                                              " ranks every rank would send to itself; choose another"});
    }
    const bool draws_keys = pattern.kind != Kind::all_to_all && job.ranks() > 1;
    if ((draws_keys || shuffle.limit) && job.config.record.key_size_bytes < sizeof(std::uint64_t)) {
        problems.push_back(
            {Errc::config, "record.key_size = \"" + std::to_string(job.config.record.key_size_bytes) +
                               "B\": " + (draws_keys ? "--pattern " + pattern.name() : std::string("--limit")) +
                               " draws the first 8 bytes of keys; set >= \"8B\""});
    }
}

/// Source in front of the exchange, sinks behind it.
class Shuffle {
public:
    Shuffle(JobContext& job, Arena& arena, const PreparedShuffle& prepared, const Partitioner& partitioner)
        : job_(job),
          prepared_(prepared),
          plan_(prepared.plan.ranks[job.rank()].one),
          exchange_(job, arena, prepared.plan.ranks[job.rank()], prepared.plan, partitioner,
                    {std::stoull(prepared.run_id.substr(16), nullptr, 16), 1, {}, true}),
          source_(prepared.plan.format, partitioner, prepared.plan.ownership, source_options(), exchange_.read_pool(),
                  exchange_.input()),
          pipeline_(job.executor, job.bind) {
        const unsigned sinks = std::max(1u, (plan_.distributors + plan_.logical_disk_distributors) / 4);
        for (unsigned i = 0; i < sinks; ++i) {
            sinks_.push_back(std::make_unique<RecordSink>(exchange_.chains(), prepared.plan.format, partitioner,
                                                          prepared.plan.ownership.first(job.rank()), plan_.max_chunks,
                                                          job.config.run.verify));
        }
        pipeline_.add(StageKind::source, 0, [this] { source_.run(); });
        exchange_.add_workers(pipeline_);
        unsigned index = 0;
        for (auto& sink : sinks_) {
            pipeline_.add(StageKind::sink, index++, [&sink] {
                // A chunk is a few microseconds' work: one at a time, each would cost the distributors their caches.
                wake_without_preempting();
                sink->run();
            });
        }
    }

    void prepare() { source_.prepare(); }

    ShuffleResult run() {
        ShuffleResult result;
        const NetworkBytes before = read_network_bytes();
        const std::uint64_t begin_ns = job_.executor.now_ns();
        exchange_.run(pipeline_, {});
        result.elapsed_ns = job_.executor.now_ns() - begin_ns;
        result.interfaces = read_network_bytes() - before;
        result.verified = job_.config.run.verify;
        result.run_id = prepared_.run_id;
        result.peers = exchange_.peers();
        result.report.phase = "shuffle";
        result.report.elapsed_ns = result.elapsed_ns;
        result.report.stages = report_stages(pipeline_, begin_ns);
        exchange_.add_reports(result.report);
        return result;
    }

    const std::vector<RecordSum>& made() const { return source_.made(); }
    /// By source; what this rank got from itself is what the sinks dropped and no peer had sent.
    std::vector<RecordSum> received() const {
        std::vector<RecordSum> by_source = exchange_.received();
        RecordSum& own = by_source[job_.rank()];
        for (const auto& sink : sinks_) own += sink->sum();
        for (std::uint32_t peer = 0; peer < job_.ranks(); ++peer) {
            if (peer == job_.rank()) continue;
            own.count -= by_source[peer].count;
            own.sum -= by_source[peer].sum;
        }
        return by_source;
    }

private:
    RecordSource::Options source_options() const {
        const ShuffleOptions& options = prepared_.options;
        RecordSource::Options source;
        source.first_record = job_.rank() * kRecordNumbersPerRank;
        source.records = records_of_rank(options, job_.rank(), job_.ranks());
        source.duration_ns = options.duration_ns;
        source.idle = !sends(options.pattern, job_.rank(), job_.ranks());
        source.sum = job_.config.run.verify;
        if (options.pattern.kind != Kind::all_to_all)
            source.destinations = destinations_of(options.pattern, job_.rank(), job_.ranks());
        return source;
    }

    JobContext& job_;
    const PreparedShuffle& prepared_;
    const PhaseOnePlan& plan_;
    Exchange exchange_;
    RecordSource source_;
    std::vector<std::unique_ptr<RecordSink>> sinks_;
    Pipeline pipeline_;  // last: its destructor joins the workers while everything they use still lives
};

}  // namespace

PreparedShuffle prepare_shuffle(JobContext& job, RankMeans means, const ShuffleOptions& shuffle) {
    PreparedShuffle prepared;
    prepared.options = shuffle;
    Problems problems;
    check_pattern(job, shuffle, problems);
    check_results(job, problems);
    const RecordFormat format{static_cast<std::uint32_t>(job.config.record.size_bytes),
                              static_cast<std::uint32_t>(job.config.record.key_offset_bytes),
                              static_cast<std::uint32_t>(job.config.record.key_size_bytes)};
    RankResources mine = resources_of_rank(job, means);
    mine.input_bytes = records_of_rank(shuffle, job.rank(), job.ranks()) * format.record_bytes;
    prepared.resources = all_gather(job.communicator, mine);
    settle_budgets(job, prepared.resources, means);
    check_budget(job, means, "", problems);
    refuse_if_any(job, problems);
    // A run by the clock is planned as a sort of twice the memory.
    for (RankResources& rank : prepared.resources) {
        if (shuffle.duration_ns > 0) rank.input_bytes = 2 * rank.budget_bytes;
    }

    try {
        Config config = job.config;
        config.stages.reader.workers = 1;  // one source hands out memory faster than any distributor takes it
        prepared.plan = plan_sort(config, format, prepared.resources);
        trim_chunks(prepared.plan);
        check_windows(job, prepared.plan, problems);
        for (std::uint32_t rank = 0; rank < job.ranks(); ++rank) {
            if (shuffle.pattern.kind == Kind::all_to_all || prepared.plan.ownership.count(rank) > 0) continue;
            problems.push_back(
                {Errc::config, "--pattern " + shuffle.pattern.name() + ": rank " + std::to_string(rank) +
                                   " owns none of the " + std::to_string(prepared.plan.ownership.partitions()) +
                                   " partitions, so nothing can be sent to it; set partitions.count >= " +
                                   std::to_string(job.ranks())});
        }
    } catch (const Error& error) {
        problems.push_back(problem_of(error));
    }
    refuse_if_any(job, problems);
    prepared.run_id = make_run_id(job);
    return prepared;
}

ShuffleResult run_shuffle(JobContext& job, const PreparedShuffle& prepared) {
    job.enter("shuffle", prepared.run_id);
    const auto arena = job.make_arena(prepared.plan.ranks[job.rank()].one.arena_bytes() + kMiB);
    wait_until_touched(job, *arena);
    const auto partitioner = make_uniform_partitioner(prepared.plan.format, prepared.plan.ownership.partitions());
    Shuffle shuffle(job, *arena, prepared, *partitioner);
    arena->finish_touching();
    const std::string pages = arena->page_kind();
    shuffle.prepare();
    job.communicator.barrier_or_failure();
    ShuffleResult result = shuffle.run();
    result.memory_pages = pages;
    result.made = shuffle.made();
    result.received = shuffle.received();
    check_pairs(job, result.made, result.received);
    result.pairs = gather(job.communicator, result.made);
    return result;
}

}  // namespace sluice
