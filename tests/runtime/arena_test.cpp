#include "runtime/arena.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <fstream>
#include <limits>
#include <string>
#include <vector>

#include "runtime/error.hpp"
#include "runtime/units.hpp"

namespace sluice {
namespace {

using ::testing::AnyOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

ArenaOptions options_of(HugePages huge_pages, unsigned touch_threads = 1, bool touch = true) {
    return {huge_pages, nullptr, -1, touch_threads, touch};
}

std::uint64_t resident_bytes(std::span<std::byte> memory) {
    const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    std::vector<unsigned char> pages(ceil_div(memory.size(), page));
    EXPECT_EQ(::mincore(memory.data(), memory.size(), pages.data()), 0);
    return static_cast<std::uint64_t>(std::count_if(pages.begin(), pages.end(), [](auto p) { return (p & 1) != 0; })) *
           page;
}

std::uint64_t minor_faults() {
    std::ifstream file("/proc/self/stat");
    std::string word;
    for (int i = 0; i < 10; ++i) file >> word;  // minflt is the tenth; no blank in this program's name
    return std::stoull(word);
}

/// Without the sanitizers' own memory accesses, which would be counted as page faults of the arena.
__attribute__((no_sanitize("address", "thread"))) void write_a_byte_per_page(std::span<std::byte> memory) {
    volatile std::byte* const bytes = memory.data();
    for (std::size_t at = 0; at < memory.size(); at += 4096) bytes[at] = std::byte{1};
}

TEST(Arena, EveryPageIsTouchedAtConstructionByAnyNumberOfThreads) {
    for (const unsigned threads : {1u, 2u, 5u}) {
        Arena arena(130 * kMiB, options_of(HugePages::off, threads));
        const auto all = arena.take(arena.capacity_bytes(), 4096, "all");
        EXPECT_EQ(resident_bytes(all), arena.capacity_bytes()) << threads;
        EXPECT_EQ(arena.page_kind(), "4 KiB pages");
    }
}

TEST(Arena, WritingToItTakesNoPageFault) {
    Arena arena(16 * kMiB, options_of(HugePages::off));
    const auto all = arena.take(arena.capacity_bytes(), 4096, "all");
    const std::uint64_t before = minor_faults();
    write_a_byte_per_page(all);
    EXPECT_LT(minor_faults() - before, 64u) << "4096 pages were touched again";
}

TEST(Arena, UntouchedArenaHasNoPagesYet) {
    Arena arena(16 * kMiB, options_of(HugePages::off, 1, false));
    EXPECT_EQ(resident_bytes(arena.take(16 * kMiB, 4096, "all")), 0u);
}

TEST(Arena, BeginsOnAHugePageAndRoundsUpToWholeOnes) {
    Arena arena(2 * kMiB + 1, options_of(HugePages::automatic));
    EXPECT_EQ(arena.capacity_bytes(), 4 * kMiB);
    const auto first = arena.take(1, 4096, "first");
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(first.data()) % (2 * kMiB), 0u);
    EXPECT_THAT(arena.page_kind(), AnyOf(StartsWith("2 MiB pages (madvise)"), StartsWith("4 KiB pages")));
}

TEST(Arena, SpansAreAlignedDisjointAndCounted) {
    Arena arena(4 * kMiB, options_of(HugePages::off));
    const auto first = arena.take(100, 4096, "first"), second = arena.take(5000, 4096, "second"),
               third = arena.take(64, 64, "third");
    EXPECT_EQ(first.size(), 100u);
    EXPECT_EQ(second.data() - first.data(), 4096);
    EXPECT_EQ(third.data() - second.data(), 5056);  // 5000, rounded up to 64
    EXPECT_EQ(arena.used_bytes(), 4096u + 5056 + 64);
}

TEST(Arena, ResetGivesTheSameTouchedMemoryToTheNextPhase) {
    Arena arena(4 * kMiB, options_of(HugePages::off));
    const auto before = arena.take(4 * kMiB, 4096, "phase one");
    arena.reset();
    EXPECT_EQ(arena.used_bytes(), 0u);
    const auto after = arena.take(4 * kMiB, 4096, "phase two");
    EXPECT_EQ(after.data(), before.data());
    EXPECT_EQ(resident_bytes(after), 4 * kMiB);
}

TEST(Arena, TakingTooMuchIsAnInternalErrorWithPoolAndSizes) {
    Arena arena(4 * kMiB, options_of(HugePages::off));
    (void)arena.take(3 * kMiB, 4096, "send");
    for (const std::uint64_t bytes : {2 * kMiB, std::numeric_limits<std::uint64_t>::max()}) {
        try {
            (void)arena.take(bytes, 4096, "receive");
            FAIL() << "given";
        } catch (const Error& error) {
            EXPECT_EQ(error.code(), Errc::internal);
            EXPECT_THAT(error.what(), HasSubstr("'receive'"));
            EXPECT_THAT(error.what(), HasSubstr("only 1MiB of 4MiB"));
        }
    }
    EXPECT_EQ(arena.take(kMiB, 4096, "receive").size(), kMiB) << "a refusal takes nothing";
}

// F20
TEST(Arena, MoreThanTheAddressSpaceIsAnEnvironmentErrorWithTheNumber) {
    for (const std::uint64_t bytes : {kGiB << 20, std::numeric_limits<std::uint64_t>::max()}) {
        try {
            Arena arena(bytes, options_of(HugePages::automatic));
            FAIL() << "mapped";
        } catch (const Error& error) {
            EXPECT_EQ(error.code(), Errc::environment);
            EXPECT_THAT(error.what(), HasSubstr("PiB"));
            EXPECT_THAT(error.what(), HasSubstr("memory.budget"));
        }
    }
}

// F20
TEST(Arena, DemandedHugePagesThatAreNotReservedAreAnEnvironmentErrorThatSaysHowMany) {
    std::uint64_t free_pages = 0;
    std::ifstream("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages") >> free_pages;
    const std::uint64_t pages = free_pages + (kGiB << 8) / (2 * kMiB);  // 256 TiB more
    try {
        Arena arena(pages * 2 * kMiB, options_of(HugePages::on));
        FAIL() << "mapped";
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), Errc::environment);
        EXPECT_THAT(error.what(), HasSubstr("vm.nr_hugepages=" + std::to_string(pages)));
        EXPECT_THAT(error.what(), HasSubstr("\"auto\""));
    }
}

