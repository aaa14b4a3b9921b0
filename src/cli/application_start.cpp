// The start of a rank, up to a job that has all it runs on.
#include "cli/application.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <span>
#include <thread>

#include "cli/build_id.hpp"
#include "cli/config_places.hpp"
#include "cli/standard_output.hpp"
#include "io/owner_record.hpp"
#include "net/collectives.hpp"
#include "net/transport_kind.hpp"
#include "plan/agreement.hpp"
#include "plan/cluster.hpp"
#include "runtime/binding_check.hpp"
#include "runtime/bounded_text.hpp"
#include "runtime/host_sections.hpp"
#include "runtime/launch_marks.hpp"
#include "runtime/machine.hpp"
#include "runtime/option_table.hpp"
#include "runtime/printable.hpp"

extern char** environ;

namespace sluice {
namespace {

std::uint64_t epoch_ns() {
    return static_cast<std::uint64_t>(
        std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::system_clock::now().time_since_epoch())
            .count());
}

std::map<std::string, std::string> sluice_environment() {
    std::map<std::string, std::string> found;
    for (char** entry = environ; *entry != nullptr; ++entry) {
        const std::string text = *entry;
        const std::size_t equals = text.find('=');
        if (text.rfind("SLUICE_", 0) == 0 && equals != std::string::npos)
            found[text.substr(0, equals)] = text.substr(equals + 1);
    }
    return found;
}

/// Until the config has been read (rank 0 reads it and MPI brings it to the others), what was typed for this run
/// counts.
std::uint64_t watchdog_limit_at_start(const CommandLine& line) {
    Config config;
    const Option& option = *find_option("run.watchdog");
    if (const char* variable = std::getenv("SLUICE_RUN_WATCHDOG")) option.store(config, variable);
    for (const std::string& set : line.sets) {
        if (set.rfind("run.watchdog=", 0) == 0) option.store(config, set.substr(set.find('=') + 1));
    }
    return config.run.watchdog_ns;
}

/// Words between ranks are exchanged or not, files replaced or not, by these: a host's own section may not differ.
constexpr const char* kSameOnAllHosts[] = {"net.transport",   "passes",     "record.size", "record.key_offset",
                                           "record.key_size", "input.name", "output.name", "run.verify",
                                           "run.overwrite",   "run.locks",  "run.limit",   "keys.distribution",
                                           "keys.samples"};

/// srun without PMIx starts tasks that do not know of one another: each would sort everything alone.
void refuse_tasks_without_mpi() {
    const char* tasks = std::getenv("SLURM_STEP_NUM_TASKS");
    if (tasks == nullptr || std::atoi(tasks) <= 1) return;
    throw Error(
        Errc::config,
        "srun started " + std::string(tasks) +
            " tasks that are no ranks of one MPI program; start them with srun --mpi=pmix or scripts/launch.sh");
}

/// Open MPI speaks PMIx; it ends tasks of srun that have only PMI in MPI_Init, with a text of its own that names
/// neither.
void refuse_tasks_without_pmix() {
    const bool by_pmi = std::getenv("PMI_RANK") != nullptr && std::getenv("PMIX_RANK") == nullptr &&
                        std::getenv("OMPI_COMM_WORLD_SIZE") == nullptr;
    if (!by_pmi || std::getenv("SLURM_STEP_ID") == nullptr) return;
    throw Error(Errc::config, std::string("srun started this task with PMI (--mpi=pmi2?), which Open MPI does not "
                                          "speak; start with srun --mpi=pmix or scripts/launch.sh"));
}

/// What ranks tell each other once each has its host's config.
struct HostFact {
    std::vector<std::string> values;  ///< of kSameOnAllHosts
    bool finds_bells = false;         ///< of all ranks of its host
    bool has_room_for_windows = false;
    std::string taken_cores;  ///< by other jobs; of the first rank of a host
    static constexpr auto fields =
        std::tuple{&HostFact::values, &HostFact::finds_bells, &HostFact::has_room_for_windows, &HostFact::taken_cores};
};

void require_same_values(const std::vector<HostFact>& facts, const std::vector<std::string>& hosts,
                         std::uint32_t rank) {
    std::vector<RankClaim> claims;
    for (std::size_t other = 0; other < facts.size(); ++other) {
        RankClaim claim;
        claim.host = hosts[other];
        for (std::size_t i = 0; i < facts[other].values.size(); ++i)
            claim.facts[kSameOnAllHosts[i]] = facts[other].values[i];
        claims.push_back(std::move(claim));
    }
    require_equal(claims, {std::begin(kSameOnAllHosts), std::end(kSameOnAllHosts)}, rank);
}

}  // namespace

