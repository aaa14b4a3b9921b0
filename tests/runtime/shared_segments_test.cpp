#include "runtime/shared_segments.hpp"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>

namespace sluice::testing {
namespace {

TEST(SharedSegments, OnlyFilesOfMpiThatAreStillThereEachOnce) {
    char root[] = "/tmp/sluice-test.XXXXXX";
    ASSERT_NE(::mkdtemp(root), nullptr);
    for (const char* process : {"self", "17"}) {
        std::filesystem::create_directories(std::string(root) + "/proc/" + process);
        std::ofstream(std::string(root) + "/proc/" + process + "/maps")
            << "55d0-55d1 r-xp 00000000 fe:01 9 /usr/bin/sluice\n"
               "7f00-7f01 rw-s 00000000 00:1a 265                        /dev/shm/vader_segment.vm.0.17180001.1\n"
               "7f01-7f02 rw-s 00001000 00:1a 265                        /dev/shm/vader_segment.vm.0.17180001.1\n"
               "7f02-7f03 rw-s 00000000 00:1a 267                        /dev/shm/osc_sm.vm.17180001.0.8 (deleted)\n"
               "7f03-7f04 rw-s 00000000 00:1a 268                        /dev/shm/pulse-shm-123\n";
    }
    const auto found = mapped_segments(root);
    ASSERT_EQ(found.size(), 1u);
    EXPECT_EQ(found[0].name, "vader_segment.vm.0.17180001.1");
    EXPECT_EQ(found[0].inode, 265u);
    EXPECT_TRUE(is_mapped_by_anyone(found[0], root));
    EXPECT_FALSE(is_mapped_by_anyone({found[0].name, 266}, root));
    std::filesystem::remove_all(root);
}

TEST(SharedSegments, NamesOfOthersAreNone) {
    EXPECT_TRUE(is_segment_name("osc_rdma.vm.17180001.8"));
    for (const char* name : {"", "notes", "vader_segment", "sem.x", "vader_segment./../x"})
        EXPECT_FALSE(is_segment_name(name)) << name;
}

}  // namespace
}  // namespace sluice::testing
