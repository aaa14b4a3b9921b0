#include "runtime/topology.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

#include <condition_variable>
#include <map>
#include <mutex>
#include <thread>

#include "runtime/error.hpp"

namespace sluice {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

#ifdef __SANITIZE_THREAD__
constexpr bool kForeignThreads = true;  // hwloc takes the masks of all threads of a process together
#else
constexpr bool kForeignThreads = false;
#endif

/// The mask of the calling thread, put back at the end of the test.
class MaskKeeper {
public:
    MaskKeeper() { ::sched_getaffinity(0, sizeof before_, &before_); }
    ~MaskKeeper() { ::sched_setaffinity(0, sizeof before_, &before_); }
    void restrict_to(unsigned processor) {
        cpu_set_t one;
        CPU_ZERO(&one);
        CPU_SET(processor, &one);
        ASSERT_EQ(::sched_setaffinity(0, sizeof one, &one), 0);
    }

private:
    cpu_set_t before_{};
};

TEST(Topology, TwoPackagesWithSmtListThirtyTwoCoresByPackageAndNode) {
    const Topology topology = Topology::synthetic("Package:2 NUMANode:1 Core:16 PU:2");
    ASSERT_EQ(topology.cores().size(), 32u);
    EXPECT_EQ(topology.numa_nodes(), 2u);
    EXPECT_EQ(topology.packages(), 2u);
    EXPECT_EQ(topology.threads_per_core(), 2u);
    for (unsigned i = 0; i < 32; ++i) {
        const Core& core = topology.cores()[i];
        EXPECT_EQ(core.index, i);
        EXPECT_EQ(core.os_index, 2 * i);
        EXPECT_EQ(core.package, i < 16 ? 0 : 1);
        EXPECT_EQ(core.numa_node, i < 16 ? 0 : 1);
    }
}

TEST(Topology, MachineWithoutCoresCountsItsProcessors) {
    const Topology topology = Topology::synthetic("NUMANode:2 PU:4");
    EXPECT_EQ(topology.cores().size(), 8u);
    EXPECT_EQ(topology.cores().back().numa_node, 1);
    EXPECT_EQ(topology.threads_per_core(), 1u);
}

TEST(Topology, NonsenseDescriptionIsAConfigErrorThatQuotesIt) {
    try {
        (void)Topology::synthetic("a rack of 52");
        FAIL() << "accepted";
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), Errc::config);
        EXPECT_THAT(error.what(), HasSubstr("a rack of 52"));
    }
}

TEST(Topology, DescribedMachineBindsNothingAndKnowsNoDevices) {
    const Topology topology = Topology::synthetic("Package:2 Core:2 PU:1");
    const std::vector<unsigned> before = affinity_of_thread(0);
    EXPECT_FALSE(topology.is_this_system());
    EXPECT_FALSE(topology.bind_this_thread(std::vector<unsigned>{3}));
    EXPECT_EQ(affinity_of_thread(0), before);
    EXPECT_TRUE(topology.affinity_of_this_thread().empty());
    EXPECT_EQ(topology.numa_node_of_path("/"), -1);
}

TEST(Topology, CoresOfThisMachineAreThoseOfTheAffinityMask) {
    const Topology topology = Topology::this_machine();
    ASSERT_TRUE(topology.is_this_system());
    const std::vector<unsigned> mask = affinity_of_thread(0);
    EXPECT_LE(topology.cores().size(), mask.size());
    for (const Core& core : topology.cores()) EXPECT_THAT(mask, ::testing::Contains(core.os_index));
}

TEST(Topology, MaskFromTheLauncherLeavesOneCoreUnderItsMachineWideNumber) {
    if (kForeignThreads) GTEST_SKIP() << "the sanitizer's own thread keeps the old mask";
    const Topology whole = Topology::this_machine();
    const Core last = whole.cores().back();
    MaskKeeper mask;
    mask.restrict_to(last.os_index);
    const Topology topology = Topology::this_machine();
    ASSERT_EQ(topology.cores().size(), 1u);
    EXPECT_EQ(topology.cores()[0].index, last.index);
    EXPECT_EQ(topology.cores()[0].os_index, last.os_index);
    EXPECT_THAT(topology.core_indices(), ElementsAre(last.index));
}

TEST(Topology, BindingStaysWithinTheMaskFromTheLauncher) {
    if (kForeignThreads) GTEST_SKIP() << "the sanitizer's own thread keeps the old mask";
    const Topology whole = Topology::this_machine();
    MaskKeeper mask;
    mask.restrict_to(whole.cores().back().os_index);
    const Topology topology = Topology::this_machine();
    ASSERT_TRUE(topology.bind_this_thread(topology.core_indices()));
    EXPECT_THAT(affinity_of_thread(0), ElementsAre(whole.cores().back().os_index));
}

TEST(Topology, CoreThatIsNotOursIsNamedWhenBindingToIt) {
    MaskKeeper mask;
    const Topology topology = Topology::this_machine();
    try {
        topology.bind_this_thread(std::vector<unsigned>{topology.cores().front().index, 4711});
        FAIL() << "bound to a core that does not exist";
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), Errc::environment);
        EXPECT_THAT(error.what(), HasSubstr("core 4711"));
    }
}

TEST(Topology, AffinityOfRunningThreadsReadFromOutsideIsWhatTheyWereBoundTo) {
    const Topology topology = Topology::this_machine();
    std::mutex mutex;
    std::condition_variable changed;
    std::map<unsigned, pid_t> threads_of_cores;
    bool may_end = false;
    std::vector<std::jthread> threads;
    for (const Core& core : topology.cores()) {
        threads.emplace_back([&, core] {
            EXPECT_TRUE(topology.bind_this_thread(std::vector<unsigned>{core.index}));
            EXPECT_THAT(topology.affinity_of_this_thread(), ElementsAre(core.index));
            std::unique_lock lock(mutex);
            threads_of_cores[core.index] = static_cast<pid_t>(::syscall(SYS_gettid));
            changed.notify_all();
            changed.wait(lock, [&] { return may_end; });
        });
    }
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return threads_of_cores.size() == topology.cores().size(); });
    for (const Core& core : topology.cores()) {
        const std::vector<unsigned> processors = affinity_of_thread(threads_of_cores[core.index]);
        EXPECT_EQ(processors.front(), core.os_index);
        EXPECT_LE(processors.size(), topology.threads_per_core());
    }
    may_end = true;
    changed.notify_all();
}

TEST(Topology, AffinityOfAThreadThatEndedIsAnEnvironmentError) { EXPECT_THROW(affinity_of_thread(0x3FFFFFFF), Error); }

}  // namespace
}  // namespace sluice
