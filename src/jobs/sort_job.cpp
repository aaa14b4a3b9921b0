#include "jobs/sort_job.hpp"

#include <algorithm>
#include <map>
#include <optional>

#include "jobs/conservation.hpp"
#include "jobs/log_store.hpp"
#include "jobs/memory_store.hpp"
#include "jobs/replan.hpp"
#include "jobs/sort_output.hpp"
#include "runtime/units.hpp"

namespace sluice {
namespace {

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

/// One rank's sort, step by step; each step is a collective of all ranks.
class SortRun {
public:
    SortRun(JobContext& job, PreparedSort& prepared, const SortOptions& options)
        : job_(job), prepared_(prepared), options_(options) {
        result_.run_id = prepared.run_id;
        result_.verified = job.config.run.verify;
    }

    /// The name of the output and the directories of this run, before the first byte is read.
    void claim_disks() {
        if (plan().passes == 2) logs_ = std::make_shared<Logs>(job_, prepared_.run_id, "sort");
        output_.emplace(job_, prepared_);
    }

    /// Phases zero and one, until every rank's store holds what it is to hold: a second attempt samples, a third takes
    /// two passes.
    void sample_and_distribute();
    void split_what_is_too_large();
    /// Phase two.
    void sort();
    /// What each rank has read and written, on rank 0.
    void account();
    /// Unless something was lost, doubled or changed.
    void publish();
    SortResult take_result() { return std::move(result_); }

private:
    const SortPlan& plan() const { return prepared_.plan; }
    const RankPlan& mine() const { return plan().ranks[job_.rank()]; }

    void begin_attempt(bool sampled);
    std::unique_ptr<Partitioner> sample();
    void distribute();
    std::string check_distributed();
    void give_up_attempt(bool sampled, const std::string& excess);

    /// One attempt at phase one, and what phase two needs of it.
    struct Attempt {
        std::unique_ptr<Arena> arena;
        std::vector<std::vector<ReadRange>> ranges_by_reader;
        std::vector<double> shares;  ///< by partition: which part of the records it is to get
        std::unique_ptr<Partitioner> partitioner;
        std::unique_ptr<IntermediateStore> store;
        std::vector<RecordSum> sums_by_file;
        PhaseOneResult one;
    };

