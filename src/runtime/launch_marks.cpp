#include "runtime/launch_marks.hpp"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <map>
#include <set>

namespace sluice {
namespace {

std::uint32_t number_in(const char* variable, const char* other) {
    const char* text = std::getenv(variable);
    if (text == nullptr) text = std::getenv(other);
    return text == nullptr ? 0 : static_cast<std::uint32_t>(std::strtoul(text, nullptr, 10));
}

std::string mark_of(const std::string& directory, std::uint32_t rank) {
    char name[32];
    std::snprintf(name, sizeof name, "/started-r%05u", rank);
    return directory + name;
}

}  // namespace

LaunchPlace launch_place() {
    return {number_in("OMPI_COMM_WORLD_RANK", "SLURM_PROCID"), number_in("OMPI_COMM_WORLD_SIZE", "SLURM_NTASKS")};
}

void leave_start_mark(const std::string& directory, std::uint32_t rank, const std::string& host) {
    if (directory.empty() || ::access(directory.c_str(), W_OK) != 0) return;
    std::ofstream(mark_of(directory, rank)) << host << '\n';
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
        std::ifstream mark(mark_of(directory, rank));
        if (mark >> name) {
            others_seen = others_seen || name != host;
            continue;
        }
        const auto where = planned.find(rank);
        missing += (missing.empty() ? "rank " : ", rank ") + std::to_string(rank) +
                   (where != planned.end() ? " on " + where->second : "");
    }
    if (missing.empty()) return "; all ranks have started: one of them does not get through MPI_Init";
    if (others_planned && !others_seen)
        return "; no start mark here of " + missing + ", but only ranks of this host seem to leave theirs in " +
               directory;
    return "; never started: " + missing;
}

}  // namespace sluice
