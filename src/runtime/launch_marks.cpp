#include "runtime/launch_marks.hpp"

#include <unistd.h>

#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <map>
#include <set>

#include "runtime/error.hpp"
#include "runtime/printable.hpp"

namespace sluice {
namespace {

std::optional<std::uint32_t> number_in(const char* variable) {
    const char* text = std::getenv(variable);
    if (text == nullptr || *text == '\0') return std::nullopt;
    std::uint32_t number = 0;
    const char* const end = text + std::strlen(text);
    const auto read = std::from_chars(text, end, number);
    if (read.ec == std::errc() && read.ptr == end) return number;
    throw Error(Errc::config, std::string(variable) + "='" + printable(text) +
                                  "' is no number of ranks: launchers set it, "
                                  "and this value is from somewhere else; unset " +
                                  variable);
}

std::string mark_of(const std::string& directory, const char* what, std::uint32_t rank) {
    char name[32];
    std::snprintf(name, sizeof name, "/%s-r%05u", what, rank);
    return directory + name;
}

}  // namespace

std::optional<LauncherRanks> launcher_ranks() {
    if (const auto ranks = number_in("OMPI_COMM_WORLD_SIZE")) return LauncherRanks{"OMPI_COMM_WORLD_SIZE", *ranks};
    if (!number_in("PMI_RANK")) return std::nullopt;
    const auto ranks = number_in("PMI_SIZE");
    return ranks ? std::optional(LauncherRanks{"PMI_SIZE", *ranks}) : std::nullopt;
}

LaunchPlace launch_place() {
    LaunchPlace place;
    for (const char* variable : {"OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK"}) {
        const auto rank = number_in(variable);
        if (!rank) continue;
        place.rank = *rank;
        // srun with PMIx tells a task how many there are by its own variable only.
        const auto ranks = launcher_ranks();
        place.ranks = ranks ? ranks->ranks : number_in("SLURM_STEP_NUM_TASKS").value_or(0);
        break;
    }
    return place;
}

void announce_published(const std::string& result_line) noexcept {
    try {
        const char* directory = std::getenv("SLUICE_LAUNCH_STATUS");
        if (directory == nullptr || *directory == '\0' || ::access(directory, W_OK) != 0) return;
        const std::string path = std::string(directory) + "/published", temporary = path + ".tmp";
        if (std::ofstream(temporary) << result_line << '\n' << std::flush)
            ::rename(temporary.c_str(), path.c_str());  // whole, or not there
    } catch (const std::exception&) {                   // the exit code says it as well, where the launcher hands it on
    }
}

void leave_start_mark(const std::string& directory, std::uint32_t rank, const std::string& host) {
    if (directory.empty() || ::access(directory.c_str(), W_OK) != 0) return;
    std::ofstream(mark_of(directory, "started", rank)) << host << '\n';
}

InitMark::InitMark() {
    const char* directory = std::getenv("SLUICE_LAUNCH_STATUS");
    if (directory == nullptr || *directory == '\0' || ::access(directory, W_OK) != 0) return;
    path_ = mark_of(directory, "in-init", launch_place().rank);
    std::ofstream mark(path_);
}

InitMark::~InitMark() {
    if (!path_.empty()) ::unlink(path_.c_str());
}

std::string advice_on_networks() {
    return "; where hosts have interfaces with one address that lead nowhere (bridges such as docker0), name the right "
           "network: OMPI_MCA_btl_tcp_if_include=10.0.0.0/24 (docs/launching.md)";
}

std::string who_never_started(const std::string& directory, std::uint32_t ranks, const std::string& host) {
    if (directory.empty() || ranks == 0 || ::access(directory.c_str(), R_OK) != 0) return "";
    std::map<std::uint32_t, std::string> planned;
    std::ifstream hosts(directory + "/hosts");
    std::string name;
    for (std::uint32_t rank = 0; hosts >> rank >> name;) planned[rank] = name;
    bool others_seen = false, others_planned = planned.empty();
    for (const auto& [rank, where] : planned) others_planned = others_planned || where != host;
    std::string missing;
    for (std::uint32_t rank = 0; rank < ranks; ++rank) {
        std::ifstream mark(mark_of(directory, "started", rank));
        if (mark >> name) {
            others_seen = others_seen || name != host;
            continue;
        }
        const auto where = planned.find(rank);
        missing += (missing.empty() ? "rank " : ", rank ") + std::to_string(rank) +
                   (where != planned.end() ? " on " + where->second : "");
    }
    if (missing.empty()) {
        return "; all ranks have started: one of them does not get through MPI_Init" +
               (others_seen ? advice_on_networks() : "");
    }
    if (others_planned && !others_seen)
        return "; no start mark here of " + missing + ", but only ranks of this host seem to leave theirs in " +
               directory;
    return "; never started: " + missing;
}

}  // namespace sluice
