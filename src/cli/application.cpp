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
#include "net/alltoallv_transport.hpp"
#include "net/collectives.hpp"
#include "net/p2p_transport.hpp"
#include "net/rma_transport.hpp"
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

/// Verbs that are a job on disks: they leave word of how far they came.
bool has_status(const std::string& verb) {
    return verb != "config" && verb != "clean" && verb != "compare" && verb != "report";
}

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

}  // namespace

Application::Application(int argc, char** argv, CommandLine line)
    : line_(std::move(line)),
      main_begin_ns_(executor_.now_ns()),
      main_begin_epoch_ns_(epoch_ns()),
      watchdog_(watchdog_limit_at_start(line_)) {
    host_ = read_machine_limits().host_name;
    const LaunchPlace launched = launch_place();
    watchdog_.set_place(host_, launched.rank);
    if (launched_by_mpi()) {
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
    } else {
        refuse_tasks_without_mpi();
        // MPI's own singleton start takes longer than the rest of our start, for nobody to talk to.
        communicator_ = &alone_;
    }
    rank_ = communicator_->rank();
    shake_hands(argc, argv);
    read_config();
    values_ = loaded_->for_host(host_);
    refuse_names_of_runs(values_);
    values_.results.dir = absolute_results_dir(values_.results.dir);
    refuse_results_in_a_set(values_, host_, rank_);
    require_same_values();
    watchdog_.set_limit(loaded_->for_host("").run.watchdog_ns);
    watchdog_.set_seed(values_.run.seed);
    open_status();
    doorbell_ = std::make_unique<Doorbell>(executor_, mpi_ ? mpi_->bell() : nullptr);
    io_ = values_.io.backend == IoBackendKind::sync ? make_sync_backend(values_.io.direct)
                                                    : make_libaio_backend(values_.io.direct);
    files_ = make_real_file_system();
    processes_ = make_process_table(host_);
    const RankPlace place = find_place(*communicator_, host_);
    choose_transport(place);
    if (mpi_ && values_.net.transport == TransportKind::alltoallv)
        mpi_->rounds();  // made while nobody watches the time
    const IdleBackoff backoff(values_.net.poll);
    job_ = std::make_unique<JobContext>(JobContext{
        executor_, *communicator_, *doorbell_, *io_, *files_, *processes_, values_, place, {}, {}, {}, backoff, {}});
    place_workers();
    give_job_its_means();
}

Application::~Application() = default;

void Application::give_job_its_means() {
    job_->make_transport = [this](BufferPool& pool, std::uint64_t run_id, ReceiveWindow* window) {
        return make_transport(values_.net.transport, pool, run_id, window);
    };
    if (values_.net.transport == TransportKind::rma && mpi_)
        job_->make_window = [this](std::uint64_t bytes) { return make_window(bytes); };
    job_->make_arena = [this](std::uint64_t bytes) {
        ArenaOptions options;
        options.huge_pages = values_.memory.huge_pages;
        options.topology = topology_ ? &*topology_ : nullptr;
        options.numa_node = placement_.numa_node;
        options.touch_threads = std::max(1u, cores());
        options.background = true;
        options.survives_failure = true;  // MPI may still read and write there until the process has left
        return std::make_unique<Arena>(bytes, options);
    };
    job_->on_step = [this](const std::string& step, const std::string& run_id) { watchdog_.enter(step, run_id); };
    job_->begin_commit = [this] {
        auto commit = watchdog_.begin_commit();
        // Null: this process is about to end. Polling tells the other ranks why, and does not come back.
        for (; !commit; std::this_thread::sleep_for(std::chrono::milliseconds(1))) job_->communicator.poll_failure();
        return commit;
    };
    job_->keep_beating = [this](std::function<void()> beat) {
        return watchdog_.status().keep_beating(std::move(beat));
    };
    job_->say = [this](const std::string& text) {
        if (rank_ == 0) std::fprintf(stderr, "%s\n", printable_lines(text).c_str());
    };
}

void Application::require_same_values() {
    if (communicator_->size() == 1) return;
    std::vector<AgreedFact> facts;
    for (const char* key : kSameOnAllHosts) facts.push_back({key, find_option(key)->print(values_)});
    require_agreement(*communicator_, host_, facts);
}

void Application::choose_transport(const RankPlace& place) {
    if (values_.net.transport != TransportKind::automatic) return;
    std::uint64_t budget_bytes = values_.memory.budget_bytes;
    if (budget_bytes == 0) budget_bytes = read_machine_limits().memory_available_bytes / 5 * 4;
    // The windows of rma are files there, planned within half of the budget, or as large as they are told to be.
    const std::string shm = "/dev/shm";
    const std::uint64_t told_bytes = values_.net.receive_buffers * std::max(values_.net.buffer_size_bytes, kMiB);
    const std::uint64_t needed_bytes = std::max(budget_bytes / 2, told_bytes * place.local_ranks);
    const bool room = files_->info(shm) && files_->free_bytes(shm) >= needed_bytes;
    values_.net.transport = from_rank_0(  // what is free changes: one decides
        *communicator_, chosen_transport(values_.net.transport, communicator_->size(),
                                         place.hosts > 1 || (mpi_ && !mpi_->one_host()), room));
}

