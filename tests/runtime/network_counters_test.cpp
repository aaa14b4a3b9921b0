#include "runtime/network_counters.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace sluice {
namespace {

TEST(NetworkCounters, InterfacesAddUpWithoutTheLoopback) {
    const auto root = std::filesystem::temp_directory_path() / ("sluice-net-" + std::to_string(::getpid()));
    std::filesystem::create_directories(root / "proc/self/net");
    std::ofstream(root / "proc/self/net/dev")
        << "Inter-|   Receive                                                |  Transmit\n"
           " face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls "
           "carrier\n"
           "    lo: 5000000   900    0    0    0     0          0         0  5000000     900    0    0    0     0      "
           " 0\n"
           "  eth0: 1000      10    1    2    3     4          5         6  20000      20    0    0    0     0       "
           "0\n"
           "ib0:7 1 0 0 0 0 0 0 11 1 0 0 0 0 0 0\n";
    const NetworkBytes bytes = read_network_bytes(root.string());
    std::filesystem::remove_all(root);
    EXPECT_TRUE(bytes.known);
    EXPECT_EQ(bytes.received, 1007u);
    EXPECT_EQ(bytes.sent, 20011u);
}

TEST(NetworkCounters, MissingFileIsUnknownNotZeroTraffic) { EXPECT_FALSE(read_network_bytes("/nonexistent").known); }

TEST(NetworkCounters, DifferenceIsKnownOnlyWhenBothSidesAre) {
    const NetworkBytes later{30, 50, true}, earlier{10, 20, true};
    EXPECT_EQ((later - earlier).received, 20u);
    EXPECT_EQ((later - earlier).sent, 30u);
    EXPECT_FALSE((later - NetworkBytes{}).known);
}

}  // namespace
}  // namespace sluice
