// Why a data set is not published, or its MANIFEST, comes to all ranks.
#include "jobs/last_word.hpp"

#include <gtest/gtest.h>
#include <zlib.h>

#include <cstdio>
#include <fstream>

#include "jobs/conservation.hpp"
#include "plan/one_rank_job.hpp"
#include "runtime/thread_clock.hpp"
#include "simulated/in_process.hpp"

namespace sluice::testing {
namespace {

template <typename Body>
void on_ranks(std::uint32_t ranks, Body body) {
    ThreadExecutor executor;
    InProcessCluster cluster(executor, ranks);
    std::vector<std::unique_ptr<Task>> tasks;
    for (std::uint32_t rank = 0; rank < ranks; ++rank)
        tasks.push_back(executor.spawn("rank-" + std::to_string(rank), [&, rank] { body(cluster, rank); }));
    for (auto& task : tasks) task->join();
}

TEST(LastWord, ProblemsOfAnyRankAreOneErrorOnAll) {
    const std::vector<Problems> problems = {{}, {{Errc::integrity, "lost"}}, {{Errc::config, "taken"}}};
    on_ranks(3, [&](InProcessCluster& cluster, std::uint32_t rank) {
        bool was_made = false, was_kept = false, is_collective = false;
        const auto refusal = refusal_of([&] {
            try {
                tell_last_word(
                    cluster.communicator(rank), rank == 0 ? problems : std::vector<Problems>(),
                    [&](std::size_t, const TakePiece&) { was_made = true; }, [&](auto) { was_kept = true; });
            } catch (const CollectiveError&) {
                is_collective = true;
                throw;
            }
        });
        EXPECT_EQ(refusal.code, 2) << "the lowest";
        EXPECT_EQ(refusal.text, "rank 1: lost\nrank 2: taken");
        EXPECT_TRUE(is_collective);
        EXPECT_FALSE(was_made || was_kept) << "nothing of a manifest is made, sent or written";
    });
}

TEST(LastWord, PiecesComeToAllRanksInTheirOrder) {
    on_ranks(3, [&](InProcessCluster& cluster, std::uint32_t rank) {
        std::vector<std::string> kept;
        tell_last_word(
            cluster.communicator(rank), std::vector<Problems>(rank == 0 ? 3 : 0),
            [&](std::size_t piece_bytes, const TakePiece& take) {
                EXPECT_EQ(rank, 0u);
                EXPECT_EQ(piece_bytes, kManifestPieceBytes);
                take("one", false);
                take("two", false);
                take("", true);
            },
            [&](std::string_view piece) { kept.emplace_back(piece); });
        EXPECT_EQ(kept, (std::vector<std::string>{"one", "two", ""}));
    });
}

std::uint64_t status_bytes(const char* name) {
    std::ifstream status("/proc/self/status");
    for (std::string word; status >> word;) {
        std::uint64_t kilobytes = 0;
        if (word == name && status >> kilobytes) return kilobytes << 10;
    }
    return 0;
}
/// From now on VmHWM tells of what comes. False where the kernel has no such thing.
bool forget_peak_resident() {
    std::ofstream("/proc/self/clear_refs") << "5";
    return status_bytes("VmHWM:") < status_bytes("VmRSS:") + (1 << 20);
}

/// All of a large sort's parts from their ranks' accounts to the manifest, but for writing it.
TEST(ManifestScale, OfAMillionPartsTakesLessThanAHundredMegabytes) {
#ifdef __SANITIZE_ADDRESS__
    GTEST_SKIP() << "a sanitizer's memory would be counted as well";
#endif
#ifdef __SANITIZE_THREAD__
    GTEST_SKIP() << "a sanitizer's memory would be counted as well";
#endif
    constexpr std::uint32_t kRanks = 2, kParts = 1 << 20, kEach = kParts / kRanks;
    std::vector<RankAccount> accounts(kRanks);
    for (std::uint32_t rank = 0; rank < kRanks; ++rank) {
        accounts[rank].output.parts.resize(kEach);
        for (std::uint32_t i = 0; i < kEach; ++i) {
            PartFact& part = accounts[rank].output.parts[i];
            part.partition = rank * kEach + i;
            part.disk = i % 8;
            part.set_sum({1'000'000 + i % 1000, Uint128{0x7fff'ffff} * 1'000'000});
        }
    }
    if (!forget_peak_resident()) GTEST_SKIP() << "this kernel does not forget a peak of resident memory";
    const std::uint64_t before = status_bytes("VmRSS:");
    OneRankJob here;
    InputSet input;
    std::uint64_t text_bytes[kRanks] = {}, pieces = 0;
    unsigned long crc[kRanks] = {};
    double cpu_s = 0;
    on_ranks(kRanks, [&](InProcessCluster& cluster, std::uint32_t rank) {
        JobContext job = here.job_on(cluster, rank);
        const std::uint64_t begin_ns = thread_cpu_ns();
        const SortAccount account = gather_account(job, std::move(accounts[rank]), input);
        DataSet set;
        set.kind = SetKind::sorted;
        set.disks.resize(8);
        const auto each_file = [&](const TakeFile& take) {
            DataFile file;
            file.position = 0;
            for (const RankOutput& one : account.output) {
                for (const PartFact& part : one.parts) {
                    file.disk = part.disk;
                    file.name = "part-" + std::to_string(part.partition);
                    file.sum = part.sum();
                    file.bytes = part.records * 100;
                    take(file);
                    ++file.position;
                }
            }
        };
        tell_last_word(
            job.communicator, account.problems,
            [&](std::size_t piece_bytes, const TakePiece& take) {
                make_manifest(set, each_file, piece_bytes, [&](std::string_view piece, bool is_last) {
                    ++pieces;
                    take(piece, is_last);
                });
            },
            [&](std::string_view piece) {
                EXPECT_LE(piece.size(), std::size_t{4} << 20);
                text_bytes[rank] += piece.size();
                crc[rank] = ::crc32_z(crc[rank], reinterpret_cast<const unsigned char*>(piece.data()), piece.size());
            });
        if (rank == 0) cpu_s = static_cast<double>(thread_cpu_ns() - begin_ns) * 1e-9;
    });
    // The kernel counts the peak now and then, so that it may lag behind.
    const std::uint64_t extra = std::max(status_bytes("VmHWM:"), before) - before;
    std::printf("%u parts: %.0f MB of text in %llu pieces, %.1f CPU seconds on rank 0, %.1f MB extra resident\n",
                kParts, static_cast<double>(text_bytes[0]) * 1e-6, static_cast<unsigned long long>(pieces), cpu_s,
                static_cast<double>(extra) * 1e-6);
    EXPECT_GT(text_bytes[0], std::uint64_t{150} << 20);
    EXPECT_EQ(text_bytes[1], text_bytes[0]);
    EXPECT_EQ(crc[1], crc[0]);
    EXPECT_LT(extra, std::uint64_t{100'000'000}) << "of both ranks together";
}

}  // namespace
}  // namespace sluice::testing
