// ARCHITECTURE.md, Data flow: nothing is allocated inside stage loops. This program counts what its worker threads
// allocate: per phase, per partition and per file they may, per buffer or record they may not. So a sort of four times
// the records, in as many partitions, must make no more allocations.
#include <gtest/gtest.h>
#include <stdlib.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <mutex>

#include "jobs/sort_job.hpp"
#include "net/p2p_transport.hpp"
#include "runtime/fake_processes.hpp"
#include "runtime/rng.hpp"
#include "runtime/stage_kind.hpp"
#include "simulated/in_process.hpp"

namespace {

constexpr int kNoStage = -1, kMostStages = 16;
thread_local int stage_of_thread = kNoStage;
std::array<std::atomic<std::uint64_t>, kMostStages> allocations;

void count_allocation() {
    if (stage_of_thread != kNoStage) ++allocations[static_cast<std::size_t>(stage_of_thread)];
}

}  // namespace

// Every allocation of the program, operator new's too, comes through these.
extern "C" {
void* __libc_malloc(std::size_t);
void* __libc_calloc(std::size_t, std::size_t);
void* __libc_realloc(void*, std::size_t);
void* __libc_memalign(std::size_t, std::size_t);

void* malloc(std::size_t bytes) {
    count_allocation();
    return __libc_malloc(bytes);
}
void* calloc(std::size_t count, std::size_t bytes) {
    count_allocation();
    return __libc_calloc(count, bytes);
}
void* realloc(void* memory, std::size_t bytes) {
    count_allocation();
    return __libc_realloc(memory, bytes);
}
void* aligned_alloc(std::size_t alignment, std::size_t bytes) {
    count_allocation();
    return __libc_memalign(alignment, bytes);
}
void* memalign(std::size_t alignment, std::size_t bytes) {
    count_allocation();
    return __libc_memalign(alignment, bytes);
}
int posix_memalign(void** memory, std::size_t alignment, std::size_t bytes) {
    count_allocation();
    *memory = __libc_memalign(alignment, bytes);
    return *memory != nullptr ? 0 : ENOMEM;
}
}

namespace sluice {
namespace {

std::map<std::string, std::uint64_t> read_and_reset_allocations() {
    std::map<std::string, std::uint64_t> found;
    for (const Word<StageKind>& word : words_of(StageKind{}))
        found[word.text] = allocations.at(static_cast<std::size_t>(word.value)).exchange(0);
    return found;
}

void count_for(const Worker& worker) { stage_of_thread = static_cast<int>(worker.stage); }

struct Outcome {
    std::map<std::string, std::uint64_t> allocations, units;  // by stage
    std::uint64_t records = 0;
};

/// One sort on two ranks of real threads, libaio and a directory on a real disk.
class CountedSort {
public:
    CountedSort(std::uint64_t records, Passes passes) : passes_(passes) {
        char name[] = "/var/tmp/sluice-allocations.XXXXXX";
        if (::mkdtemp(name) == nullptr) throw Error::from_errno(errno, "mkdtemp", name);
        directory_ = name;
        std::vector<std::uint64_t> random(records * 100 / 8);
        Rng rng(records);
        for (std::uint64_t& word : random) word = rng.next();
        std::ofstream(directory_ + "/data", std::ios::binary)
            .write(reinterpret_cast<const char*>(random.data()), static_cast<std::streamsize>(random.size() * 8));
    }
    ~CountedSort() { std::filesystem::remove_all(directory_); }
    CountedSort(const CountedSort&) = delete;