Application::Application(int argc, char** argv, CommandLine line)
    : line_(std::move(line)),
      main_begin_ns_(executor_.now_ns()),
      main_begin_epoch_ns_(epoch_ns()),
      watchdog_(watchdog_limit_at_start(line_)),
      topology_(Topology::this_machine()),
      files_(make_real_file_system()) {
    const MachineLimits limits = read_machine_limits();
    host_ = limits.host_name;
    cgroup_cores_ = limits.cgroup_cores;
    start_mpi(argc, argv);
    meet_ranks(argc, argv);
    read_config();
    compare_hosts();
    open_status();
    job_ = make_job();
    topology_.bind_this_thread(placement_.cores_of(StageKind::network, 0));
}

void Application::start_mpi(int argc, char** argv) {
    const LaunchPlace launched = launch_place();
    watchdog_.set_place(host_, launched.rank);
    if (!launched_by_mpi()) {
        refuse_tasks_without_mpi();
        // MPI's own singleton start takes longer than the rest of our start, for nobody to talk to.
        communicator_ = &alone_;
        return;
    }
    const char* marks = std::getenv("SLUICE_LAUNCH_STATUS");
    const std::string directory = marks != nullptr ? marks : "";
    refuse_tasks_without_pmix();
    // A death in MPI_Init leaves word too; where the results lie is known only after it.
    watchdog_.status().open("", directory, {job_name(), host_, line_.verb, launched.rank, launched.ranks});
    leave_start_mark(directory, launched.rank, host_);
    watchdog_.explain_start(
        [directory, launched, host = host_] { return who_never_started(directory, launched.ranks, host); });
    mpi_.emplace(&argc, &argv, &watchdog_);
    communicator_ = &mpi_->communicator();
    wire_ = &mpi_->wire();
    rank_ = communicator_->rank();
}

RankClaim Application::claim_of_rank(int argc, char** argv) const {
    std::string words;
    for (int i = 1; i < argc; ++i) words += (i == 1 ? "" : " ") + std::string(argv[i]);
    RankClaim claim;
    claim.host = host_;
    claim.facts = {
        {"program", program_fact()},
        {"MPI", mpi_library()},
        {"layout", "message header " + std::to_string(kHeaderBytes) + " B, " +
                       (std::endian::native == std::endian::little ? "little" : "big") + "-endian, " +
                       std::to_string(8 * sizeof(void*)) + " bit"},
        {"words", words},
        {"cores", format_core_list(topology_.core_indices())},
        {"pid", std::to_string(::getpid())},
        {"launcher", std::to_string(threads_of_process(::getppid()) / std::max(1u, topology_.threads_per_core()))},
        {"bell", mpi_ ? mpi_->bell_name() : ""}};
    return claim;
}

void Application::meet_ranks(int argc, char** argv) {
    const std::vector<RankClaim> claims = exchange_claims(*communicator_, claim_of_rank(argc, argv));
    require_equal(claims, {"program", "MPI", "layout", "words"}, rank_);
    std::vector<std::string> host_by_rank;
    for (const RankClaim& claim : claims) {
        host_by_rank.push_back(claim.host);
        bell_by_rank_.push_back(claim.facts.at("bell"));
    }
    place_ = place_among(std::move(host_by_rank), rank_);
    meet_processes(claims);
}

void Application::meet_processes(const std::vector<RankClaim>& claims) {
    std::vector<Watchdog::Process> processes;
    std::vector<RankBinding> bindings;
    for (const RankClaim& claim : claims) {  // of our own build, as has been compared
        // The launcher may have given each rank cores of its own. Its affinity counts hardware threads, ours cores.
        const RankProcess process{parse_core_list(claim.facts.at("cores")), std::stoi(claim.facts.at("pid")),
                                  static_cast<unsigned>(std::stoul(claim.facts.at("launcher")))};
        processes.push_back({claim.host, process.pid});
        bindings.push_back({claim.host, process.cores, process.launcher_cores});
        process_by_rank_.push_back(process);
    }
    watchdog_.set_processes(std::move(processes));
    if (!mpi_ || rank_ != 0) return;
    if (const auto advice = binding_advice(bindings)) std::fprintf(stderr, "%s\n", advice->c_str());
}

