#include "runtime/live_jobs.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <thread>

#include "runtime/bounded_text.hpp"

namespace sluice {
namespace {

constexpr std::size_t kMostBytes = 64 * 1024;  // of a record: the cores of a large host
constexpr const char* kPrefix = "job-";

/// A directory that only we may write; -1: none.
int open_own_directory(const std::string& path) {
    const int fd = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    struct stat info {};
    if (fd >= 0 && ::fstat(fd, &info) == 0 && info.st_uid == ::geteuid() && (info.st_mode & 0077) == 0) return fd;
    if (fd >= 0) ::close(fd);
    return -1;
}

/// "job-PID-TICKS"; whatever else lies there is nobody's claim.
bool is_claim_name(const std::string& name) {
    const std::size_t pid = std::string(kPrefix).size(), dash = name.find('-', pid);
    const auto is_number = [](const std::string& text) {
        return !text.empty() && text.find_first_not_of("0123456789") == std::string::npos;
    };
    return name.rfind(kPrefix, 0) == 0 && dash != std::string::npos && is_number(name.substr(pid, dash - pid)) &&
           is_number(name.substr(dash + 1));
}

bool is_own_file(int fd) {
    struct stat info {};
    return ::fstat(fd, &info) == 0 && S_ISREG(info.st_mode) && info.st_uid == ::geteuid() && info.st_nlink == 1;
}

std::string text_of(const JobClaim& claim) {
    return nlohmann::json{{"job", claim.job},
                          {"verb", claim.verb},
                          {"pid", claim.pid},
                          {"start_ticks", claim.start_ticks},
                          {"ranks", claim.ranks},
                          {"cores", claim.cores},
                          {"memory_bytes", claim.memory_bytes}}
        .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::optional<JobClaim> read_claim(int fd) {
    std::string text(kMostBytes, '\0');
    const ssize_t got = ::pread(fd, text.data(), text.size(), 0);
    if (got <= 0) return std::nullopt;
    text.resize(static_cast<std::size_t>(got));
    try {
        const auto document = parse_bounded_json(text);
        JobClaim claim;
        claim.job = document.at("job");
        claim.verb = document.at("verb");
        claim.pid = document.at("pid");
        claim.start_ticks = document.at("start_ticks");
        claim.ranks = document.at("ranks");
        claim.cores = document.at("cores").get<std::vector<unsigned>>();
        claim.memory_bytes = document.at("memory_bytes");
        return claim;
    } catch (const nlohmann::json::exception&) {  // being written this moment: its job counts from the next look on
    } catch (const Error&) {                      // nests as no record of ours does
    }
    return std::nullopt;
}

std::uint64_t resident_bytes_of(std::uint64_t pid) {
    std::ifstream file("/proc/" + std::to_string(pid) + "/statm");
    std::uint64_t mapped = 0, resident = 0;
    file >> mapped >> resident;
    return resident * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

}  // namespace

LiveJobs::Turn::~Turn() {
    if (descriptor_ >= 0) ::close(descriptor_);
}

LiveJobs::LiveJobs(std::string directory, const ProcessTable& processes)
    : directory_(std::move(directory)), processes_(processes) {}

LiveJobs::~LiveJobs() {
    if (own_ < 0) return;
    if (const int directory = open_own_directory(directory_); directory >= 0) {
        ::unlinkat(directory, own_name_.c_str(), 0);
        ::close(directory);
    }
    ::close(own_);
    ::rmdir(directory_.c_str());  // the last one's call succeeds
}

std::unique_ptr<LiveJobs::Turn> LiveJobs::take_turn(std::uint64_t milliseconds) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(milliseconds);
    while (!directory_.empty()) {
        if (::mkdir(directory_.c_str(), 0700) != 0 && errno != EEXIST) break;
        const int fd = open_own_directory(directory_);
        if (fd < 0 && errno != ENOENT) break;
        struct stat held {
        }, there{};
        if (fd >= 0 && ::flock(fd, LOCK_EX | LOCK_NB) == 0 && ::fstat(fd, &held) == 0 &&
            ::stat(directory_.c_str(), &there) == 0 && held.st_ino == there.st_ino)
            return std::make_unique<Turn>(fd);
        if (fd >= 0) ::close(fd);  // another has it, or the last job has just removed it
        if (std::chrono::steady_clock::now() >= end) break;
        std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    return std::make_unique<Turn>(-1);
}

std::vector<JobClaim> LiveJobs::others(const std::string& own_job) const {
    std::vector<JobClaim> found;
    const int directory = directory_.empty() ? -1 : open_own_directory(directory_);
    if (directory < 0) return found;
    const std::unique_ptr<DIR, int (*)(DIR*)> listing(::fdopendir(directory), &::closedir);
    if (!listing) ::close(directory);
    while (const dirent* entry = listing ? ::readdir(listing.get()) : nullptr) {
        const std::string name = entry->d_name;
        if (!is_claim_name(name) || name == own_name_) continue;
        const int fd = ::openat(directory, name.c_str(), O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        if (fd < 0) continue;
        auto claim = is_own_file(fd) ? read_claim(fd) : std::nullopt;
        if (claim && ::flock(fd, LOCK_EX | LOCK_NB) == 0) {  // nobody holds it any more
            ::unlinkat(directory, name.c_str(), 0);
        } else if (claim && claim->job != own_job) {
            const bool known = processes_.lives(claim->pid, claim->start_ticks);
            claim->resident_bytes = known ? resident_bytes_of(claim->pid) * claim->ranks : 0;
            claim->resident_bytes = std::min(claim->resident_bytes, claim->memory_bytes);
            found.push_back(std::move(*claim));
        }
        ::close(fd);
    }
    return found;
}

bool LiveJobs::sees_own_job(const std::string& own_job) const {
    const auto all = others("");
    return std::any_of(all.begin(), all.end(), [&](const JobClaim& claim) { return claim.job == own_job; });
}

void LiveJobs::claim(const JobClaim& claim) {
    if (directory_.empty()) return;
    if (own_ < 0) {
        const int directory = open_own_directory(directory_);
        if (directory < 0) return;
        own_name_ = kPrefix + std::to_string(claim.pid) + "-" + std::to_string(claim.start_ticks);
        // Locked before it has its name: a record without a lock is a dead job's.
        const std::string made = ".new-" + own_name_;
        ::unlinkat(directory, made.c_str(), 0);
        own_ = ::openat(directory, made.c_str(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        const bool locked = own_ >= 0 && ::flock(own_, LOCK_EX | LOCK_NB) == 0;
        const bool named = locked && ::renameat(directory, made.c_str(), directory, own_name_.c_str()) == 0;
        if (!named) {
            ::unlinkat(directory, made.c_str(), 0);
            if (own_ >= 0) ::close(own_);
            own_ = -1;
        }
        ::close(directory);
    }
    if (own_ < 0) return;
    const std::string text = text_of(claim);
    // Best effort: without it other jobs do not see this one.
    [[maybe_unused]] const bool said = ::ftruncate(own_, 0) == 0 && ::pwrite(own_, text.data(), text.size(), 0) > 0;
}

std::string live_jobs_directory() {
    const char* const runtime = std::getenv("XDG_RUNTIME_DIR");
    if (runtime != nullptr && ::access(runtime, W_OK | X_OK) == 0) return std::string(runtime) + "/sluice-jobs";
    if (::access("/dev/shm", W_OK | X_OK) == 0) return "/dev/shm/sluice-jobs-" + std::to_string(::geteuid());
    return "";
}

}  // namespace sluice
