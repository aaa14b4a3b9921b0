#include "runtime/arena.hpp"

#include <linux/mman.h>
#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <exception>
#include <fstream>
#include <sstream>
#include <system_error>
#include <thread>
#include <vector>

#include "runtime/errno_text.hpp"
#include "runtime/error.hpp"
#include "runtime/units.hpp"

namespace sluice {
namespace {

constexpr std::uint64_t kHugePage = 2 * kMiB;
constexpr std::uint64_t kSmallPage = 4 * kKiB;
constexpr std::uint64_t kTouchPiece = kHugePage;              // small: it holds the lock that every mmap waits for
constexpr std::uint64_t kForeground = 32 * kMiB;              // what a phase needs at once: its first reads
constexpr std::uint64_t kMostBytes = std::uint64_t{1} << 56;  // beyond any address space; keeps the sums below exact

std::byte* map_bytes(std::uint64_t bytes, int more_flags) {
    void* mapped = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | more_flags, -1, 0);
    return mapped == MAP_FAILED ? nullptr : static_cast<std::byte*>(mapped);
}

/// A mapping that begins at a multiple of 2 MiB, so that no huge page is lost at its ends; nullptr as mmap fails.
std::byte* map_aligned(std::uint64_t bytes) {
    std::byte* const wide = map_bytes(bytes + kHugePage, 0);
    if (wide == nullptr) return nullptr;
    const auto address = reinterpret_cast<std::uintptr_t>(wide);
    const std::uint64_t before = round_up(address, kHugePage) - address, after = kHugePage - before;
    if (before > 0) ::munmap(wide, before);
    if (after > 0) ::munmap(wide + before + bytes, after);
    return wide + before;
}

/// Bytes of the mapping at `address` that lie in transparent huge pages.
std::uint64_t huge_bytes_at(const std::byte* address) {
    std::ifstream maps("/proc/self/smaps");
    std::string line;
    bool ours = false;
    while (std::getline(maps, line)) {
        unsigned long long begin = 0, end = 0, kib = 0;
        if (std::sscanf(line.c_str(), "%llx-%llx ", &begin, &end) == 2) {
            const auto wanted = reinterpret_cast<std::uintptr_t>(address);
            ours = begin <= wanted && wanted < end;
        } else if (ours && std::sscanf(line.c_str(), "AnonHugePages: %llu kB", &kib) == 1) {
            return kib * kKiB;
        }
    }
    return 0;
}

}  // namespace

Arena::Arena(std::uint64_t bytes, const ArenaOptions& options)
    : capacity_(round_up(std::clamp<std::uint64_t>(bytes, 1, kMostBytes), kHugePage)),
      end_(capacity_),
      untouched_(capacity_),
      survives_failure_(options.survives_failure) {
    map(options.huge_pages);
    try {
        if (options.topology != nullptr) options.topology->bind_memory(memory_, capacity_, options.numa_node);
        if (options.touch) {
            const std::uint64_t first = options.background ? std::min(capacity_, kForeground) : capacity_;
            touch(0, first, std::max(1u, options.touch_threads));
            fail_if_short();
            untouched_ = first;
            if (first == capacity_) name_pages_got();
        }
    } catch (...) {
        ::munmap(memory_, capacity_);
        throw;
    }
}

Arena::~Arena() {
    stop_ = true;
    if (background_.joinable()) background_.join();
    if (survives_failure_ && std::uncaught_exceptions() > 0) return;
    ::munmap(memory_, capacity_);
}

void Arena::touch_rest() {
    if (untouched_ == capacity_) return;
    touching_ = true;
    background_ = std::jthread([this, first = untouched_] {
        touch(first, capacity_, 1);
        touching_ = false;
    });
    untouched_ = capacity_;
}

void Arena::finish_touching() {
    touch_rest();
    if (!background_.joinable()) return;
    background_.join();
    fail_if_short();
    name_pages_got();
}