void Application::read_config() {
    std::string serialized, failure;
    Errc code = Errc::config;
    if (rank_ == 0) {
        ConfigSources sources;
        sources.sets = line_.sets;
        sources.environment = sluice_environment();
        try {
            if (!line_.config_path.empty()) {
                sources.file_name = line_.config_path;
                try {
                    sources.file_text = files_->read_text(line_.config_path, kMostConfigBytes);
                } catch (const Error& error) {
                    throw Error(Errc::config,
                                std::string(error.what()) + "; name a config file, such as configs/laptop.toml");
                }
            }
            loaded_ = std::make_unique<LoadedConfig>(sources);
            // Found out now, not after the work.
            if (const auto problem = standard_output_problem()) {
                code = Errc::internal;
                failure = "standard output " + *problem;
            }
        } catch (const Error& error) {
            failure = error.what();
        }
        serialized = failure.empty() ? "+" + std::to_string(loaded_->hash()) + "\n" + sources.serialize()
                                     : (code == Errc::config ? "-" : "!") + failure;
    }
    serialized = communicator_->broadcast(serialized, 0);
    if (serialized.front() != '+') {
        code = serialized.front() == '-' ? Errc::config : Errc::internal;
        if (rank_ != 0) throw AbortedError(0, code, "it cannot start");
        throw Error(code, serialized.substr(1));
    }
    if (rank_ == 0) {
        for (const std::string& warning : loaded_->warnings()) std::fprintf(stderr, "%s\n", warning.c_str());
        return;
    }
    const std::size_t line_end = serialized.find('\n');
    loaded_ = std::make_unique<LoadedConfig>(ConfigSources::deserialize(serialized.substr(line_end + 1)));
    if (std::to_string(loaded_->hash()) != serialized.substr(1, line_end - 1)) {
        throw Error(Errc::config, "rank " + std::to_string(rank_) +
                                      " makes another config of what rank 0 read; install one build on every host");
    }
}

void Application::compare_hosts() {
    values_ = loaded_->for_host(host_);
    refuse_names_of_runs(values_);
    values_.results.dir = absolute_results_dir(values_.results.dir);
    refuse_results_in_a_set(values_, host_, rank_);
    processes_ = make_process_table(host_);
    host_share_ = std::make_unique<HostShare>(place_, *processes_, line_.verb, has_status(line_.command));
    PlacementRequest request = placement_request();
    HostFact mine;
    mine.finds_bells = mpi_ && mpi_->find_bells(bell_by_rank_, place_.ranks_here);
    mine.has_room_for_windows = has_room_for_windows();
    mine.taken_cores = host_share_->claim_cores(topology_, request);
    for (const char* key : kSameOnAllHosts) mine.values.push_back(find_option(key)->print(values_));
    const std::vector<HostFact> all = all_gather(*communicator_, mine);
    require_same_values(all, place_.host_by_rank, rank_);
    bool one_host = place_.hosts == 1;
    for (const HostFact& fact : all) one_host = one_host && fact.finds_bells;
    if (mpi_) mpi_->settle_bells(one_host);
    // What is free changes: rank 0 decides for all.
    values_.net.transport = chosen_transport(values_.net.transport, communicator_->size(), mpi_ && !one_host,
                                             all.front().has_room_for_windows);
    // Made while nobody watches the time.
    if (mpi_ && (values_.net.transport == TransportKind::alltoallv || line_.command == Command::bench_net))
        mpi_->rounds();
    if (place_.local_rank != 0) host_share_->leave_cores(all[place_.ranks_here.front()].taken_cores, request);
    placement_ = plan_placement(topology_, request);
    if (cgroup_cores_ != 0)
        placement_.explanation += fmt::format("; its cgroup allows the time of {:.4g} cores", cgroup_cores_);
    place_.cores = placement_.rank_cores;
    warn_of_host_sections();
}

bool Application::has_room_for_windows() const {
    std::uint64_t budget_bytes = values_.memory.budget_bytes;
    if (budget_bytes == 0) budget_bytes = budget_of_memory(read_machine_limits().memory_available_bytes);
    // The windows of rma are files there, planned within half of the budget, or as large as they are told to be.
    const std::string shm = "/dev/shm";
    const std::uint64_t told_bytes = values_.net.receive_buffers * std::max(values_.net.buffer_size_bytes, kMiB);
    const std::uint64_t needed_bytes = std::max(budget_bytes / 2, told_bytes * place_.local_ranks);
    return files_->info(shm) && files_->free_bytes(shm) >= needed_bytes;
}