    JobContext& job_;
    PreparedSort& prepared_;
    const SortOptions& options_;
    SortResult result_;
    std::shared_ptr<Logs> logs_;  // of two passes
    std::optional<SortOutput> output_;
    std::optional<Attempt> attempt_;
    PhaseTwoPlan two_;
    PartList parts_;
    std::vector<SortSummary> written_;  // by part
    SortAccount account_;
};

void SortRun::sample_and_distribute() {
    for (bool sampled = job_.config.keys.distribution != SplitterSource::uniform;; sampled = true) {
        begin_attempt(sampled);
        distribute();
        const std::string excess = check_distributed();
        if (excess.empty()) return;
        give_up_attempt(sampled, excess);
    }
}

void SortRun::begin_attempt(bool sampled) {
    Attempt& attempt = attempt_.emplace();
    attempt.arena = job_.make_arena(mine().mapped_bytes());
    attempt.ranges_by_reader = ranges_by_reader(prepared_.input, prepared_.slices, mine().one.readers);
    const std::uint32_t partitions = plan().ownership.partitions();
    if (sampled) {
        attempt.shares = partition_shares(plan().ownership, prepared_.resources);
        attempt.partitioner = sample();
    } else {  // keys whose promise to be uniform is trusted: equal pieces of the key space
        attempt.shares.assign(partitions, 1.0 / partitions);
        attempt.partitioner = make_uniform_partitioner(plan().format, partitions);
    }
    const RankResources& resources = prepared_.resources[job_.rank()];
    attempt.store = plan().passes == 1
                        ? make_memory_store(job_, *attempt.arena, plan(), resources)
                        : make_log_store({job_, *attempt.arena, plan(), resources, logs_, options_.most_split_pieces});
}

std::unique_ptr<Partitioner> SortRun::sample() {
    std::vector<std::uint64_t> input_bytes, memory_bytes;
    for (std::size_t rank = 0; rank < plan().ranks.size(); ++rank) {
        input_bytes.push_back(prepared_.resources[rank].input_bytes);
        memory_bytes.push_back(plan().ranks[rank].mapped_bytes());
    }
    const SamplePlan sample =
        plan_sample({.config = job_.config,
                     .plan = plan(),
                     .input_bytes = input_bytes,
                     .memory_bytes = memory_bytes,
                     .smallest_share = smallest_share(plan().ownership, prepared_.resources, attempt_->shares)});
    if (result_.first_read_ns == 0) result_.first_read_ns = job_.executor.now_ns();
    PhaseZeroResult zero =
        run_phase_zero(job_, *attempt_->arena, plan(), sample, attempt_->ranges_by_reader, attempt_->shares);
    result_.zero = std::move(zero.report);
    result_.samples = zero.samples;
    return std::move(zero.partitioner);
}

void SortRun::distribute() {
    Attempt& attempt = *attempt_;
    SourceSums sources(job_.executor, prepared_.input.files.size());
    attempt.one =
        run_phase_one(job_, *attempt.arena,
                      {.plan = mine(),
                       .sort = plan(),
                       .partitioner = *attempt.partitioner,
                       .store = *attempt.store,
                       .ranges_by_reader = attempt.ranges_by_reader,
                       // Each attempt has a number of its own, so that late words of the one before are told apart.
                       .run_id = std::stoull(prepared_.run_id.substr(16), nullptr, 16) + result_.exceeded_attempts,
                       .mutant = options_.mutant,
                       .sources = &sources});
    if (result_.first_read_ns == 0) result_.first_read_ns = attempt.one.first_read_ns;
    attempt.sums_by_file = sources.take();
}

/// Which rank got more than it can sort; "": none did.
std::string SortRun::check_distributed() {
    const Attempt& attempt = *attempt_;
    const PhaseOneChecked checked = check_phase_one(job_, prepared_,
                                                    {.peers = attempt.one.peers,
                                                     .sums_by_file = attempt.sums_by_file,
                                                     .excess = attempt.store->excess(),
                                                     .since_launch_s = options_.since_launch_s});
    result_.launch_lag_s = checked.launch_lag_s;
    return checked.excess;
}

void SortRun::give_up_attempt(bool sampled, const std::string& excess) {
    wait_until_touched(job_, *attempt_->arena);
    ++result_.exceeded_attempts;
    result_.exceeded.phase = "exceeded";
    add_up(result_.exceeded, result_.zero);
    add_up(result_.exceeded, attempt_->one.report);
    attempt_.reset();  // before the plan it was made for goes
    plan_again(job_, prepared_, sampled, excess);
    if (plan().passes == 2) {
        logs_ = std::make_shared<Logs>(job_, prepared_.run_id, "sort");
        job_.communicator.barrier_or_failure();  // all have been made
    }
    if (job_.rank() == 0 && job_.say) job_.say(prepared_.plan.passes_reason);
}

void SortRun::split_what_is_too_large() {
    Attempt& attempt = *attempt_;
    IntermediateStore& store = *attempt.store;
    wait_until_touched(job_, *attempt.arena);
    attempt.arena->finish_touching();
    result_.memory_pages = attempt.arena->page_kind();
    result_.padding_bytes = store.padding_bytes();
    result_.extents = store.extents();
    result_.largest_partition_bytes = store.largest_bytes();
    if (const auto two = store.plan_phase_two()) {
        two_ = *two;
        for (std::uint32_t part = 0; part < store.parts(); ++part) parts_.labels.push_back({part, 0, false});
    } else {
        two_ = mine().two;
        parts_ = store.split(*attempt.partitioner);
        result_.overflow = parts_.report;
        result_.overflow_first_read_ns = parts_.first_read_ns;
        result_.split_partitions = parts_.split_partitions;
        result_.split_passes = parts_.passes;
    }
    output_->set_parts(parts_.labels);
}

void SortRun::sort() {
    Attempt& attempt = *attempt_;
    const PrefixRanges* ranges = attempt.partitioner.get();
    if (parts_.ranges) ranges = parts_.ranges.get();
    try {
        PhaseTwoResult two = run_phase_two(job_, *attempt.arena,
                                           {.plan = two_,
                                            .format = plan().format,
                                            .store = *attempt.store,
                                            .ranges = *ranges,
                                            .first_partition = plan().ownership.first(job_.rank()),
                                            .output_disks = output_->disks(),
                                            .disk_of_part = [&](auto part) { return output_->disk_of_part(part); },
                                            .path_of_part = [&](auto part) { return output_->path_of_part(part); }});
        result_.two = std::move(two.report);
        written_ = std::move(two.parts);
        const std::uint64_t next_read_ns =
            result_.overflow_first_read_ns != 0 ? result_.overflow_first_read_ns : two.first_read_ns;
        if (next_read_ns > attempt.one.last_write_ns) result_.boundary_ns = next_read_ns - attempt.one.last_write_ns;
    } catch (const AbortedError&) {
        throw;
    } catch (const Error& error) {
        // A disk that is full although the plan had room for this rank's share: says why.
        const std::uint64_t planned_bytes = plan().mean_partition_bytes * mine().partitions;
        const std::uint64_t got_bytes = attempt.store->total_bytes();
        if (error.code() != Errc::space || got_bytes <= planned_bytes + planned_bytes / 10) throw;
        throw Error(Errc::space, std::string(error.what()) + "; rank " + std::to_string(job_.rank()) + " got " +
                                     human_bytes(static_cast<double>(got_bytes)) + " where " +
                                     human_bytes(static_cast<double>(planned_bytes)) +
                                     " were planned, because the keys are not uniform: sample");
    }
}

void SortRun::account() {
    Attempt& attempt = *attempt_;
    result_.one = attempt.one.report;
    result_.peers = attempt.one.peers;
    result_.first_arrival_input_fraction = attempt.one.first_arrival_input_fraction;
    for (const SortSummary& part : written_) result_.duplicate_keys += static_cast<std::uint64_t>(part.duplicate_keys);
    RankAccount mine = output_->account(written_, *attempt.arena);
    mine.read = attempt.one.input_sum;
    mine.input = prepared_.input.listed;
    if (options_.report) mine.report = options_.report(result_);
    account_ = gather_account(job_, std::move(mine), prepared_.input);
}

void SortRun::publish() {
    const bool is_well = std::all_of(account_.problems.begin(), account_.problems.end(),
                                     [](const Problems& problems) { return problems.empty(); });
    if (job_.rank() == 0 && is_well) {
        result_.input = account_.read;
        result_.output = account_.written;
        result_.input_by_host = account_.input_by_host;
        result_.balance = measure_balance(plan(), prepared_.resources, attempt_->shares, account_.output);
        if (options_.before_publish) options_.before_publish(result_, account_.reports);
    }
    output_->tell_last_word(account_);
    output_->set().publish();
    result_.durable_ns = job_.executor.now_ns();
    output_->set().retire_replaced();
}

}  // namespace

SortResult run_sort(JobContext& job, PreparedSort& prepared, const SortOptions& options) {
    job.enter("prepare", prepared.run_id);
    SortRun run(job, prepared, options);
    run.claim_disks();
    run.sample_and_distribute();
    run.split_what_is_too_large();
    run.sort();
    job.enter("publish");
    run.account();
    run.publish();
    return run.take_result();
}

}  // namespace sluice
