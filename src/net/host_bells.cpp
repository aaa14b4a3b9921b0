#include "net/host_bells.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <new>

#include "net/mpi_environment.hpp"

namespace sluice {
namespace {

/// A page: bells of two ranks in one cache line would slow both.
constexpr std::size_t kBellBytes = 4096;
constexpr const char* kBellPrefix = "sluice-bell-";

std::string path_of(const std::string& name) { return "/dev/shm/" + name; }

/// Found in another rank's words, to be opened here.
bool is_bell_name(const std::string& name) {
    const std::string prefix = kBellPrefix;
    return name.size() == prefix.size() + 32 && name.rfind(prefix, 0) == 0 &&
           name.find_first_not_of("0123456789abcdef", prefix.size()) == std::string::npos;
}

std::string random_name() {
    std::array<std::uint64_t, 2> token{};
    if (::getrandom(&token, sizeof token, 0) != static_cast<ssize_t>(sizeof token)) return "";
    char text[33];
    std::snprintf(text, sizeof text, "%016llx%016llx", static_cast<unsigned long long>(token[0]),
                  static_cast<unsigned long long>(token[1]));
    return std::string(kBellPrefix) + text;
}

SharedBell* map_bell(int fd) {
    void* const memory = ::mmap(nullptr, kBellBytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    return memory == MAP_FAILED ? nullptr : static_cast<SharedBell*>(memory);
}

SharedBell* make_bell(const std::string& name) {
    const int fd = ::open(path_of(name).c_str(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0) return nullptr;
    // Allocated now: where there is no room, the first touch would end the process.
    SharedBell* const bell = ::posix_fallocate(fd, 0, kBellBytes) == 0 ? map_bell(fd) : nullptr;
    ::close(fd);
    if (bell == nullptr) {
        ::unlink(path_of(name).c_str());
    } else {
        new (bell) SharedBell(0);
    }
    return bell;
}

SharedBell* open_bell(const std::string& name) {
    const int fd = is_bell_name(name) ? ::open(path_of(name).c_str(), O_RDWR | O_NOFOLLOW | O_CLOEXEC) : -1;
    if (fd < 0) return nullptr;
    struct stat info {};
    const bool is_whole = ::fstat(fd, &info) == 0 && info.st_size == static_cast<off_t>(kBellBytes);
    SharedBell* const bell = is_whole ? map_bell(fd) : nullptr;
    ::close(fd);
    return bell;
}

}  // namespace

HostBells::HostBells(std::uint32_t rank, std::uint32_t ranks) : rank_(rank), one_host_(ranks == 1) {
    if (ranks == 1) return;
    bells_.resize(ranks);
    name_ = random_name();
    if (!name_.empty()) bells_[rank] = make_bell(name_);
    if (bells_[rank] != nullptr) return;
    name_.clear();
    bells_.clear();
}

HostBells::~HostBells() { close(); }

bool HostBells::find(const std::vector<std::string>& name_by_rank, const std::vector<std::uint32_t>& ranks_here) {
    if (bells_.empty()) return one_host_;  // where there is but one rank
    bool all = true;
    for (const std::uint32_t rank : ranks_here) {
        if (rank != rank_) bells_[rank] = open_bell(name_by_rank[rank]);
        all = all && bells_[rank] != nullptr;
    }
    // Where Open MPI was told to share none, it makes no shared windows either.
    if (all && shares_memory_with_launcher()) return true;
    close();
    return false;
}

void HostBells::settle(bool one_host) {
    if (!name_.empty()) ::unlink(path_of(name_).c_str());
    name_.clear();
    one_host_ = one_host;
}

void HostBells::close() {
    if (!name_.empty()) ::unlink(path_of(name_).c_str());
    name_.clear();
    for (SharedBell* bell : bells_) {
        if (bell != nullptr) ::munmap(bell, kBellBytes);
    }
    bells_.clear();
}

}  // namespace sluice
