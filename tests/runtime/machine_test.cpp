#include "runtime/machine.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "runtime/topology.hpp"
#include "runtime/units.hpp"

namespace sluice {
namespace {

namespace fs = std::filesystem;

/// A described host under a folder of its own, removed at the end.
class Machine : public ::testing::Test {
protected:
    Machine() {
        std::string name = (fs::temp_directory_path() / "sluice-machine-XXXXXX").string();
        root_ = ::mkdtemp(name.data());
        write("proc/meminfo", "MemTotal:       65536000 kB\nMemFree:         1000 kB\nMemAvailable:   50000000 kB\n");
    }
    ~Machine() override { fs::remove_all(root_); }

    void write(const std::string& path, const std::string& text) {
        fs::create_directories((root_ / path).parent_path());
        std::ofstream(root_ / path) << text;
    }
    void mount_version1(const std::string& visible_group) {
        write("proc/self/mountinfo",
              "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755\n"
              "32 31 0:29 " +
                  visible_group +
                  " /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n"
                  "35 31 0:32 " +
                  visible_group + " /sys/fs/cgroup/memory rw,relatime shared:9 - cgroup cgroup rw,memory\n");
    }
    void mount_version2(const std::string& point) {
        write("proc/self/mountinfo", "41 31 0:38 / " + point + " rw,relatime - cgroup2 cgroup2 rw\n");
    }
    std::uint64_t available() const { return read_machine_limits(root_.string()).memory_available_bytes; }