PlacementRequest Application::placement_request() const {
    PlacementRequest request;
    request.local_rank = place_.local_rank;
    request.local_ranks = place_.local_ranks;
    request.policy = values_.placement.policy;
    request.cores = values_.placement.cores;
    const auto disks = values_.disks_of(DiskRole::intermediate);
    if (!disks.empty())
        request.disk_numa_node = topology_.numa_node_of_path(expand_path(disks.front().path, host_, rank_));
    for (const std::uint32_t rank : place_.ranks_here) request.usable_cores.push_back(process_by_rank_[rank].cores);
    return request;
}

void Application::warn_of_host_sections() const {
    // `config show` and plans for described machines are not about the hosts they run on.
    if (rank_ != 0 || line_.command == Command::config_show || line_.is_described()) return;
    for (const std::string& text : unmatched_host_sections(loaded_->host_names(), place_.host_by_rank))
        std::fprintf(stderr, "%s\n", text.c_str());
}

void Application::open_status() {
    watchdog_.set_limit(loaded_->for_host("").run.watchdog_ns);
    watchdog_.set_seed(values_.run.seed);
    if (!has_status(line_.command)) return;
    const char* copy = std::getenv("SLUICE_LAUNCH_STATUS");
    watchdog_.status().open(values_.results.dir, copy != nullptr ? copy : "",
                            {job_name(), host_, line_.verb, rank_, communicator_->size()});
}

std::unique_ptr<JobContext> Application::make_job() {
    doorbell_ = std::make_unique<Doorbell>(executor_, mpi_ ? mpi_->bell() : nullptr);
    io_ = values_.io.backend == IoBackendKind::sync ? make_sync_backend(values_.io.direct)
                                                    : make_libaio_backend(values_.io.direct);
    const TransportKind transport = values_.net.transport;
    std::function<std::unique_ptr<ReceiveWindow>(std::uint64_t)> window;
    if (transport == TransportKind::rma && mpi_) window = [this](std::uint64_t bytes) { return make_window(bytes); };
    return std::make_unique<JobContext>(JobContext{
        .executor = executor_,
        .communicator = *communicator_,
        .doorbell = *doorbell_,
        .io = *io_,
        .files = *files_,
        .processes = *processes_,
        .config = values_,
        .place = place_,
        .make_transport = [this, transport](
                              BufferPool& pool, std::uint64_t run_id,
                              ReceiveWindow* under) { return make_transport(transport, pool, run_id, under); },
        .make_arena = [this](std::uint64_t bytes) { return make_arena(bytes); },
        .bind =
            [this](const Worker& worker) {
                watchdog_.watch_this_thread(worker);
                topology_.bind_this_thread(placement_.cores_of(worker.stage, worker.index));
            },
        .backoff = IdleBackoff(values_.net.poll),
        .say =
            [this](const std::string& text) {
                if (rank_ == 0) std::fprintf(stderr, "%s\n", printable_lines(text).c_str());
            },
        .on_step = [this](const std::string& step, const std::string& run_id) { watchdog_.enter(step, run_id); },
        .make_window = std::move(window),
        .keep_beating = [this](std::function<void()> beat) { return watchdog_.status().keep_beating(std::move(beat)); },
        .begin_commit = [this] { return begin_commit(); }});
}

std::unique_ptr<Arena> Application::make_arena(std::uint64_t bytes) const {
    ArenaOptions options;
    options.huge_pages = values_.memory.huge_pages;
    options.topology = &topology_;
    options.numa_node = placement_.numa_node;
    options.touch_threads = std::max(1u, cores());
    options.background = true;
    options.survives_failure = true;  // MPI may still read and write there until the process has left
    return std::make_unique<Arena>(bytes, options);
}

std::shared_ptr<void> Application::begin_commit() {
    auto commit = watchdog_.begin_commit();
    // Null: this process is about to end. Polling tells the other ranks why, and does not come back.
    for (; !commit; std::this_thread::sleep_for(std::chrono::milliseconds(1))) communicator_->poll_failure();
    return commit;
}

}  // namespace sluice
