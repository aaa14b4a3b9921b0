#include "runtime/arena.hpp"

#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <thread>
#include <vector>

#include "runtime/error.hpp"
#include "runtime/units.hpp"

namespace sluice {
namespace {
constexpr std::uint64_t kHugePage = 2 * kMiB;
constexpr std::uint64_t kSmallPage = 4 * kKiB;
}  // namespace

Arena::Arena(std::uint64_t bytes, const ArenaOptions& options)
    : capacity_(round_up(std::max<std::uint64_t>(bytes, 1), kHugePage)) {
    void* mapped = MAP_FAILED;
    if (options.huge_pages == "on") {
        mapped = ::mmap(nullptr, capacity_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
        if (mapped == MAP_FAILED) {
            throw Error(Errc::environment, "memory.huge_pages = \"on\": cannot map " + format_bytes(capacity_) +
                                               " of 2 MiB pages: " + std::strerror(errno) +
                                               "; reserve them with `sysctl vm.nr_hugepages=" +
                                               std::to_string(capacity_ / kHugePage) + "` or use \"auto\"");
        }
        page_kind_ = "2 MiB pages (reserved)";
    } else {
        mapped = ::mmap(nullptr, capacity_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (mapped == MAP_FAILED) {
            throw Error(Errc::environment, "cannot map " + format_bytes(capacity_) + " of memory for buffers: " +
                                               std::strerror(errno) + "; lower memory.budget or raise `ulimit -v`");
        }
        const bool asked = options.huge_pages == "auto" && ::madvise(mapped, capacity_, MADV_HUGEPAGE) == 0;
        if (!asked) ::madvise(mapped, capacity_, MADV_NOHUGEPAGE);
        page_kind_ = asked ? "2 MiB pages (madvise)" : "4 KiB pages";
    }
    memory_ = static_cast<std::byte*>(mapped);
    if (options.topology != nullptr) options.topology->bind_memory(memory_, capacity_, options.numa_node);
    touch(std::max(1u, options.touch_threads));
}

void Arena::touch(unsigned threads) {
    const std::uint64_t piece = round_up(ceil_div(capacity_, threads), kHugePage);
    const auto work = [this, piece](std::uint64_t first) {
        if (first >= capacity_) return;
        const std::uint64_t bytes = std::min(piece, capacity_ - first);
#ifdef MADV_POPULATE_WRITE
        if (::madvise(memory_ + first, bytes, MADV_POPULATE_WRITE) == 0) return;
#endif
        for (std::uint64_t at = 0; at < bytes; at += kSmallPage)
            *static_cast<volatile std::byte*>(memory_ + first + at) = std::byte{0};
    };
    std::vector<std::thread> helpers;
    for (unsigned i = 1; i < threads; ++i) helpers.emplace_back(work, i * piece);
    work(0);
    for (auto& helper : helpers) helper.join();
}

Arena::~Arena() { ::munmap(memory_, capacity_); }

std::span<std::byte> Arena::take(std::uint64_t bytes, std::uint64_t align, std::string_view what) {
    const std::uint64_t begin = round_up(used_, align);
    if (begin + bytes > capacity_) {
        throw Error(Errc::internal, "arena: pool '" + std::string(what) + "' wants " + format_bytes(bytes) +
                                        ", but only " + format_bytes(capacity_ - begin) + " of " +
                                        format_bytes(capacity_) +
                                        " are left; the plan and the phase disagree, please report this");
    }
    used_ = begin + bytes;
    return {memory_ + begin, bytes};
}

}  // namespace sluice