void Arena::map(HugePages huge_pages) {
    if (huge_pages == HugePages::on) {
        memory_ = map_bytes(capacity_, MAP_HUGETLB | MAP_HUGE_2MB);
        if (memory_ == nullptr) {
            throw Error(Errc::environment, "memory.huge_pages = \"on\": cannot map " + format_bytes(capacity_) +
                                               " of 2 MiB pages: " + errno_text(errno) +
                                               "; reserve them with `sysctl vm.nr_hugepages=" +
                                               std::to_string(capacity_ / kHugePage) + "` or use \"auto\"");
        }
        page_kind_ = "2 MiB pages (reserved)";
        return;
    }
    memory_ = map_aligned(capacity_);
    if (memory_ == nullptr) {
        throw Error(Errc::environment, "cannot map " + format_bytes(capacity_) + " of memory for buffers: " +
                                           errno_text(errno) + "; lower memory.budget or raise `ulimit -v`");
    }
    const bool asked = huge_pages == HugePages::automatic && ::madvise(memory_, capacity_, MADV_HUGEPAGE) == 0;
    if (!asked) ::madvise(memory_, capacity_, MADV_NOHUGEPAGE);
    hopes_for_huge_ = asked;
    page_kind_ = asked ? "2 MiB pages (madvise)" : "4 KiB pages";
}

void Arena::touch(std::uint64_t from, std::uint64_t to, unsigned threads) {
    std::atomic<std::uint64_t> next{from};
    const auto work = [&] {
        for (;;) {
            const std::uint64_t first = next.fetch_add(kTouchPiece);
            if (first >= to || stop_ || touch_error_ != 0) return;
            const std::uint64_t bytes = std::min(kTouchPiece, to - first);
#ifdef MADV_POPULATE_WRITE
            // Populating reports a lack of memory; touching would end in a signal.
            if (::madvise(memory_ + first, bytes, MADV_POPULATE_WRITE) == 0) continue;
            if (errno != EINVAL) {
                touch_error_ = errno;
                return;
            }
#endif
            // A kernel older than Linux 5.14. Adding zero keeps what another thread may have written there meanwhile.
            for (std::uint64_t at = 0; at < bytes; at += kSmallPage) {
                __atomic_fetch_add(reinterpret_cast<unsigned char*>(memory_ + first + at), 0, __ATOMIC_RELAXED);
            }
        }
    };
    std::vector<std::jthread> others;
    try {
        for (unsigned i = 1; i < threads; ++i) others.emplace_back(work);
    } catch (const std::system_error&) {  // no more threads: the ones we have do it all
    }
    work();
}

void Arena::fail_if_short() const {
    if (touch_error_ == 0) return;
    throw Error(Errc::environment, "cannot fill " + format_bytes(capacity_) + " of buffers with " + page_kind_ + ": " +
                                       errno_text(touch_error_) + "; lower memory.budget or reserve more huge pages");
}

void Arena::name_pages_got() {
    if (!hopes_for_huge_) return;
    const std::uint64_t huge = huge_bytes_at(memory_);
    if (huge == 0) {
        page_kind_ = "4 KiB pages (the kernel gave no 2 MiB pages)";
    } else if (huge < capacity_) {
        page_kind_ = "2 MiB pages (madvise) for " + std::to_string(huge * 100 / capacity_) + " %, else 4 KiB";
    }
}

std::span<std::byte> Arena::take(std::uint64_t bytes, std::uint64_t align, std::string_view what) {
    const std::uint64_t begin = std::min(round_up(used_, align), end_);
    if (bytes > end_ - begin) fail_to_take(bytes, end_ - begin, what);
    used_ = begin + bytes;
    return {memory_ + begin, bytes};
}

std::span<std::byte> Arena::take_from_end(std::uint64_t bytes, std::uint64_t align, std::string_view what) {
    if (bytes > end_ - used_ || round_down(end_ - bytes, align) < used_) fail_to_take(bytes, end_ - used_, what);
    end_ = round_down(end_ - bytes, align);
    return {memory_ + end_, bytes};
}

void Arena::fail_to_take(std::uint64_t bytes, std::uint64_t left_bytes, std::string_view what) const {
    throw Error(Errc::internal, "arena: pool '" + std::string(what) + "' wants " + format_bytes(bytes) + ", but only " +
                                    format_bytes(left_bytes) + " of " + format_bytes(capacity_) +
                                    " are left; the plan and the phase disagree, please report this");
}

}  // namespace sluice
