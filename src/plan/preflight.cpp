// What can be known before the first byte is checked before the first byte, on all ranks, and said in one message.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <optional>
#include <set>
#include <span>

#include "net/joint_call.hpp"
#include "plan/balance.hpp"
#include "plan/cluster.hpp"
#include "plan/descriptors.hpp"
#include "plan/disk_space.hpp"
#include "plan/input_proof.hpp"
#include "plan/input_search.hpp"
#include "plan/old_data_set.hpp"
#include "plan/preflight.hpp"
#include "plan/preflight_disks.hpp"
#include "plan/preflight_paths.hpp"
#include "plan/role_disks.hpp"
#include "plan/run_traces.hpp"
#include "record/chunk_layout.hpp"
#include "record/crc32c.hpp"
#include "runtime/machine.hpp"
#include "runtime/process_limits.hpp"
#include "runtime/resources.hpp"
#include "runtime/units.hpp"
#include "stages/part_writer.hpp"

namespace sluice {

namespace {

/// Bytes that come to each of the output disks that this rank uses: its own, or its part of those that the ranks of its
/// host share, wherever in the order of all ranks these stand.
std::vector<std::uint64_t> bytes_by_output_disk(const JobContext& job, const SortPlan& plan, const RoleDisks& all) {
    const auto disks = static_cast<std::uint32_t>(all.used().size());
    const bool shared =
        job.place.local_ranks > 1 && disks == all.disks.size() &&
        std::none_of(all.disks.begin(), all.disks.end(), [](const auto& d) { return d.seen_by == SeenBy::one_rank; });
    std::vector<std::uint32_t> writers = {job.rank()};
    if (shared) writers = job.place.ranks_here;
    std::vector<RankShare> ranks;
    for (const std::uint32_t rank : writers) ranks.push_back({plan.ranks[rank].share, plan.ranks[rank].partitions});
    std::vector<std::uint64_t> bytes;
    for (const double share : output_disk_shares(ranks, disks)) {
        bytes.push_back(static_cast<std::uint64_t>(share * static_cast<double>(plan.input_bytes) /
                                                   static_cast<double>(ranks.size())));
    }
    return bytes;
}

/// What this rank will write, logs and parts.
void need_of_plan(JobContext& job, const SortPlan& plan, DiskSpace& space, Problems& problems) {
    if (plan.passes == 2 && disk_paths(job, DiskRole::intermediate).empty()) {
        problems.push_back({Errc::config, "disks: none has role = \"intermediate\", and " + plan.passes_reason +
                                              "; add a [[disks]] table with it"});
    }
    const RankPlan& mine = plan.ranks[job.rank()];
    // Logs are made for the rank's number of mean partitions, whatever its share.
    const auto padded_mean =
        static_cast<double>(padded_bytes(plan.format, mine.one.chunk_bytes, plan.mean_partition_bytes));
    const auto log_bytes_of_rank = static_cast<std::uint64_t>(
        padded_mean * std::max<double>(mine.partitions, mine.share * plan.ownership.partitions()));
    const auto largest_part = static_cast<std::uint64_t>(mine.share * static_cast<double>(plan.input_bytes));
    std::set<std::string>
        has_spare;  // disks at which this rank keeps room for what a file system takes for itself: once
    for (const DiskRole role : {DiskRole::intermediate, DiskRole::output}) {
        if (role == DiskRole::intermediate && plan.passes == 1) continue;
        const RoleDisks all = role_disks(job, role);
        const auto used = all.used();
        const bool is_log = role == DiskRole::intermediate;
        if (used.empty()) continue;
        const std::vector<std::uint64_t> bytes =
            is_log ? std::vector(used.size(), log_bytes_of_rank / used.size()) : bytes_by_output_disk(job, plan, all);
        for (std::size_t i = 0; i < used.size(); ++i) {
            // Logs are preallocated with a tenth to spare; parts with a twentieth for uneven keys.
            const std::uint64_t share = bytes[i];
            const std::uint32_t index = used[i];
            DiskNeed need;
            const bool first_use = has_spare.insert(all.disks[index].path).second;
            need.bytes = share + share / (is_log ? 10 : 20) + (first_use ? 16 * kMiB : 0);
            const std::uint64_t log_bytes = job.config.io.preallocate ? need.bytes : share;
            need.files = is_log ? 1 : ceil_div(mine.partitions, used.size());
            need.largest_file_bytes =
                is_log ? log_bytes : round_up(std::min(largest_part, plan.mean_partition_bytes), kDirectIoAlign);
            space.need(all.disks[index], need);
        }
    }
}

/// Of the phase that has most, and one that touches memory.
unsigned threads_of(const RankPlan& plan, const RankResources& mine) {
    const unsigned keeper = 1, touching = 1;
    const unsigned one =
        plan.one.readers + plan.one.distributors + plan.one.logical_disk_distributors + plan.one.writers + keeper;
    const unsigned two = plan.two.disk_workers + std::max(plan.two.sorters, mine.cores) +
                         mine.output_disks * (plan.two.disk_workers + kFinishers);
    return std::max(one, two) + touching;
}

void check_limits(JobContext& job, const RankPlan& plan, const RankResources& mine, Problems& problems) {
    const MachineLimits limits = read_machine_limits();
    const std::uint64_t requests = std::uint64_t{plan.one.readers} * plan.one.read_depth +
                                   std::uint64_t{plan.one.writers} * plan.one.write_depth +
                                   std::uint64_t{plan.two.disk_workers} * plan.two.read_depth +
                                   std::uint64_t{mine.output_disks} * plan.two.disk_workers * plan.two.write_depth;
    if (job.config.io.backend == IoBackendKind::libaio &&
        limits.aio_used + requests * job.place.local_ranks > limits.aio_max) {
        problems.push_back(
            {Errc::environment, "host " + job.place.host + ": " + std::to_string(requests * job.place.local_ranks) +
                                    " asynchronous requests planned, fs.aio-nr is " + std::to_string(limits.aio_used) +
                                    " of fs.aio-max-nr " + std::to_string(limits.aio_max) +
                                    "; `sysctl fs.aio-max-nr=1048576` or lower io.depth"});
    }
    if (job.executor.scheduler() == nullptr) {
        const std::string lack = problem_of_resources(threads_of(plan, mine), plan.mapped_bytes());
        if (!lack.empty()) problems.push_back({Errc::environment, "host " + job.place.host + ": " + lack});
    }
    const OpenFiles files = open_files_of(job.config, plan, mine, job.ranks() - job.place.local_ranks);
    const Problem files_problem = open_files_problem(files, count_open_files(), limits.open_files, job.place.host);
    if (!files_problem.empty()) problems.push_back(files_problem);
}

}  // namespace

void check_windows(JobContext& job, const SortPlan& plan, Problems& problems) {
    if (job.place.local_ranks != job.ranks() || job.ranks() == 1 || job.place.local_rank != 0) return;
    std::uint64_t bytes = 0;
    for (const RankPlan& rank : plan.ranks) bytes += rank.one.window_bytes();
    const std::string shm = "/dev/shm";
    if (bytes == 0 || !job.files.info(shm) || job.files.free_bytes(shm) >= bytes) return;
    problems.push_back(
        {Errc::environment,
         "host " + job.place.host + ": net.transport = \"rma\" needs " + human_bytes(static_cast<double>(bytes)) +
             " of shared memory for its windows, " + shm + " has " +
             human_bytes(static_cast<double>(job.files.free_bytes(shm))) +
             " free; enlarge it (mount -o remount,size=...), lower net.receive_buffers or net.buffer_size, "
             "or use \"p2p\""});
}

RankResources resources_of_rank(const JobContext& job, const RankMeans& means) {
    RankResources mine;
    mine.host = job.place.host;
    mine.budget_bytes = job.config.memory.budget_bytes / job.place.local_ranks;
    mine.host_memory_bytes = means.memory_available_bytes;
    mine.cores = std::max(1u, means.cores);
    mine.weight = job.config.weight / std::max(1u, job.place.local_ranks);  // a host's weight, shared by its ranks
    return mine;
}

void settle_budgets(const JobContext& job, std::vector<RankResources>& all, RankMeans& means) {
    struct Host {
        std::uint64_t memory_bytes = 0, ranks = 0;
    };
    std::map<std::string, Host> hosts;
    for (const RankResources& rank : all) {
        Host& host = hosts[rank.host];
        host.memory_bytes = std::max(host.memory_bytes, rank.host_memory_bytes);
        ++host.ranks;
    }
    for (RankResources& rank : all) {
        const Host& host = hosts.at(rank.host);
        if (rank.budget_bytes == 0) rank.budget_bytes = budget_of_memory(host.memory_bytes) / host.ranks;
    }
    means.memory_available_bytes = hosts.at(job.place.host).memory_bytes;
}

void check_budget(const JobContext& job, const RankMeans& means, const std::string& pools, Problems& problems) {
    const std::uint64_t budget = job.config.memory.budget_bytes;
    if (budget <= means.memory_available_bytes || job.place.local_rank != 0) return;  // one rank of a host says it
    problems.push_back({Errc::environment, "memory.budget = \"" + format_bytes(budget) + "\": host " + job.place.host +
                                               " or its cgroup has " +
                                               human_bytes(static_cast<double>(means.memory_available_bytes)) +
                                               " left" + means.memory_note + pools + "; lower the budget"});
}

namespace {

/// What all ranks must have planned alike.
struct PlanFact {
    std::uint32_t partitions = 0, owners_crc = 0;
    std::uint64_t message_bytes = 0;
    bool operator==(const PlanFact&) const = default;
    static constexpr auto fields = std::tuple{&PlanFact::partitions, &PlanFact::owners_crc, &PlanFact::message_bytes};
};

std::string to_text(const PlanFact& fact) {
    return fmt::format("{} partitions (their ranks: {:08x}), messages of {} bytes", fact.partitions, fact.owners_crc,
                       fact.message_bytes);
}

/// Every rank plans for all from the same list, but with its own host's config: what ranks must agree on may not
/// differ.
void require_same_plan(const std::vector<PlanFact>& all) {
    for (std::uint32_t rank = 1; rank < all.size(); ++rank) {
        if (all[rank] == all[0]) continue;
        throw CollectiveError(Errc::config, "[hosts]: rank " + std::to_string(rank) + " plans " + to_text(all[rank]) +
                                                ", rank 0 " + to_text(all[0]) +
                                                "; a host may have its own weight, memory.budget, io and workers, but "
                                                "partitions.* and net.buffer_size must be the same on all");
    }
}

PlanFact plan_fact(const JobContext& job, const SortPlan& plan) {
    PlanFact fact{plan.ownership.partitions(), 0, plan.ranks[job.rank()].one.message_bytes};
    for (std::uint32_t rank = 0; rank < job.ranks(); ++rank) {
        const std::uint32_t first = plan.ownership.first(rank);
        fact.owners_crc = crc32c(std::as_bytes(std::span(&first, 1)), fact.owners_crc);
    }
    return fact;
}

/// One rank's preflight. Each step looks at what this rank sees and ends in one call, in which all that the ranks have
/// to tell each other of it goes together.
class Preflight {
public:
    Preflight(JobContext& job, RankMeans means) : job_(job), means_(std::move(means)), space_(job) {}

