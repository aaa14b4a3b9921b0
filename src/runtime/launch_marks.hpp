#pragma once
/// Word that ranks leave for each other, and for launch.sh, before MPI connects them.

#include <cstdint>
#include <optional>
#include <string>

namespace sluice {

/// How many ranks the launcher of this process started, and the variable that says so.
struct LauncherRanks {
    std::string variable;
    std::uint32_t ranks = 0;
};
/// OMPI_COMM_WORLD_SIZE, else PMI_SIZE beside PMI_RANK; nothing else is evidence, since variables of a batch system
/// stay in shells and containers. Throws Error(config) that quotes what is no number.
std::optional<LauncherRanks> launcher_ranks();

/// What the launcher says of this process; ranks 0: nothing. Throws as launcher_ranks() does.
struct LaunchPlace {
    std::uint32_t rank = 0, ranks = 0;
};
LaunchPlace launch_place();

/// Leaves `started-rNNNNN` with this host's name in `directory`, launch.sh's; nothing where that is empty or not here.
/// Call it when signals are handled: launch.sh takes it as leave to send some.
void leave_start_mark(const std::string& directory, std::uint32_t rank, const std::string& host);
/// Leaves `in-init-rNNNNN` in launch.sh's directory for as long as this process is in MPI_Init, where Open MPI may end
/// it with an exit(1) that nothing of ours hears of. Nothing where launch.sh did not start this job.
class InitMark {
public:
    InitMark();
    ~InitMark();
    InitMark(const InitMark&) = delete;

private:
    std::string path_;
};
/// The data set is durable: leaves the RESULT line as `published` in launch.sh's directory, which then ends with 0
/// whatever becomes of this process. Rank 0 calls it; nothing where launch.sh did not start this job, and no failure of
/// it is one of the run.
void announce_published(const std::string& result_line) noexcept;
/// "; where hosts have ..., name the right network": for ranks that started and do not reach each other.
std::string advice_on_networks();
/// "; rank 1 on h2 has never started", by the marks in `directory` and its file `hosts` (a line "RANK HOST" each, as
/// launch.sh plans them), or why nobody can tell; empty without a directory. One that only ranks of this host see
/// proves nothing about others, and is said to be so.
std::string who_never_started(const std::string& directory, std::uint32_t ranks, const std::string& host);

}  // namespace sluice
