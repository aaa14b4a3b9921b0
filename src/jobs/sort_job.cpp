#include "jobs/sort_job.hpp"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "jobs/old_data_set.hpp"
#include "jobs/one_pass_excess.hpp"
#include "record/chunk_layout.hpp"
#include "record/uint128_text.hpp"
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

/// The logs of this rank: created, preallocated, removed at the end whatever happens.
class Logs {
public:
    Logs(JobContext& job, const std::string& run_id, std::uint64_t share_bytes) : job_(job) {
        const auto paths = disk_paths(job, DiskRole::intermediate);
        const auto mine = disks_of_rank(job.place, paths.size());
        const std::uint64_t capacity =
            round_up(share_bytes / mine.size() + share_bytes / mine.size() / 10 + 16 * kMiB, kDirectIoAlign);
        for (const std::uint32_t disk : mine) {
            const std::string path =
                paths[disk] + "/sluice-" + run_id + "-log-r" + std::to_string(job.rank()) + "-" + std::to_string(disk);
            files_.push_back(job.io.create(path));
            held_.push_back(job.files.hold(path));
            IoFile* file = files_.back().get();
            if (job.config.io.preallocate) file->preallocate(capacity);
            space_.push_back(
                std::make_unique<ExtentLog>(job.executor, path, capacity, [&job, file](std::uint64_t bytes) {
                    if (job.config.io.preallocate) file->preallocate(bytes);
                }));
        }
    }
    ~Logs() {
        for (auto& file : files_) {
            const std::string path = file->path();
            file.reset();
            try {
                job_.files.remove_file(path);
            } catch (const Error& error) {
                if (job_.say) job_.say(std::string("could not remove a log: ") + error.what());
            }
        }
    }
    Logs(const Logs&) = delete;
    std::vector<IoFile*> files() const {
        std::vector<IoFile*> list;
        for (const auto& file : files_) list.push_back(file.get());
        return list;
    }
    std::vector<ExtentLog*> space() const {
        std::vector<ExtentLog*> list;
        for (const auto& log : space_) list.push_back(log.get());
        return list;
    }

private:
    JobContext& job_;
    std::vector<std::unique_ptr<IoFile>> files_;
    std::vector<std::unique_ptr<ExtentLog>> space_;
    std::vector<std::shared_ptr<void>> held_;  // so that `clean` tells them from a dead run's
};

/// The output directories of this host's disks, first under a hidden name, then published (DESIGN.md chapter 2,
/// Publish).
class Output {
public:
    Output(JobContext& job, const std::string& run_id)
        : job_(job), disks_(disk_paths(job, DiskRole::output)), mine_(disks_of_rank(job.place, disks_.size())) {
        for (const std::string& disk : disks_) {
            partial_.push_back(disk + "/.partial-" + run_id);
            final_.push_back(disk + "/" + job.config.output.name);
        }
        if (makes_directories()) {
            for (const std::string& path : partial_) job.files.make_directories(path);
        }
        job.communicator.barrier_or_failure();
        for (const std::string& path : partial_) held_.push_back(job.files.hold(path));
    }
    std::uint32_t disks() const { return static_cast<std::uint32_t>(mine_.size()); }
    /// Parts go round the rank's disks from the `first` on, so that disks get equal bytes.
    void go_round_from(std::uint32_t first) { first_ = first; }
    std::uint32_t disk_of_part(std::uint32_t local) const { return (first_ + local) % disks(); }
    std::vector<std::string> disk_directories() const {
        std::vector<std::string> list;
        for (const std::uint32_t disk : mine_) list.push_back(disks_[disk]);
        return list;
    }
    std::string partial_path(std::uint32_t local, const std::string& name) const {
        return partial_[mine_[disk_of_part(local)]] + "/" + name;
    }
    std::string final_path(std::uint32_t local, const std::string& name) const {
        return final_[mine_[disk_of_part(local)]] + "/" + name;
    }
    bool is_shared() const {
        const auto outputs = job_.config.disks_of(DiskRole::output);
        return std::any_of(outputs.begin(), outputs.end(),
                           [](const DiskConfig& d) { return d.scope == DiskScope::shared; });
    }
    /// Renames the directories, makes the names durable, then writes the commit record, rank 0's host last.
    void publish(const std::string& manifest) {
        if (makes_directories()) {
            for (std::size_t disk = 0; disk < disks_.size(); ++disk) {
                job_.files.sync_directory(partial_[disk]);
                job_.files.rename_no_replace(partial_[disk], final_[disk]);
                job_.files.sync_directory(disks_[disk]);
            }
        }
        job_.communicator.barrier_or_failure();
        const std::string path = final_.front() + "/" + kManifestName;
        if (makes_directories() && job_.rank() != 0) job_.files.write_durably(path, manifest);
        job_.communicator.barrier_or_failure();
        if (job_.rank() == 0) job_.files.write_durably(path, manifest);
        job_.communicator.barrier_or_failure();
    }

private:
    bool makes_directories() const { return is_shared() ? job_.rank() == 0 : job_.place.local_rank == 0; }
    JobContext& job_;
    std::vector<std::string> disks_, partial_, final_;
    std::vector<std::uint32_t> mine_;
    std::uint32_t first_ = 0;
    std::vector<std::shared_ptr<void>> held_;
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
std::vector<std::vector<ReadRange>> ranges_by_reader(const std::vector<InputSlice>& slices, unsigned readers,
                                                     std::uint64_t unit_bytes) {
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
                ranges[first + (part - 1) * numbers.size()].push_back({slice.path, slice.offset + begin, end - begin});
            begin = end;
        }
    }
    return ranges;
}

