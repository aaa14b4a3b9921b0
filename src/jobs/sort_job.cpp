#include "jobs/sort_job.hpp"

#include <algorithm>
#include <map>

#include "jobs/conservation.hpp"
#include "jobs/logs.hpp"
#include "jobs/one_pass_excess.hpp"
#include "jobs/output_set.hpp"
#include "jobs/part_check.hpp"
#include "record/chunk_layout.hpp"
#include "runtime/packing.hpp"
#include "runtime/units.hpp"
#include "runtime/wall_clock.hpp"

namespace sluice {
namespace {

/// Names order as keys do: the pieces of a split partition come where it would have been.
std::string part_name(std::uint32_t first_partition, const PartLabel& label) {
    char name[48];
    if (label.split) {
        std::snprintf(name, sizeof name, "part-%06u.%06u", first_partition + label.partition, label.piece);
    } else {
        std::snprintf(name, sizeof name, "part-%06u", first_partition + label.partition);
    }
    return name;
}

/// The output set, and on which of this rank's disks each of its parts goes.
struct Output {
    std::unique_ptr<OutputSet> set;
    std::uint32_t first = 0;  ///< disk of the first part; the next go round, so that disks get equal bytes
    std::uint32_t disk_of_part(std::uint32_t part) const { return (first + part) % set->disks(); }
};

/// One pass: the chunks of the whole share, at the end of the arena, where the phases' own memory does not reach.
std::unique_ptr<KeptPartitions> keep_in_memory(JobContext& job, Arena& arena, const SortPlan& plan,
                                               const RankPlan& mine) {
    arena.reset();
    return std::make_unique<KeptPartitions>(
        job.executor, arena.take_from_end(mine.one.chunk_memory_bytes(), kDirectIoAlign, "chunks"),
        mine.one.chunk_bytes, mine.one.chunks, mine.one.chunk_records, plan.format.record_bytes, mine.partitions);
}

/// One pass: what phase two has beside the chunks; half a MiB is for the alignment of its pools.
std::uint64_t memory_to_sort(const Arena& arena) { return arena.phase_bytes() - kMiB / 2; }

/// As many extents as a logical disk has when every chunk is written alone, within 8 MiB for all of them: longer chains
/// are the rule, and what comes beyond costs one reallocation for each doubling.
std::size_t extents_to_expect(const SortPlan& plan, const RankPlan& mine) {
    const std::uint64_t most = plan.planned_partition_bytes / mine.one.chunk_bytes + 2;
    return std::min<std::uint64_t>(most, 8 * kMiB / sizeof(Extent) / std::max(1u, mine.partitions));
}

/// Readers take the rank's directories in turn, so that several input disks work at once; where there are more readers
/// than directories, each takes an equal part of every slice of its directory.
std::vector<std::vector<ReadRange>> ranges_by_reader(const InputSet& input, const std::vector<InputSlice>& slices,
                                                     unsigned readers) {
    const std::uint64_t unit_bytes = input.format.slice_unit_bytes();
    std::map<std::string, std::size_t> numbers;
    for (const InputSlice& slice : slices) numbers.emplace(directory_of(slice.path), numbers.size());
    std::vector<std::vector<ReadRange>> ranges(std::max(1u, readers));
    for (const InputSlice& slice : slices) {
        const std::size_t first = numbers.at(directory_of(slice.path)) % ranges.size();
        const std::size_t here = ceil_div(ranges.size() - first, numbers.size());
        std::uint64_t begin = 0;
        for (std::size_t part = 1; part <= here; ++part) {
            const std::uint64_t end = part == here ? slice.bytes : round_down(slice.bytes / here * part, unit_bytes);
            if (begin < end)
                ranges[first + (part - 1) * numbers.size()].push_back(
                    {slice.path, slice.offset + begin, end - begin, slice.file, &input.files[slice.file].identity});
            begin = end;
        }
    }
    return ranges;
}

/// What phase two is to do: the plan for the partitions as they are, or, where one does not fit, their pieces.
struct PhaseTwoWork {
    PhaseTwoPlan plan;
    std::optional<OverflowResult> overflow;
    std::vector<PartLabel> parts;
};

PhaseTwoWork prepare_phase_two(JobContext& job, Arena& arena, const PreparedSort& prepared, const Logs& logs,
                               const Partitioner& partitioner, const ExtentIndex& index, const SortOptions& options,
                               SortResult& result, LiveCounters& live) {
    const SortPlan& plan = prepared.plan;
    const RankPlan& mine = plan.ranks[job.rank()];
    const RankResources& resources = prepared.resources[job.rank()];
    result.largest_partition_bytes = index.largest_padded_bytes();
    const std::uint64_t largest = std::max<std::uint64_t>(result.largest_partition_bytes, kDirectIoAlign);
    auto two = plan_phase_two(job.config, plan.format, resources, largest);
    if (!two || two->memory_bytes() > arena.capacity_bytes()) {
        // The real partitions are larger than planned: keep within what was mapped.
        RankResources within = resources;
        within.budget_bytes = arena.capacity_bytes() - kMiB / 2;
        two = plan_phase_two(job.config, plan.format, within, largest);
    }
    PhaseTwoWork work;
    if (two) {
        work.plan = *two;
        for (std::uint32_t partition = 0; partition < mine.partitions; ++partition)
            work.parts.push_back({partition, 0, false});
        return work;
    }
    work.plan = mine.two;
    const OverflowInput input{logs.files(),         logs.space(), mine.two.partition_bytes,
                              mine.one.chunk_bytes, resources,    options.most_split_pieces};
    work.overflow = split_overflow(job, arena, plan, partitioner, index, input, live);
    work.parts = work.overflow->parts;
    result.overflow = work.overflow->report;
    result.overflow_first_read_ns = work.overflow->first_read_ns;
    result.split_partitions = work.overflow->split_partitions;
    result.split_passes = work.overflow->passes;
    return work;
}

/// One pass: what is left beside the chunks, for the partitions as they are, which one_pass_excess() found to fit.
PhaseTwoWork prepare_in_memory(JobContext& job, const Arena& arena, const PreparedSort& prepared,
                               const KeptPartitions& kept, SortResult& result) {
    const SortPlan& plan = prepared.plan;
    result.largest_partition_bytes = kept.largest_bytes();
    PhaseTwoWork work;
    work.plan =
        plan_phase_two_in_memory(job.config, plan.format, prepared.resources[job.rank()],
                                 result.largest_partition_bytes / plan.format.record_bytes, memory_to_sort(arena))
            .value();
    for (std::uint32_t partition = 0; partition < kept.partitions(); ++partition)
        work.parts.push_back({partition, 0, false});
    return work;
}

/// Phase two over the parts. A disk that is full although the plan had room for this rank's share: says why.
PhaseTwoResult sort_parts(JobContext& job, Arena& arena, const PreparedSort& prepared, std::vector<IoFile*> logs,
                          KeptPartitions* kept, const Output& output, const PhaseTwoWork& work,
                          const Partitioner& partitioner, const ExtentIndex& index, LiveCounters& live) {
    const SortPlan& plan = prepared.plan;
    const std::uint32_t base = plan.ownership.first(job.rank());
    const PhaseTwoInput input{std::move(logs),
                              plan.ranks[job.rank()].one.chunk_bytes,
                              kept,
                              output.set->disks(),
                              [&](std::uint32_t local) { return output.disk_of_part(local); },
                              [&](std::uint32_t local) {
                                  return output.set->path_of(output.disk_of_part(local),
                                                             part_name(base, work.parts[local]));
                              }};
    const PrefixRanges* ranges = &partitioner;
    if (work.overflow) ranges = work.overflow->ranges.get();
    try {
        return run_phase_two(job, arena, work.plan, static_cast<std::uint32_t>(work.parts.size()), plan, *ranges, input,
                             work.overflow ? *work.overflow->index : index, live);
    } catch (const Error& error) {
        const std::uint64_t planned_bytes = plan.mean_partition_bytes * plan.ranks[job.rank()].partitions;
        if (error.code() != Errc::space || index.total_bytes() <= planned_bytes + planned_bytes / 10) throw;
        throw Error(Errc::space, std::string(error.what()) + "; rank " + std::to_string(job.rank()) + " got " +
                                     human_bytes(static_cast<double>(index.total_bytes())) + " where " +
                                     human_bytes(static_cast<double>(planned_bytes)) +
                                     " were planned, because the keys are not uniform: sample");
    }
}

/// Phase zero, or for keys whose promise to be uniform is trusted nothing but equal pieces of the key space.
std::unique_ptr<Partitioner> make_partitioner(JobContext& job, Arena& arena, const PreparedSort& prepared,
                                              const std::vector<std::vector<ReadRange>>& ranges,
                                              const std::vector<double>& shares, bool sampled, SortResult& result,
                                              LiveCounters& live) {
    const SortPlan& plan = prepared.plan;
    if (!sampled) return make_uniform_partitioner(plan.format, plan.ownership.partitions());
    std::vector<std::uint64_t> input_bytes, memory_bytes;
    std::size_t disks = 0;
    for (std::size_t rank = 0; rank < plan.ranks.size(); ++rank) {
        input_bytes.push_back(prepared.resources[rank].input_bytes);
        memory_bytes.push_back(plan.ranks[rank].mapped_bytes());
        disks += prepared.resources[rank].output_disks;
    }
    const SamplePlan sample = plan_sample(job.config, plan, input_bytes, memory_bytes, disks);
    if (result.first_read_ns == 0) result.first_read_ns = job.executor.now_ns();
    PhaseZeroResult zero = run_phase_zero(job, arena, plan, sample, ranges, shares, live);
    result.zero = std::move(zero.report);
    result.samples = zero.samples;
    return std::move(zero.partitioner);
}

/// Phase one, and what phase two needs of it.
struct Distributed {
    std::unique_ptr<Arena> arena;
    std::vector<double> shares;  ///< of each partition
    std::unique_ptr<Partitioner> partitioner;
    std::unique_ptr<ExtentIndex> index;
    std::unique_ptr<KeptPartitions> kept;  ///< one pass
    std::unique_ptr<Logs> logs;            ///< two passes
    std::vector<IoFile*> log_files;
    std::vector<RecordSum> sums_by_file;
    PhaseOneResult one;
};

Distributed distribute(JobContext& job, const PreparedSort& prepared, const SortOptions& options, bool sampled,
                       SortResult& result, LiveCounters& live) {
    const SortPlan& plan = prepared.plan;
    const RankPlan& mine = plan.ranks[job.rank()];
    Distributed made;
    made.arena = job.make_arena(mine.mapped_bytes());
    const auto ranges = ranges_by_reader(prepared.input, prepared.slices, mine.one.readers);
    made.shares = sampled ? partition_shares(plan.ownership, prepared.resources)
                          : std::vector<double>(plan.ownership.partitions(), 1.0 / plan.ownership.partitions());
    made.partitioner = make_partitioner(job, *made.arena, prepared, ranges, made.shares, sampled, result, live);
    made.index = std::make_unique<ExtentIndex>(job.executor, mine.partitions);
    std::vector<ExtentLog*> log_space;
    if (plan.passes == 1) {
        made.kept = keep_in_memory(job, *made.arena, plan, mine);
    } else {
        made.index->reserve(extents_to_expect(plan, mine));
        made.logs = std::make_unique<Logs>(
            job, prepared.run_id, "sort",
            padded_bytes(plan.format, mine.one.chunk_bytes, plan.mean_partition_bytes) * mine.partitions);
        made.log_files = made.logs->files();
        log_space = made.logs->space();
    }
    // Each attempt has a number of its own, so that late words of the one before are told apart.
    const std::uint64_t run_number = std::stoull(prepared.run_id.substr(16), nullptr, 16) + result.exceeded_attempts;
    SourceSums sources(job.executor, prepared.input.files.size());
    const PhaseOneInput input{ranges, made.log_files, log_space, run_number, options.mutant, &sources, made.kept.get()};
    made.one = run_phase_one(job, *made.arena, mine, plan, *made.partitioner, input, *made.index, live);
    if (result.first_read_ns == 0) result.first_read_ns = made.one.first_read_ns;
    check_pairs(job, made.one.peers);
    made.sums_by_file = sources.take();
    return made;
}

/// Until phase one has ended with every rank's memory holding what it is to hold: a second attempt samples, a third
/// takes two passes.
Distributed distribute_until_it_fits(JobContext& job, PreparedSort& prepared, const SortOptions& options,
                                     SortResult& result, LiveCounters& live) {
    for (bool sampled = job.config.keys.distribution != "uniform";; sampled = true) {
        Distributed made = distribute(job, prepared, options, sampled, result, live);
        if (!made.kept) return made;
        const auto excess = one_pass_excess(job, prepared, *made.kept, memory_to_sort(*made.arena));
        if (!excess) return made;
        wait_until_touched(job, *made.arena);
        plan_again(job, prepared, sampled, *excess);
        ++result.exceeded_attempts;
        result.exceeded.phase = "exceeded";
        add_phase(result.exceeded, result.zero);
        add_phase(result.exceeded, made.one.report);
        if (job.rank() == 0 && job.say) job.say(prepared.plan.passes_reason);
    }
}

/// What this rank wrote, as the manifest will list it.
std::vector<PartFact> parts_written(const PreparedSort& prepared, const Output& output, std::uint32_t rank,
                                    const std::vector<SortSummary>& parts, const std::vector<PartLabel>& labels) {
    const std::uint32_t first = prepared.plan.ownership.first(rank);
    std::vector<PartFact> facts;
    for (std::uint32_t local = 0; local < parts.size(); ++local) {
        facts.push_back({part_name(first, labels[local]), output.set->disk_number(output.disk_of_part(local)),
                         first + labels[local].partition, parts[local].sum, parts[local].first_record,
                         parts[local].last_record});
    }
    return facts;
}

void look_at_parts(JobContext& job, Arena& arena, const RecordFormat& format, const Output& output,
                   const std::vector<PartFact>& parts) {
    std::vector<WrittenFile> files;
    for (std::uint32_t local = 0; local < parts.size(); ++local) {
        const PartFact& part = parts[local];
        files.push_back({output.set->path_of(output.disk_of_part(local), part.name),
                         part.sum.count * format.record_bytes, part.last_key});
    }
    arena.reset();
    const std::uint64_t bytes = std::min(kAmpleCheckBytes, round_down(arena.phase_bytes(), kDirectIoAlign));
    check_written_files(job, format, files, arena.take(bytes, kDirectIoAlign, "last blocks"));
}

/// The manifest's text, on all ranks; rank 0 keeps the set and the balance that it shows.
std::string make_manifest(JobContext& job, const PreparedSort& prepared, const Output& output,
                          const std::vector<PartFact>& mine, const std::vector<double>& shares, SortResult& result) {
    const std::vector<PartFact> parts = gather_parts(job, mine);
    std::vector<OutputDisk> disks;
    for (std::uint32_t used = 0; used < output.set->disks(); ++used)
        disks.push_back({output.set->disk_number(used), output.set->disk_path(used)});
    const auto disks_by_rank = job.communicator.gather(pack(disks), 0);
    DataSet& set = result.output_set;
    set.kind = SetKind::sorted;
    set.run_id = prepared.run_id;
    set.created = utc_now();
    set.format = prepared.plan.format;
    set.verified = result.verified;
    set.origin = "sluice sort of " + prepared.input.origin;
    set.total = result.output;
    set.input_total = result.input;
    set.disks = output.set->set_disks();
    std::vector<std::uint32_t> partition_of_part;
    const Step step = open_step(job, "makes the manifest");
    for (const PartFact& part : parts) {
        tick_step();
        DataFile file{part.disk, part.name, part.sum.count * set.format.record_bytes, part.sum,
                      static_cast<std::int64_t>(set.files.size())};
        partition_of_part.push_back(part.partition);
        set.files.push_back(std::move(file));
    }
    if (job.rank() == 0) {
        std::vector<std::vector<OutputDisk>> disks_of_rank;
        for (const std::string& text : disks_by_rank) disks_of_rank.push_back(unpack<std::vector<OutputDisk>>(text));
        result.balance =
            measure_balance(prepared.plan, prepared.resources, shares, set, partition_of_part, disks_of_rank);
    }
    return job.communicator.broadcast(job.rank() == 0 ? set.to_text() : "", 0);
}

Output claim_output(JobContext& job, const PreparedSort& prepared) {
    OutputSetOptions options;
    options.name = job.config.output.name;
    options.run_id = prepared.run_id;
    options.verb = "sort";
    options.file_patterns = {"part-#", "part-#.#"};
    if (!prepared.input.run_id.empty()) options.reads = {prepared.input.run_id};
    Output output;
    output.set = std::make_unique<OutputSet>(job, options);
    output.set->claim();
    output.first = first_output_disks(prepared.plan.ownership, prepared.resources)[job.rank()];
    return output;
}

}  // namespace

SortResult run_sort(JobContext& job, PreparedSort& prepared, const SortOptions& options, LiveCounters& live) {
    SortResult result;
    result.run_id = prepared.run_id;
    job.enter("prepare", prepared.run_id);
    result.verified = job.config.run.verify;
    result.input_by_host = prepared.input.hosts;
    Output output = claim_output(job, prepared);

    Distributed spread = distribute_until_it_fits(job, prepared, options, result, live);
    const SortPlan& plan = prepared.plan;
    output.first = first_output_disks(plan.ownership, prepared.resources)[job.rank()];  // it may be planned anew
    Arena& arena = *spread.arena;
    const ExtentIndex& index = *spread.index;
    const PhaseOneResult& first = spread.one;
    result.one = first.report;
    result.peers = first.peers;
    result.first_arrival_input_fraction = first.first_arrival_input_fraction;
    check_input_unchanged(job, prepared.input, prepared.slices);
    wait_until_touched(job, arena);
    result.memory_pages = arena.page_kind();
    result.padding_bytes = index.padding_bytes();
    result.extents = index.extent_count();

    const PhaseTwoWork work = spread.kept ? prepare_in_memory(job, arena, prepared, *spread.kept, result)
                                          : prepare_phase_two(job, arena, prepared, *spread.logs, *spread.partitioner,
                                                              index, options, result, live);
    PhaseTwoResult second = sort_parts(job, arena, prepared, spread.log_files, spread.kept.get(), output, work,
                                       *spread.partitioner, index, live);
    result.two = std::move(second.report);
    const std::uint64_t next_read_ns =
        result.overflow_first_read_ns != 0 ? result.overflow_first_read_ns : second.first_read_ns;
    if (next_read_ns > first.last_write_ns) result.boundary_ns = next_read_ns - first.last_write_ns;

    RecordSum written;
    for (const SortSummary& part : second.parts) {
        written += part.sum;
        result.duplicate_keys += static_cast<std::uint64_t>(part.duplicate_keys);
    }
    result.input = sum_over_ranks(job.communicator, first.input_sum);
    result.output = sum_over_ranks(job.communicator, written);
    check_file_sums(job, prepared.input, spread.sums_by_file);
    check_conservation(result, prepared.input);

    const auto mine = parts_written(prepared, output, job.rank(), second.parts, work.parts);
    const std::string manifest = make_manifest(job, prepared, output, mine, spread.shares, result);
    job.enter("publish");
    spread.kept.reset();
    look_at_parts(job, arena, plan.format, output, mine);
    if (options.before_publish) options.before_publish(result);
    output.set->publish(manifest);
    result.durable_ns = job.executor.now_ns();
    say_notes(job, output.set->remove_replaced());
    return result;
}

}  // namespace sluice
