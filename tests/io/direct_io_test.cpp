// Cached unless proven direct.
#include "io/direct_io.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/statfs.h>

#include <fstream>

#include "io/io_backend.hpp"
#include "io/io_fixture.hpp"

namespace sluice::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr long kTmpfs = 0x01021994;

bool is_tmpfs(const std::string& path) {
    struct statfs where {};
    return ::statfs(path.c_str(), &where) == 0 && where.f_type == kTmpfs;
}

TEST(DirectIoProof, TmpfsIsMemoryThoughItTakesODirect) {
    if (!is_tmpfs("/dev/shm")) GTEST_SKIP() << "no tmpfs at /dev/shm";
    EXPECT_EQ(prove_direct_io_in("/dev/shm").alignment, 0u);
    EXPECT_THAT(prove_direct_io_in("/dev/shm").cached_because, HasSubstr("memory"));
}

TEST(DirectIoProof, AFileIsAsItsDirectory) {
    TempDirectory directory;
    std::ofstream(directory / "file") << "x";
    const DirectIoProof made = prove_direct_io_in(directory.path()), there = prove_direct_io_of(directory / "file");
    EXPECT_EQ(made.alignment, there.alignment);
    EXPECT_EQ(made.alignment == 0, !made.cached_because.empty());
}

TEST(DirectIoProof, WhatSaysNothingIsCached) {
    EXPECT_EQ(prove_direct_io_of("/proc/self/status").alignment, 0u);
    EXPECT_EQ(prove_direct_io_in("/proc").alignment, 0u);
}

TEST(DirectIoProof, UpperLayerIsReadFromTheMountsOptions) {
    EXPECT_EQ(upper_directory_of("rw,lowerdir=/l,upperdir=/a/up,workdir=/w"), "/a/up");
    EXPECT_EQ(upper_directory_of("upperdir=/with\\040space"), "/with space");
    EXPECT_THAT(upper_directory_of("rw,lowerdir=/l:/upperdir=/no"), IsEmpty());
    EXPECT_THAT(upper_directory_of(""), IsEmpty());
}

TEST(CachedFiles, AreRefusedOrNotedByWhatWasOpened) {
    if (!is_tmpfs("/dev/shm")) GTEST_SKIP() << "no tmpfs at /dev/shm";
    const std::string name = "/dev/shm/sluice-test-" + std::to_string(::getpid());
    std::ofstream(name) << "x";
    for (const auto& make : {make_sync_backend, make_libaio_backend}) {
        EXPECT_THROW(make(DirectIo::on)->open_for_read(name), Error);
        const auto backend = make(DirectIo::attempt);
        EXPECT_THAT(backend->cached_directories(), IsEmpty());
        const auto file = backend->open_for_read(name), again = backend->open_for_read(name);
        EXPECT_EQ(backend->cached_directories(), std::vector<std::string>{"/dev/shm"});
    }
    ::unlink(name.c_str());
}

}  // namespace
}  // namespace sluice::testing