    fs::path root_;
};

constexpr std::uint64_t kHostAvailable = 50000000ULL * 1024;

TEST_F(Machine, WithoutCgroupsTheHostsFiguresCount) {
    write("proc/sys/fs/aio-max-nr", "1048576\n");
    write("proc/sys/fs/aio-nr", "2048\n");
    write("proc/cpuinfo", "processor\t: 0\nmodel name\t: Test CPU @ 3.0 GHz\n\nprocessor\t: 1\n");
    const MachineLimits limits = read_machine_limits(root_.string());
    EXPECT_EQ(limits.memory_total_bytes, 65536000ULL * 1024);
    EXPECT_EQ(limits.memory_available_bytes, kHostAvailable);
    EXPECT_EQ(limits.aio_max, 1048576u);
    EXPECT_EQ(limits.aio_used, 2048u);
    EXPECT_EQ(limits.cpu_model, "Test CPU @ 3.0 GHz");
}

TEST_F(Machine, ProcessorTimeIsThatOfTheTightestGroup) {
    mount_version2("/sys/fs/cgroup");
    write("proc/self/cgroup", "0::/job/step\n");
    EXPECT_EQ(read_machine_limits(root_.string()).cgroup_cores, 0) << "nothing limits it";
    write("sys/fs/cgroup/job/step/cpu.max", "max 100000\n");
    EXPECT_EQ(read_machine_limits(root_.string()).cgroup_cores, 0);
    write("sys/fs/cgroup/job/cpu.max", "400000 100000\n");
    EXPECT_EQ(read_machine_limits(root_.string()).cgroup_cores, 4);
    write("sys/fs/cgroup/job/step/cpu.max", "150000 100000\n");
    EXPECT_EQ(read_machine_limits(root_.string()).cgroup_cores, 1.5);
}
TEST_F(Machine, ProcessorTimeOfVersionOneGroups) {
    mount_version1("/");
    write("proc/self/cgroup", "5:cpu:/job\n");
    write("sys/fs/cgroup/cpu/job/cpu.cfs_period_us", "100000\n");
    write("sys/fs/cgroup/cpu/job/cpu.cfs_quota_us", "-1\n");
    EXPECT_EQ(read_machine_limits(root_.string()).cgroup_cores, 0);
    write("sys/fs/cgroup/cpu/job/cpu.cfs_quota_us", "800000\n");
    EXPECT_EQ(read_machine_limits(root_.string()).cgroup_cores, 8);
}
TEST_F(Machine, Version2GroupHasItsLimitLessWhatItUses) {
    mount_version2("/sys/fs/cgroup");
    write("proc/self/cgroup", "0::/job/step\n");
    write("sys/fs/cgroup/job/step/memory.max", "8589934592\n");
    write("sys/fs/cgroup/job/step/memory.current", "1073741824\n");
    EXPECT_EQ(available(), 7 * kGiB);
}

TEST_F(Machine, Version2ParentWithLessLeftDecides) {
    mount_version2("/sys/fs/cgroup");
    write("proc/self/cgroup", "0::/job/step\n");
    write("sys/fs/cgroup/job/step/memory.max", "max\n");
    write("sys/fs/cgroup/job/step/memory.current", "4096\n");
    write("sys/fs/cgroup/job/memory.max", "4294967296\n");
    write("sys/fs/cgroup/job/memory.current", "1073741824\n");
    EXPECT_EQ(available(), 3 * kGiB);
}

TEST_F(Machine, CachedFilesOfAGroupCountAsFree) {
    mount_version2("/sys/fs/cgroup");
    write("proc/self/cgroup", "0::/\n");
    write("sys/fs/cgroup/memory.max", "4294967296\n");
    write("sys/fs/cgroup/memory.current", "4294967296\n");
    write("sys/fs/cgroup/memory.stat",
          "anon 1073741824\nfile 3221225472\nactive_file 1073741824\n"
          "inactive_file 2147483648\nworkingset_refault_file 7\n");
    EXPECT_EQ(available(), 3 * kGiB);
}

TEST_F(Machine, Version1GroupWithParentsHasTheLeastOfThem) {
    mount_version1("/");
    write("proc/self/cgroup", "9:name=systemd:/\n4:memory:/outer/inner\n3:cpuset:/\n0::/\n");
    write("sys/fs/cgroup/memory/outer/inner/memory.limit_in_bytes", "9223372036854771712\n");
    write("sys/fs/cgroup/memory/outer/memory.limit_in_bytes", "2147483648\n");
    write("sys/fs/cgroup/memory/outer/memory.usage_in_bytes", "1610612736\n");
    write("sys/fs/cgroup/memory/outer/memory.stat", "total_inactive_file 536870912\ntotal_active_file 0\n");
    EXPECT_EQ(available(), kGiB);
}

TEST_F(Machine, Version1ContainerThatSeesOnlyItsOwnGroupFindsItAtTheMount) {
    mount_version1("/docker/abc");
    write("proc/self/cgroup", "4:cpu,memory:/docker/abc/worker\n");
    write("sys/fs/cgroup/memory/worker/memory.limit_in_bytes", "1073741824\n");
    EXPECT_EQ(available(), kGiB);
    write("sys/fs/cgroup/memory/memory.limit_in_bytes", "536870912\n");
    EXPECT_EQ(available(), kGiB / 2);
}

TEST_F(Machine, HybridHostFindsVersion2AtItsOwnMount) {
    mount_version2("/sys/fs/cgroup/unified");
    write("proc/self/cgroup", "0::/\n");
    write("sys/fs/cgroup/unified/memory.max", "1073741824\n");
    EXPECT_EQ(available(), kGiB);
}

TEST_F(Machine, UsageBeyondTheLimitLeavesNothing) {
    mount_version2("/sys/fs/cgroup");
    write("proc/self/cgroup", "0::/../elsewhere\n");  // as a process moved out of its namespace sees itself
    write("sys/fs/cgroup/memory.max", "1000000\n");
    write("sys/fs/cgroup/memory.current", "1000001\n");
    EXPECT_EQ(available(), 0u);
}

TEST_F(Machine, NothingReadableGivesZerosAndNoException) {
    const MachineLimits limits = read_machine_limits("/nonexistent");
    EXPECT_EQ(limits.memory_total_bytes, 0u);
    EXPECT_EQ(limits.memory_available_bytes, 0u);
    EXPECT_NE(limits.memory_note.find("/proc/meminfo cannot be read"), std::string::npos) << limits.memory_note;
    EXPECT_FALSE(limits.kernel.empty());
    EXPECT_FALSE(limits.cpu_model.empty()) << "the architecture stands in";
}

TEST(ThisMachine, LimitsAreThoseOfTheSystemCalls) {
    const MachineLimits limits = read_machine_limits();
    EXPECT_GT(limits.memory_available_bytes, 0u);
    EXPECT_EQ(limits.memory_note, "");
    EXPECT_LE(limits.memory_available_bytes, limits.memory_total_bytes);
    rlimit files{};
    ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &files), 0);
    EXPECT_EQ(limits.open_files, files.rlim_cur);
    EXPECT_EQ(limits.processors, affinity_of_thread(0).size());
}

