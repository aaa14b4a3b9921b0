#pragma once
/// Builds everything a job runs on from the command line: config, MPI or a single rank, topology, disks.

#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "cli/command_line.hpp"
#include "cli/host_share.hpp"
#include "jobs/sort_job.hpp"
#include "net/lone_communicator.hpp"
#include "net/mpi_session.hpp"
#include "plan/agreement.hpp"
#include "plan/job_context.hpp"
#include "runtime/placement.hpp"
#include "runtime/topology.hpp"
#include "runtime/watchdog.hpp"

namespace sluice {

/// One rank of one run. Constructed and used by the main thread, which is the network thread.
class Application {
public:
    /// Rank 0 reads config file and environment, the others get them from it. Throws Error.
    Application(int argc, char** argv, CommandLine line);
    ~Application();

    JobContext& job() noexcept { return *job_; }
    const CommandLine& line() const noexcept { return line_; }
    const LoadedConfig& config() const noexcept { return *loaded_; }
    const Placement& placement() const noexcept { return placement_; }
    /// What this rank may use; its host's memory is held for this job until HostShare::claim_memory(). Local.
    RankMeans means();
    /// What this job and others have of the host.
    HostShare& host_share() noexcept { return *host_share_; }
    unsigned cores() const;
    std::string mpi_library() const { return mpi_ ? mpi_->library() : "none (one rank, started without a launcher)"; }
    /// A transport of that kind, whatever net.transport says.
    /// @param window  under the pool; rma needs one
    std::unique_ptr<Transport> make_transport(TransportKind kind, BufferPool& pool, std::uint64_t run_id,
                                              ReceiveWindow* window);
    /// Collective.
    std::unique_ptr<ReceiveWindow> make_window(std::uint64_t bytes);
    /// Seconds since launch as far as this rank knows: since the launch script's stamp, if there is one and it is for
    /// this rank to read, else since its main. The run's are those of the rank that was launched first.
    double since_launch_s(std::uint64_t at_ns) const;
    /// Seconds from this rank's main to `at_ns`, by its own clock.
    double since_main_s(std::uint64_t at_ns) const { return static_cast<double>(at_ns - main_begin_ns_) * 1e-9; }
    /// Tells the other ranks that this one fails, so that they end too.
    void announce(const Error& error) noexcept;
    /// Notes the failure in status.json and error.json. @param echo  another rank said it, or will.
    void record_failure(const Error& error, bool echo) noexcept;
    Watchdog& watchdog() noexcept { return watchdog_; }
    /// @param result_line  made on rank 0 when the data set is durable: from then on the run has succeeded, whatever
    /// comes.
    void when_published(std::function<std::string()> result_line);
    /// After publishing: a WARNING on stderr.
    void warn_after_publishing(const std::string& what) const;
    /// After publishing: the same, and the other ranks do not wait for this one any more.
    void failed_after_publishing(const std::exception& error) noexcept;
    /// After publishing, rank 0: `text` and the line on standard output, or the line on stderr where that fails.
    void say_result(const std::string& text, const std::string& line);
    /// All went well: leaves MPI. After publishing nothing of that is an error.
    void finish();
    std::uint32_t rank() const noexcept { return rank_; }
    const std::string& host() const noexcept { return host_; }

private:
    // The start, step by step: three calls of all ranks.
    void start_mpi(int argc, char** argv);
    /// Who is where, and that all run the same program with the same words.
    void meet_ranks(int argc, char** argv);
    void read_config();
    /// What each host's config and machine say: values that must be equal, memory that is shared, cores that other jobs
    /// use.
    void compare_hosts();
    void open_status();
    std::unique_ptr<JobContext> make_job();

    /// What a rank's process may run on.
    struct RankProcess {
        std::vector<unsigned> cores;  ///< indices of those it may use
        int pid = 0;
        unsigned launcher_cores = 0;  ///< that its parent process may use; 0: unknown
    };
    RankClaim claim_of_rank(int argc, char** argv) const;
    void meet_processes(const std::vector<RankClaim>& claims);
    /// Of this host's ranks.
    PlacementRequest placement_request() const;
    bool has_room_for_windows() const;
    std::unique_ptr<Arena> make_arena(std::uint64_t bytes) const;
    std::shared_ptr<void> begin_commit();
    /// Rank 0: [hosts."name"] sections for nobody.
    void warn_of_host_sections() const;

    CommandLine line_;
    ThreadExecutor executor_;
    std::uint64_t main_begin_ns_, main_begin_epoch_ns_;
    Watchdog watchdog_;  // before MPI: it also watches the start
    std::optional<MpiSession> mpi_;
    LoneCommunicator alone_;  // of one rank without a launcher
    Communicator* communicator_ = nullptr;
    Wire* wire_ = nullptr;
    std::uint32_t rank_ = 0;
    std::string host_;
    std::unique_ptr<LoadedConfig> loaded_;
    Config values_;
    Topology topology_;
    RankPlace place_;
    std::vector<RankProcess> process_by_rank_;
    std::vector<std::string> bell_by_rank_;
    Placement placement_;
    double cgroup_cores_ = 0;  // whose time our cgroups allow; 0: all
    std::unique_ptr<Doorbell> doorbell_;
    std::unique_ptr<IoBackend> io_;
    std::unique_ptr<FileSystem> files_;
    std::unique_ptr<ProcessTable> processes_;
    std::unique_ptr<JobContext> job_;
    bool ranks_apart_ = false;  // one failed after publishing: they have no more collectives in common
    std::unique_ptr<HostShare> host_share_;
};

}  // namespace sluice