    /// Which data sets have the names of input and output.
    void compare_sets();
    /// Which files are the input, each once; that hosts and disks are who they say.
    void prove_input();
    /// What each rank has, and what follows from all of it.
    void plan();
    /// What anybody found wrong, on all ranks.
    PreparedSort verdict();

private:
    RankResources resources();
    void check_plan();

    JobContext& job_;
    RankMeans means_;
    DiskSpace space_;
    PreparedSort prepared_;
    Problems problems_;
    std::vector<std::string> notes_;
    std::optional<InputSearch> search_;
    bool planned_ = false;
};

void Preflight::compare_sets() {
    check_disks(job_, problems_, prepared_.cached_disks);
    search_.emplace(job_, problems_);
    JointGather call;
    search_->say_manifest(call);
    prepared_.old = std::make_shared<OldDataSet>(job_, DiskRole::output, job_.config.output.name, call);
    call.call(job_.communicator);
    prepared_.old->hear();
    const auto in_the_way = prepared_.old->problems(job_.config.run.overwrite != Overwrite::no);
    problems_.insert(problems_.end(), in_the_way.begin(), in_the_way.end());
}

void Preflight::prove_input() {
    InputProof disks(job_);
    JointExchange call(job_.ranks());
    search_->say_files(call);
    std::vector<DiskRole> written{DiskRole::output};
    if (job_.config.passes != Passes::one) written.push_back(DiskRole::intermediate);
    disks.say_disks(call, written);
    call.call(job_.communicator);
    prepared_.input = search_->take();
    disks.judge(problems_);
    check_input_directories(job_, prepared_.input, problems_, prepared_.cached_disks);
    check_paths(job_, prepared_.input, problems_, notes_);
}

RankResources Preflight::resources() {
    RankResources mine = resources_of_rank(job_, means_);
    mine.disk_workers = workers_of_a_disk(job_, prepared_.cached_disks, mine.cores);
    const auto used = [&](DiskRole role) {
        return std::max<unsigned>(1, static_cast<unsigned>(role_disks(job_, role).used().size()));
    };
    mine.input_disks = used(DiskRole::input);
    mine.intermediate_disks = used(DiskRole::intermediate);
    mine.output_disks = used(DiskRole::output);
    const auto outputs = role_disks(job_, DiskRole::output).disks;
    mine.shares_output_disks = job_.place.local_ranks > 1 && mine.output_disks == outputs.size() &&
                               std::none_of(outputs.begin(), outputs.end(),
                                            [](const RoleDisk& disk) { return disk.seen_by == SeenBy::one_rank; });
    const InputSet& input = prepared_.input;
    const auto slices = input.slices_of(job_.place, job_.rank(), job_.ranks());
    prepared_.slices = rotate(slices, job_.rank(), job_.ranks(), input.format.slice_unit_bytes());
    for (const InputSlice& slice : slices) mine.input_bytes += slice.bytes;
    return mine;
}

void Preflight::plan() {
    JointGather call;
    const Heard<RankResources> resources = call.say(this->resources());
    const Heard<std::string> run_ids = call.say(job_.rank() == 0 ? random_run_id() : std::string());
    call.call(job_.communicator);
    prepared_.run_id = run_ids->front();
    prepared_.resources = *resources;
    settle_budgets(job_, prepared_.resources, means_);
    // Planned even where something is wrong already, so that one message lists it all.
    try {
        prepared_.plan = plan_sort(job_.config, prepared_.input.format, prepared_.resources);
        check_plan();
    } catch (const Error& error) {
        problems_.push_back(problem_of(error));
    }
}

void Preflight::check_plan() {
    const RankPlan& plan = prepared_.plan.ranks[job_.rank()];
    const auto pools = pool_problems(job_.config, plan, job_.ranks());
    problems_.insert(problems_.end(), pools.begin(), pools.end());
    check_budget(job_, means_, pools_text(plan), problems_);
    planned_ = true;
    check_windows(job_, prepared_.plan, problems_);
    check_limits(job_, plan, prepared_.resources[job_.rank()], problems_);
}

PreparedSort Preflight::verdict() {
    // Where one host's own values allow no plan, its ranks come without any.
    if (planned_) need_of_plan(job_, prepared_.plan, space_, problems_);
    space_.replaces(*prepared_.old);
    problems_.insert(problems_.end(), space_.own_problems().begin(), space_.own_problems().end());
    notes_.insert(notes_.end(), means_.notes.begin(), means_.notes.end());
    bool has_others = false;
    try {
        has_others = has_leavings(find_run_traces(job_));
    } catch (const AbortedError&) {
        throw;
    } catch (const Error& error) {
        problems_.push_back(problem_of(error));
    }
    JointGather call;
    space_.say(call);
    const auto problems = call.say(problems_);
    const auto notes = call.say(notes_);
    const Heard<PlanFact> plans = call.say(planned_ ? plan_fact(job_, prepared_.plan) : PlanFact{});
    const auto others_were_here = call.say(std::uint8_t{has_others});
    call.call(job_.communicator);
    say_all_notes(job_, *notes);
    std::vector<Problems> all = *problems;
    const Problems too_little = space_.judge("logs and output");
    all.front().insert(all.front().end(), too_little.begin(), too_little.end());
    refuse_if_any(all);
    require_same_plan(*plans);
    prepared_.others_were_here = std::count(others_were_here->begin(), others_were_here->end(), 1) != 0;
    return std::move(prepared_);
}

}  // namespace

PreparedSort prepare_sort(JobContext& job, const RankMeans& means) {
    const Step step = open_step(job, "checks disks and makes the plan");
    Preflight preflight(job, means);
    preflight.compare_sets();
    preflight.prove_input();
    preflight.plan();
    return preflight.verdict();
}

}  // namespace sluice