    Outcome run() {
        read_and_reset_allocations();
        ThreadExecutor executor;
        InProcessCluster cluster(executor, 2);
        std::vector<std::unique_ptr<Task>> ranks;
        for (std::uint32_t rank = 0; rank < 2; ++rank) {
            ranks.push_back(executor.spawn("rank", [&, rank] {
                try {
                    run_rank(executor, cluster, rank);
                } catch (const std::exception& error) {
                    cluster.communicator(rank).announce_failure({rank, 1, error.what()});
                    const std::lock_guard lock(mutex_);
                    failures_.push_back(error.what());
                }
            }));
        }
        for (auto& rank : ranks) rank->join();
        if (!failures_.empty()) throw Error(Errc::internal, failures_.front());
        outcome_.allocations = read_and_reset_allocations();
        return outcome_;
    }

private:
    Config make_config() const {
        Config config;
        config.passes = passes_;
        config.disks = {{directory_, DiskRole::intermediate}, {directory_, DiskRole::output}};
        config.input.paths = {directory_ + "/data"};
        config.memory.budget_bytes = 128 << 20;
        config.keys.distribution = SplitterSource::uniform;
        config.partitions.count = 8;
        config.io.direct = DirectIo::attempt;
        config.io.fsync = false;
        config.io.read_size_bytes = config.io.write_size_bytes = 102'400;
        config.net.buffer_size_bytes = 65'536;
        config.stages.distributor.workers = config.stages.logical_disk_distributor.workers = 2;
        config.stages.sorter.workers = 2;
        return config;
    }
    void run_rank(Executor& executor, InProcessCluster& cluster, std::uint32_t rank) {
        const auto io = make_libaio_backend(DirectIo::attempt);
        const auto files = make_real_file_system();
        const Config config = make_config();
        testing::FakeProcesses processes("here", rank + 1);
        JobContext job{.executor = executor,
                       .communicator = cluster.communicator(rank),
                       .doorbell = cluster.doorbell(rank),
                       .io = *io,
                       .files = *files,
                       .processes = processes,
                       .config = config,
                       .place = find_place(cluster.communicator(rank), "here"),
                       .make_transport = {},
                       .make_arena = {},
                       .bind = count_for,
                       .backoff = IdleBackoff(Polling::adaptive),
                       .say = {}};
        job.make_transport = [&](BufferPool& pool, std::uint64_t run_id, ReceiveWindow*) {
            return make_p2p_transport(cluster.wire(rank), pool, run_id);
        };
        job.make_arena = [](std::uint64_t bytes) {
            return std::make_unique<Arena>(bytes, ArenaOptions{HugePages::off, nullptr, -1, 1, false});
        };
        PreparedSort prepared = prepare_sort(job, {.cores = 2, .memory_available_bytes = std::uint64_t{1} << 40});
        const SortResult result = run_sort(job, prepared, {});
        const std::lock_guard lock(mutex_);
        if (rank == 0) outcome_.records = result.output.count;
        for (const PhaseReport* phase : {&result.one, &result.two}) {
            for (const StageReport& stage : phase->stages) outcome_.units[word_of(stage.stage)] += stage.units;
        }
    }

    std::string directory_;
    Passes passes_;
    std::mutex mutex_;
    Outcome outcome_;
    std::vector<std::string> failures_;
};

Outcome sort_of(std::uint64_t records, Passes passes) {
    Outcome outcome = CountedSort(records, passes).run();
    EXPECT_EQ(outcome.records, records);
    return outcome;
}

TEST(AllocationCount, SeesEveryAllocationOfAWorker) {
    ThreadExecutor executor;
    read_and_reset_allocations();
    Pipeline pipeline(executor, count_for);
    std::array<std::unique_ptr<std::uint64_t>, 100> made;
    void* raw = nullptr;
    pipeline.add(StageKind::sorter, 0, [&] {
        for (auto& one : made) one = std::make_unique<std::uint64_t>(1);
        raw = ::malloc(10);
    });
    pipeline.start();
    pipeline.join();
    ::free(raw);
    EXPECT_GE(read_and_reset_allocations().at("sorter"), 101u);
}

class StageLoops : public ::testing::TestWithParam<Passes> {};

TEST_P(StageLoops, AllocateNoMoreForFourTimesTheRecords) {
    constexpr std::uint64_t kRecords = 120'000, kFew = 12;
    sort_of(kRecords, GetParam());  // warm-up: what happens once a process
    const Outcome once = sort_of(kRecords, GetParam()), four_times = sort_of(4 * kRecords, GetParam());
    EXPECT_GT(four_times.units.at("reader"), once.units.at("reader") + 200);
    EXPECT_GT(four_times.units.at("node distributor"), once.units.at("node distributor") + 200);
    for (const auto& [stage, count] : four_times.allocations) {
        // A few may differ by chance: how many parts a writer has open at once is a matter of who is quicker.
        EXPECT_LE(count, once.allocations.at(stage) + kFew) << stage;
    }
}
INSTANTIATE_TEST_SUITE_P(Passes, StageLoops, ::testing::Values(Passes::two, Passes::one));

}  // namespace
}  // namespace sluice