TEST(ThisMachine, SystemDescriptionIsOneJsonObjectWithWhatAReaderNeeds) {
    const auto document = nlohmann::json::parse(describe_system_json());
    for (const char* key : {"host", "kernel", "cpu_model", "compiler", "usable_cores", "transparent_huge_pages"})
        EXPECT_FALSE(document.at(key).get<std::string>().empty()) << key;
    EXPECT_TRUE(document.at("cpu_governor").is_string());
    EXPECT_GE(document.at("numa_nodes").get<unsigned>(), 1u);
    EXPECT_GE(document.at("packages").get<unsigned>(), 1u);
    EXPECT_GE(document.at("threads_per_core").get<unsigned>(), 1u);
    EXPECT_GT(document.at("memory_total_bytes").get<std::uint64_t>(), 0u);
}

TEST_F(Machine, BytesThatAreNoUtf8DoNotSpoilTheDescription) {
    write("proc/cpuinfo", "model name\t: Caf\xe9 9000\n");
    EXPECT_TRUE(nlohmann::json::accept(describe_system_json(root_.string())));
}

TEST(ProcessCounters, WrittenBytesShowInTheKernelsCount) {
    const ProcessIo before = read_process_io();
    if (!before.known) GTEST_SKIP() << "this kernel hides /proc/self/io";
    std::string name = (fs::temp_directory_path() / "sluice-io-XXXXXX").string();
    const int fd = ::mkstemp(name.data());
    ASSERT_GE(fd, 0);
    fs::remove(name);
    struct stat info {};
    ASSERT_EQ(::fstat(fd, &info), 0);
    if (major(info.st_dev) == 0) {
        ::close(fd);
        GTEST_SKIP() << "the temporary folder is on no block device";
    }
    const std::string data(1 << 20, 'x');
    ASSERT_EQ(::write(fd, data.data(), data.size()), static_cast<ssize_t>(data.size()));
    ASSERT_EQ(::fsync(fd), 0);
    ::close(fd);
    const ProcessIo after = read_process_io();
    EXPECT_GE(after.write_bytes - before.write_bytes, data.size());
    EXPECT_LT(after.write_bytes - before.write_bytes, 2 * data.size());
}

TEST(ProcessCounters, PeakKeepsWhatWasResidentAndGivenBack) {
    constexpr std::size_t kBytes = 64 * kMiB;
    void* memory = ::mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ASSERT_NE(memory, MAP_FAILED);
    std::memset(memory, 1, kBytes);
    ::munmap(memory, kBytes);
    EXPECT_GE(resident_peak_bytes(), kBytes);
    EXPECT_EQ(read_process_cpu().peak_resident_bytes, resident_peak_bytes());
}

TEST(ProcessCounters, CpuTimeGrowsWithWork) {
    const ProcessCpu before = read_process_cpu();
    volatile std::uint64_t sum = 0;
    const auto spent_s = [&] {
        const ProcessCpu now = read_process_cpu();
        return now.user_s + now.system_s - before.user_s - before.system_s;
    };
    while (spent_s() < 0.02)
        for (int i = 0; i < 100000; ++i) sum = sum + 1;
    EXPECT_GT(sum, 0u);
    EXPECT_GE(read_process_cpu().voluntary_switches, before.voluntary_switches);
}

}  // namespace
}  // namespace sluice