/// E2 of the conservation equations: what one rank sent to another is what that one received, pair by pair.
void check_pairs(JobContext& job, const std::vector<PeerCounters>& peers) {
    nlohmann::json mine = nlohmann::json::array();
    for (const PeerCounters& peer : peers) mine.push_back({peer.sent_records, peer.received_records});
    const auto all = job.communicator.all_gather(mine.dump());
    if (peers.empty()) return;
    for (std::uint32_t from = 0; from < all.size(); ++from) {
        const auto sent = nlohmann::json::parse(all[from]);
        for (std::uint32_t to = 0; to < all.size(); ++to) {
            const auto received = nlohmann::json::parse(all[to]);
            if (from != to && sent[to][0] != received[from][1]) {
                throw CollectiveError(Errc::integrity, "rank " + std::to_string(from) + " sent " + sent[to][0].dump() +
                                                           " records to rank " + std::to_string(to) +
                                                           ", which received " + received[from][1].dump() +
                                                           "; nothing was published, check the network and sort again");
            }
        }
    }
}

/// The parts of all ranks in key order, as the manifest lists them. Checks order across the borders of parts.
/// @param partition_of_part  gets each part's partition, by global number.
std::vector<DataFile> gather_parts(JobContext& job, const PreparedSort& prepared, const Output& output,
                                   const std::vector<SortSummary>& parts, const std::vector<PartLabel>& labels,
                                   std::vector<std::uint32_t>& partition_of_part) {
    nlohmann::json mine = nlohmann::json::array();
    const std::uint32_t first = prepared.plan.ownership.first(job.rank());
    for (std::uint32_t local = 0; local < parts.size(); ++local) {
        const SortSummary& part = parts[local];
        mine.push_back({{"host", output.is_shared() ? "*" : job.place.host},
                        {"path", output.final_path(local, part_name(first, labels[local]))},
                        {"partition", first + labels[local].partition},
                        {"count", part.sum.count},
                        {"sum", to_hex(part.sum.sum)},
                        {"first", hex_of(part.first_record)},
                        {"last", hex_of(part.last_record)}});
    }
    std::vector<DataFile> files;
    const RecordFormat& format = prepared.plan.format;
    std::string last;
    for (const std::string& text : job.communicator.all_gather(mine.dump())) {
        for (const auto& part : nlohmann::json::parse(text)) {
            DataFile file{part["host"],
                          part["path"],
                          0,
                          {part["count"], *parse_hex(part["sum"].get<std::string>())},
                          static_cast<std::int64_t>(files.size())};
            file.bytes = file.sum.count * format.record_bytes;
            const std::string first_key = part["first"];
            if (!first_key.empty() && !last.empty() && first_key < last) {
                throw CollectiveError(
                    Errc::integrity,
                    "part '" + file.path +
                        "' begins with a smaller key than the part before it ends with; nothing was published");
            }
            if (!first_key.empty()) last = part["last"];
            partition_of_part.push_back(part["partition"]);
            files.push_back(std::move(file));
        }
    }
    return files;
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
    const PhaseTwoInput input{
        std::move(logs),
        plan.ranks[job.rank()].one.chunk_bytes,
        kept,
        output.disks(),
        [&](std::uint32_t local) { return output.disk_of_part(local); },
        [&](std::uint32_t local) { return output.partial_path(local, part_name(base, work.parts[local])); }};
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

void check_conservation(const SortResult& result, const DataSet& input, bool verified) {
    const auto differ = [&](const char* what, const RecordSum& a, const char* other, const RecordSum& b) {
        throw CollectiveError(Errc::integrity,
                              std::string(what) + " is " + a.text() + ", " + other + " is " + b.text() +
                                  "; records were lost or changed, nothing was published. Check disks and "
                                  "memory of the hosts, then sort again");
    };
    if (result.input.count != result.output.count || (verified && !(result.input == result.output)))
        differ("what phase one read", result.input, "what phase two wrote", result.output);
    const bool known = input.total.count != 0 && input.total.sum != 0;
    if (verified && known && !(input.total == result.input))
        differ("the input's manifest", input.total, "what phase one read", result.input);
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
    PhaseOneResult one;
};

/// @param output  made after phase zero, once.
Distributed distribute(JobContext& job, const PreparedSort& prepared, const SortOptions& options, bool sampled,
                       std::unique_ptr<Output>& output, SortResult& result, LiveCounters& live) {
    const SortPlan& plan = prepared.plan;
    const RankPlan& mine = plan.ranks[job.rank()];
    Distributed made;
    made.arena = job.make_arena(mine.mapped_bytes());
    const auto ranges = ranges_by_reader(prepared.slices, mine.one.readers, plan.format.slice_unit_bytes());
    made.shares = sampled ? partition_shares(plan.ownership, prepared.resources)
                          : std::vector<double>(plan.ownership.partitions(), 1.0 / plan.ownership.partitions());
    made.partitioner = make_partitioner(job, *made.arena, prepared, ranges, made.shares, sampled, result, live);
    made.index = std::make_unique<ExtentIndex>(job.executor, mine.partitions);
    if (!output) output = std::make_unique<Output>(job, prepared.run_id);
    output->go_round_from(first_output_disks(plan.ownership, prepared.resources)[job.rank()]);
    std::vector<ExtentLog*> log_space;
    if (plan.passes == 1) {
        made.kept = keep_in_memory(job, *made.arena, plan, mine);
    } else {
        made.index->reserve(extents_to_expect(plan, mine));
        made.logs = std::make_unique<Logs>(
            job, prepared.run_id,
            padded_bytes(plan.format, mine.one.chunk_bytes, plan.mean_partition_bytes) * mine.partitions);
        made.log_files = made.logs->files();
        log_space = made.logs->space();
    }
    // Each attempt has a number of its own, so that late words of the one before are told apart.
    const std::uint64_t run_number = std::stoull(prepared.run_id.substr(16), nullptr, 16) + result.exceeded_attempts;
    const PhaseOneInput input{ranges, made.log_files, log_space, run_number, options.mutant, made.kept.get()};
    made.one = run_phase_one(job, *made.arena, mine, plan, *made.partitioner, input, *made.index, live);
    if (result.first_read_ns == 0) result.first_read_ns = made.one.first_read_ns;
    check_pairs(job, made.one.peers);
    return made;
}

/// Until phase one has ended with every rank's memory holding what it is to hold: a second attempt samples, a third
/// takes two passes.
Distributed distribute_until_it_fits(JobContext& job, PreparedSort& prepared, const SortOptions& options,
                                     std::unique_ptr<Output>& output, SortResult& result, LiveCounters& live) {
    for (bool sampled = job.config.keys.distribution != "uniform";; sampled = true) {
        Distributed made = distribute(job, prepared, options, sampled, output, result, live);
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

}  // namespace

SortResult run_sort(JobContext& job, PreparedSort& prepared, const SortOptions& options, LiveCounters& live) {
    SortResult result;
    result.run_id = prepared.run_id;
    job.enter("prepare", prepared.run_id);
    result.verified = job.config.run.verify;
    if (job.config.run.overwrite) remove_data_set(job, DiskRole::output, job.config.output.name);
    job.communicator.barrier_or_failure();

    std::unique_ptr<Output> made_output;
    Distributed spread = distribute_until_it_fits(job, prepared, options, made_output, result, live);
    const Output& output = *made_output;
    const SortPlan& plan = prepared.plan;
    Arena& arena = *spread.arena;
    const ExtentIndex& index = *spread.index;
    const PhaseOneResult& first = spread.one;
    result.one = first.report;
    result.peers = first.peers;
    result.first_arrival_input_fraction = first.first_arrival_input_fraction;
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
    check_conservation(result, prepared.input, result.verified);

    DataSet& set = result.output_set;
    set.kind = "sorted";
    set.run_id = prepared.run_id;
    set.created = job.communicator.broadcast(utc_now(), 0);
    set.format = plan.format;
    set.verified = result.verified;
    set.origin = "sluice sort of " + prepared.input.origin;
    set.total = result.output;
    set.input_total = result.input;
    std::vector<std::uint32_t> partition_of_part;
    set.files = gather_parts(job, prepared, output, second.parts, work.parts, partition_of_part);
    std::vector<std::vector<std::string>> disks;
    for (const std::string& text : job.communicator.all_gather(nlohmann::json(output.disk_directories()).dump()))
        disks.push_back(nlohmann::json::parse(text).get<std::vector<std::string>>());
    result.balance = measure_balance(plan, prepared.resources, spread.shares, set, partition_of_part, disks);
    job.enter("publish");
    made_output->publish(set.to_text());
    result.durable_ns = job.executor.now_ns();
    return result;
}

}  // namespace sluice