void Application::shake_hands(int argc, char** argv) {
    if (communicator_->size() == 1) return;
    std::string words;
    for (int i = 1; i < argc; ++i) words += (i == 1 ? "" : " ") + std::string(argv[i]);
    require_agreement(*communicator_, host_,
                      {{"program", program_fact()},
                       {"MPI", mpi_library()},
                       {"layout", "message header " + std::to_string(kHeaderBytes) + " B, " +
                                      (std::endian::native == std::endian::little ? "little" : "big") + "-endian, " +
                                      std::to_string(8 * sizeof(void*)) + " bit"},
                       {"words", words}});
}

std::unique_ptr<Transport> Application::make_transport(TransportKind kind, BufferPool& pool, std::uint64_t run_id,
                                                       ReceiveWindow* window) {
    SLUICE_CHECK(mpi_.has_value());  // one rank sends nothing
    if (kind == TransportKind::alltoallv) return make_alltoallv_transport(mpi_->rounds(), pool, run_id);
    if (kind == TransportKind::p2p) return make_p2p_transport(*wire_, pool, run_id);
    SLUICE_CHECK(window != nullptr);
    return make_rma_transport(*window, *wire_, pool, run_id);
}

std::unique_ptr<ReceiveWindow> Application::make_window(std::uint64_t bytes) {
    SLUICE_CHECK(mpi_.has_value());
    return mpi_->make_window(bytes);
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
                    sources.file_text = make_real_file_system()->read_text(line_.config_path, kMostConfigBytes);
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

void Application::open_status() {
    if (!has_status(line_.verb)) return;
    const char* copy = std::getenv("SLUICE_LAUNCH_STATUS");
    watchdog_.status().open(values_.results.dir, copy != nullptr ? copy : "",
                            {job_name(), host_, line_.verb, rank_, communicator_->size()});
}

void Application::place_workers() {
    PlacementRequest request;
    request.local_rank = job_->place.local_rank;
    request.local_ranks = job_->place.local_ranks;
    request.policy = values_.placement.policy;
    request.cores = values_.placement.cores;
    topology_.emplace(Topology::this_machine());
    const auto disks = disk_paths(*job_, DiskRole::intermediate);
    if (!disks.empty()) request.disk_numa_node = topology_->numa_node_of_path(disks.front());
    const std::vector<RankProcess> all = meet_processes();
    for (const RankProcess& process : all) {
        if (process.host == host_) request.usable_cores.push_back(process.cores);
    }
    warn_of_host_sections(all);
    host_share_ =
        std::make_unique<HostShare>(*communicator_, job_->place, *processes_, line_.verb, has_status(line_.verb));
    host_share_->choose_cores(*topology_, request);
    placement_ = plan_placement(*topology_, request);
    if (const double allowed = read_machine_limits().cgroup_cores; allowed != 0)
        placement_.explanation += fmt::format("; its cgroup allows the time of {:.4g} cores", allowed);
    job_->place.cores = placement_.rank_cores;
    topology_->bind_this_thread(placement_.cores_of("network", 0));
    job_->bind = [this](const Worker& worker) {
        watchdog_.watch_this_thread(worker);
        if (topology_) topology_->bind_this_thread(placement_.cores_of(worker.stage, worker.index));
    };
}

std::vector<Application::RankProcess> Application::meet_processes() {
    // The launcher may have given each rank cores of its own already. Its affinity counts hardware threads, ours cores.
    const auto all = all_gather(
        *communicator_, RankProcess{host_, topology_->core_indices(), ::getpid(),
                                    threads_of_process(::getppid()) / std::max(1u, topology_->threads_per_core())});
    std::vector<Watchdog::Process> processes;
    std::vector<RankBinding> bindings;
    for (const RankProcess& process : all) {
        processes.push_back({process.host, process.pid});
        bindings.push_back({process.host, process.cores, process.launcher_cores});
    }
    watchdog_.set_processes(std::move(processes));
    if (!mpi_ || rank_ != 0) return all;
    if (const auto advice = binding_advice(bindings)) std::fprintf(stderr, "%s\n", advice->c_str());
    return all;
}

void Application::warn_of_host_sections(const std::vector<RankProcess>& all) const {
    // `config show` and plans for described machines are not about the hosts they run on.
    const bool is_described = line_.input_bytes != 0 || line_.hosts != 0;
    if (rank_ != 0 || (line_.verb == "config" && (line_.subverb != "check" || is_described))) return;
    std::vector<std::string> host_by_rank;
    for (const RankProcess& process : all) host_by_rank.push_back(process.host);
    for (const std::string& text : unmatched_host_sections(loaded_->host_names(), host_by_rank))
        std::fprintf(stderr, "%s\n", text.c_str());
}

unsigned Application::cores() const {
    const unsigned local_ranks = std::max(1u, job_->place.local_ranks);
    const unsigned found = placement_.rank_cores.empty()
                               ? static_cast<unsigned>(::sysconf(_SC_NPROCESSORS_ONLN)) / local_ranks
                               : static_cast<unsigned>(placement_.rank_cores.size());
    // A container of 4 of 64 cores: more workers than have time would only be stopped in turn.
    const double allowed = read_machine_limits().cgroup_cores;
    if (allowed == 0 || allowed >= found * local_ranks) return std::max(1u, found);
    return std::max(1u, std::min(found, static_cast<unsigned>(allowed) / local_ranks));
}

RankMeans Application::means() {
    return {.cores = cores(),
            .memory_available_bytes = host_share_->memory_left_bytes(),
            .memory_note = host_share_->memory_note()};
}

double Application::since_launch_s(std::uint64_t at_ns) const {
    double mine_s = since_main_s(at_ns);
    const char* stamp = std::getenv("SLUICE_LAUNCH_STAMP");
    if (rank_ == 0 && stamp != nullptr) {
        // Both clocks are rank 0's host's: the launch script runs there.
        const double launched_ns = std::strtod(stamp, nullptr);
        const double before_main_s = (static_cast<double>(main_begin_epoch_ns_) - launched_ns) * 1e-9;
        if (before_main_s > 0 && before_main_s < 600) mine_s += before_main_s;
    }
    return mine_s;
}

void Application::announce(const Error& error) noexcept {
    try {
        if (communicator_->size() > 1 && dynamic_cast<const AbortedError*>(&error) == nullptr)
            communicator_->announce_failure({rank_, error.exit_code(), error.what()});
    } catch (const std::exception&) {  // the others are gone as well; our own message is what counts
    }
}

void Application::record_failure(const Error& error, bool echo) noexcept {
    try {
        host_share_.reset();  // MPI ends a failed process without its destructors; other jobs may have the share now
        RunStatus& status = watchdog_.status();
        // What is refused together before the first byte leaves no trace.
        const bool refused =
            dynamic_cast<const RefusedError*>(&error) != nullptr ||
            (dynamic_cast<const CollectiveError*>(&error) != nullptr && error.code() != Errc::integrity);
        if (refused) {
            status.remove();
        } else if (echo) {
            status.change("aborted", "aborted because of another rank");
        } else {
            status.fail("failed", {error.exit_code(), std::string(to_string(error.code())), "", error.what()});
        }
        watchdog_.told(error.exit_code());  // a signal of the launcher is no cause any more
    } catch (const std::exception&) {       // the exit code and the message say it as well
    }
}

void Application::when_published(std::function<std::string()> result_line) {
    job_->on_published = [this, make = std::move(result_line)] {
        const std::string line = rank_ == 0 ? make() : "";
        watchdog_.settle(line);
        if (rank_ == 0) announce_published(line);
    };
}

void Application::warn_after_publishing(const std::string& what) const {
    std::fprintf(stderr, "WARNING rank=%u host=%s: the data set is published and complete; after that: %s\n", rank_,
                 host_.c_str(), what.c_str());
}

void Application::failed_after_publishing(const std::exception& error) noexcept {
    ranks_apart_ = true;
    if (dynamic_cast<const AbortedError*>(&error) != nullptr) return;  // that one says it
    warn_after_publishing(error.what());
    announce(Error(Errc::internal, error.what()));
}

void Application::say_result(const std::string& text, const std::string& line) {
    if (!watchdog_.take_last_words()) return;  // said by the watchdog, which is about to end this process
    try {
        print(text + line + "\n");
    } catch (const std::exception& error) {
        warn_after_publishing(error.what());
        std::fprintf(stderr, "%s\n", line.c_str());
    }
}

void Application::finish() {
    if (watchdog_.settled()) {
        try {
            if (mpi_ && ranks_apart_) mpi_->leave();
            if (mpi_ && !ranks_apart_) mpi_->finish();
        } catch (const std::exception& error) {
            warn_after_publishing(error.what());
            std::fflush(nullptr);
            watchdog_.status().remove();
            ::_exit(0);
        }
        watchdog_.status().remove();
        return;
    }
    if (mpi_) mpi_->finish();
    watchdog_.status().remove();
}

}  // namespace sluice