TEST(Arena, NodeOfAMachineWithOneIsNothingToBindTo) {
    const Topology topology = Topology::this_machine();
    Arena arena(4 * kMiB, {HugePages::off, &topology, 0, 1, true});
    EXPECT_EQ(resident_bytes(arena.take(4 * kMiB, 4096, "all")), 4 * kMiB);
}

TEST(Arena, WhatIsTakenFromTheEndOutlivesResetAndIsNeverHandedOutAgain) {
    Arena arena(4 * kMiB, ArenaOptions{HugePages::off, nullptr, -1, 1, false});
    const auto kept = arena.take_from_end(kMiB + 1, 4096, "kept");
    ASSERT_EQ(kept.size(), kMiB + 1);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(kept.data()) % 4096, 0u);
    kept.front() = kept.back() = std::byte{7};
    for (int phase = 0; phase < 2; ++phase) {
        arena.reset();
        const auto rest = arena.take(arena.phase_bytes(), 1, "rest");
        EXPECT_TRUE(rest.data() + rest.size() <= kept.data());
        std::fill(rest.begin(), rest.end(), std::byte{1});
        EXPECT_THROW(arena.take(1, 1, "more"), Error);
        EXPECT_THROW(arena.take_from_end(1, 1, "more"), Error);
    }
    EXPECT_TRUE(kept.front() == std::byte{7} && kept.back() == std::byte{7});
}

TEST(Arena, RestIsTouchedWhenAskedForOrWaitedFor) {
    for (const bool asked : {true, false}) {
        ArenaOptions options{HugePages::off, nullptr, -1, 1};
        options.background = true;
        Arena arena(64 * kMiB, options);
        const auto memory = arena.take(64 * kMiB, 4096, "all");
        EXPECT_EQ(resident_bytes(memory), 32 * kMiB);
        if (asked) arena.touch_rest();
        arena.finish_touching();
        EXPECT_EQ(resident_bytes(memory), 64 * kMiB);
        EXPECT_FALSE(arena.touching());
    }
}

}  // namespace
}  // namespace sluice
