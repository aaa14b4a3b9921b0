#include "runtime/process_table.hpp"

#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <sstream>
#include <utility>

namespace sluice {
namespace {

std::string first_word(const std::string& path) {
    std::ifstream file(path);
    std::string word;
    file >> word;
    return word;
}

struct ProcessState {
    char state = 0;  // 0: no such process
    std::uint64_t start_ticks = 0;
};

/// The name in /proc/PID/stat may hold anything, blanks and brackets too: fields are counted from behind it.
ProcessState state_of(const std::string& root, const std::string& pid) {
    std::ifstream file(root + "/proc/" + pid + "/stat");
    std::string line;
    if (!std::getline(file, line)) return {};
    const std::size_t close = line.rfind(") ");
    if (close == std::string::npos) return {};
    constexpr int kFieldsBeforeStart = 18;  // between the state, field 3, and the start time, field 22
    std::istringstream fields(line.substr(close + 2));
    ProcessState found;
    std::string skipped;
    fields >> found.state;
    for (int field = 0; field < kFieldsBeforeStart; ++field) fields >> skipped;
    return fields >> found.start_ticks ? found : ProcessState{};
}

class ProcProcessTable final : public ProcessTable {
public:
    ProcProcessTable(std::string host, std::string root) : root_(std::move(root)) {
        self_.host = std::move(host);
        self_.machine = first_word(root_ + "/etc/machine-id");
        self_.boot = first_word(root_ + "/proc/sys/kernel/random/boot_id");
        struct stat space {};
        if (::stat((root_ + "/proc/self/ns/pid").c_str(), &space) == 0) self_.pid_namespace = space.st_ino;
        self_.pid = static_cast<std::uint64_t>(::getpid());
        self_.start_ticks = state_of(root_, "self").start_ticks;
    }
    ProcessIdentity self() const override { return self_; }
    std::vector<SharedSegment> segments() const override { return mapped_segments(root_); }
    bool is_mapped(const SharedSegment& segment) const override { return is_mapped_by_anyone(segment, root_); }
    bool lives(std::uint64_t pid, std::uint64_t start_ticks) const override {
        const ProcessState found = state_of(root_, std::to_string(pid));
        return found.state != 0 && found.state != 'Z' && found.state != 'X' && found.start_ticks == start_ticks;
    }
    std::optional<std::string> lock_holder(std::uint64_t device, std::uint64_t inode) const override {
        char wanted[64];
        std::snprintf(wanted, sizeof wanted, "%02x:%02x:%llu", major(device), minor(device),
                      static_cast<unsigned long long>(inode));
        std::ifstream locks(root_ + "/proc/locks");
        for (std::string line; std::getline(locks, line);) {
            // "1: FLOCK  ADVISORY  READ 1234 fd:01:5678 0 EOF"
            std::istringstream words(line);
            std::string number, kind, mode, access, pid, file;
            if (words >> number >> kind >> mode >> access >> pid >> file && file == wanted && pid.front() != '-' &&
                pid != std::to_string(self_.pid))
                return command_of(pid) + " (pid " + pid + ")";
        }
        return std::nullopt;
    }

private:
    /// "`sluice sort`": the program's name and its first word.
    std::string command_of(const std::string& pid) const {
        std::ifstream file(root_ + "/proc/" + pid + "/cmdline");
        std::string program, verb;
        std::getline(file, program, '\0');
        std::getline(file, verb, '\0');
        if (program.empty()) return "a process";
        return "`" + program.substr(program.rfind('/') + 1) + (verb.empty() ? "" : " " + verb) + "`";
    }

    std::string root_;
    ProcessIdentity self_;
};

}  // namespace

std::unique_ptr<ProcessTable> make_process_table(std::string host, std::string root) {
    return std::make_unique<ProcProcessTable>(std::move(host), std::move(root));
}

}  // namespace sluice
