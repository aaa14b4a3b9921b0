#include "net/mpi_environment.hpp"

#include <ifaddrs.h>
#include <net/if.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <set>
#include <sstream>

#include "net/copy_agreement.hpp"
#include "runtime/run_status.hpp"

namespace sluice {
namespace {

constexpr const char* kInterfaceFiles = "/sys/class/net/";
/// Inode of the first pid namespace of a machine (PROC_PID_INIT_INO of the kernel).
constexpr const char* kFirstPidNamespace = "pid:[4026531836]";

constexpr const char* kCopyVariable = "OMPI_MCA_btl_vader_single_copy_mechanism";
/// Ranks of a host are started within milliseconds; without copies all goes well too, only slower.
constexpr std::chrono::milliseconds kMostWaitForMarks{2000};

void set(const char* name, const std::string& value) { ::setenv(name, value.c_str(), 0); }
bool is_set(const char* name) { return std::getenv(name) != nullptr; }

std::string text_of(const std::string& path) {
    std::ifstream file(path);
    std::stringstream text;
    text << file.rdbuf();
    return text.str();
}

/// Whether somebody has chosen the networks, in the environment or in Open MPI's files: include and exclude exclude
/// each other.
bool networks_are_chosen() {
    if (is_set("OMPI_MCA_btl_tcp_if_include") || is_set("OMPI_MCA_btl_tcp_if_exclude")) return true;
    const char* home = std::getenv("HOME");
    for (const std::string& path : {std::string("/etc/openmpi/openmpi-mca-params.conf"),
                                    std::string(home != nullptr ? home : "") + "/.openmpi/mca-params.conf"}) {
        std::stringstream lines(text_of(path));
        for (std::string line; std::getline(lines, line);) {
            if (line.substr(0, line.find('#')).find("btl_tcp_if_") != std::string::npos) return true;
        }
    }
    return false;
}

/// Taps and halves of veth pairs lead to what runs on this host; cards, and what stands on a lower interface, lead out.
bool port_leads_out(const std::string& port) {
    const std::string files = kInterfaceFiles + port;
    std::error_code error;
    if (std::filesystem::exists(files + "/device", error)) return true;
    if (std::filesystem::exists(files + "/tun_flags", error)) return false;
    for (const auto& each : std::filesystem::directory_iterator(files, error)) {
        if (each.path().filename().string().rfind("lower_", 0) == 0) return true;
    }
    return text_of(files + "/iflink") == text_of(files + "/ifindex");  // a veth's names the other half
}

bool bridge_leads_out(const std::string& bridge) {
    std::error_code error;
    for (const auto& port : std::filesystem::directory_iterator(kInterfaceFiles + bridge + "/brif", error)) {
        if (port_leads_out(port.path().filename())) return true;
    }
    return false;
}

std::vector<NetworkInterface> interfaces_here() {
    std::vector<NetworkInterface> found;
    ifaddrs* list = nullptr;
    if (::getifaddrs(&list) != 0) return found;
    std::set<std::string> names;
    for (const ifaddrs* each = list; each != nullptr; each = each->ifa_next) {
        const bool has_address = each->ifa_addr != nullptr && each->ifa_addr->sa_family == AF_INET;
        if (!has_address || (each->ifa_flags & IFF_UP) == 0 || !names.insert(each->ifa_name).second) continue;
        NetworkInterface interface;
        interface.name = each->ifa_name;
        std::error_code error;
        interface.is_bridge = std::filesystem::exists(kInterfaceFiles + interface.name + "/bridge", error);
        interface.leads_out = interface.is_bridge && bridge_leads_out(interface.name);
        found.push_back(std::move(interface));
    }
    ::freeifaddrs(list);
    return found;
}

void leave_out_bridges() {
    if (networks_are_chosen()) return;
    std::string names;
    for (const std::string& name : bridges_that_lead_nowhere(interfaces_here())) names += "," + name;
    if (!names.empty()) set("OMPI_MCA_btl_tcp_if_exclude", "127.0.0.1/8,sppp" + names);  // the first two are its own
}

/// Filters of containers refuse the call that copies between processes, even within one.
bool may_copy_between_processes() {
    std::uint64_t token = 0x5a17c0de, copy = 0;
    const iovec to{&copy, sizeof copy}, from{&token, sizeof token};
    return ::process_vm_readv(::getpid(), &to, 1, &from, 1, 0) == static_cast<ssize_t>(sizeof token) && copy == token;
}

/// Open MPI's copies from process to process need the right to trace the other, which user namespaces take away.
std::string namespace_for_copies() {
    if (!is_identity_map(text_of("/proc/self/uid_map")) || !may_copy_between_processes()) return kCopiesNothing;
    std::array<char, 64> name{};
    const ssize_t length = ::readlink("/proc/self/ns/user", name.data(), name.size() - 1);
    return length > 0 ? name.data() : "unknown";
}

/// A daemon that was killed leaves its directory, and one with its process number has the same directory and job name:
/// its address and the time of the launch are others.
std::string job_of_daemon() {
    std::string told;
    for (const char* name : {"PMIX_SERVER_URI2", "PMIX_SERVER_URI3", "SLUICE_LAUNCH_STAMP"}) {
        if (const char* value = std::getenv(name)) told += value;
    }
    return job_name() + "-" + std::to_string(std::hash<std::string>{}(told));
}

/// In the directory that the launcher's daemon makes on each host for its job. Without one, or under a launcher that
/// does not count the ranks of a host, each rank knows of itself only.
bool ranks_of_host_may_copy() {
    const std::string mine = namespace_for_copies();
    const char* directory = std::getenv("PMIX_SERVER_TMPDIR");
    const char* local_rank = std::getenv("OMPI_COMM_WORLD_LOCAL_RANK");
    const char* local_ranks = std::getenv("OMPI_COMM_WORLD_LOCAL_SIZE");
    const bool others = directory != nullptr && local_rank != nullptr && local_ranks != nullptr;
    if (!others || std::strtoul(local_ranks, nullptr, 10) < 2) return mine != kCopiesNothing;
    const CopyMeeting meeting{directory, job_of_daemon(),
                              static_cast<std::uint32_t>(std::strtoul(local_rank, nullptr, 10)),
                              static_cast<std::uint32_t>(std::strtoul(local_ranks, nullptr, 10))};
    return host_agrees_on_copies(meeting, mine, kMostWaitForMarks) && mine != kCopiesNothing;
}

bool is_launcher(const std::string& program) {
    static const std::set<std::string> known = {"mpirun",  "mpiexec", "orterun",   "orted",
                                                "prterun", "prted",   "slurmstepd"};
    return known.count(program) != 0;
}

/// Fourth word of /proc/PID/stat, behind the name in brackets; 0: there is none.
int parent_of(int pid) {
    const std::string stat = text_of("/proc/" + std::to_string(pid) + "/stat");
    const std::size_t close = stat.rfind(") ");
    return close == std::string::npos || close + 4 > stat.size() ? 0 : std::atoi(stat.c_str() + close + 4);
}

}  // namespace

std::vector<std::string> bridges_that_lead_nowhere(const std::vector<NetworkInterface>& interfaces) {
    constexpr std::array kOfContainers = {"docker", "br-", "virbr", "podman", "cni", "lxcbr", "lxdbr"};
    std::vector<std::string> names;
    for (const NetworkInterface& each : interfaces) {
        const bool by_name = std::any_of(kOfContainers.begin(), kOfContainers.end(),
                                         [&](const char* prefix) { return each.name.rfind(prefix, 0) == 0; });
        if (!each.leads_out && (by_name || each.is_bridge)) names.push_back(each.name);
    }
    return names;
}

bool is_identity_map(const std::string& uid_map) {
    std::stringstream words(uid_map);
    std::uint64_t inside = 0, outside = 0, count = 0;
    if (!(words >> inside >> outside >> count)) return true;  // a kernel without user namespaces
    return inside == 0 && outside == 0 && count == 4294967295;
}

bool shares_memory_with_launcher() {
    struct stat mine {};
    if (::stat("/dev/shm", &mine) != 0) return true;  // there is none to differ in
    for (int pid = ::getppid(); pid > 0; pid = parent_of(pid)) {
        const std::string process = "/proc/" + std::to_string(pid);
        struct stat theirs {};
        if (::stat((process + "/root/dev/shm").c_str(), &theirs) == 0 &&
            (theirs.st_dev != mine.st_dev || theirs.st_ino != mine.st_ino))
            return false;
        std::string program = text_of(process + "/comm");
        program.erase(std::find(program.begin(), program.end(), '\n'), program.end());
        if (is_launcher(program)) return true;
    }
    // No launcher among those that can be seen: it may be one that we do not know, or outside of this container.
    std::array<char, 64> name{};
    const ssize_t length = ::readlink("/proc/self/ns/pid", name.data(), name.size() - 1);
    return length <= 0 || std::string(name.data()) == kFirstPidNamespace;
}

void prepare_mpi_environment() {
    // The search for other fabrics takes 0.2 s; who has one names it in the environment.
    set("OMPI_MCA_pml", "ob1");
    const bool shares_memory = shares_memory_with_launcher();
    // Windows: "rdma" puts itself before "sm" and is several times slower on one host; over TCP it cannot run, and
    // Debian's settings switch off "pt2pt", the only one that can.
    set("OMPI_MCA_osc", shares_memory ? "^ucx" : "^ucx,sm");
    set("OMPI_MCA_osc_rdma_priority", "50");
    // Open MPI takes ranks of one host for such that share /dev/shm, and crashes or waits for ever where they do not.
    if (!shares_memory) set("OMPI_MCA_btl", "^uct,openib,ofi,vader");
    if (!is_set(kCopyVariable) && !ranks_of_host_may_copy()) set(kCopyVariable, "none");
    leave_out_bridges();
}

}  // namespace sluice
