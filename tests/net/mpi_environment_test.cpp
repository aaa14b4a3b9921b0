#include "net/mpi_environment.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sluice {
namespace {

using ::testing::ElementsAre;

TEST(MpiEnvironment, BridgesOfContainersAreLeftOutUnlessTheyLeadOutOfTheHost) {
    EXPECT_THAT(bridges_that_lead_nowhere({{"lo", false, false},
                                           {"eth0", false, false},
                                           {"docker0", true, false},
                                           {"br-9f86d081884c", true, false},
                                           {"virbr0", true, true},
                                           {"lan", true, true},
                                           {"vms", true, false},
                                           {"cni0", false, false}}),
                ElementsAre("docker0", "br-9f86d081884c", "vms", "cni0"));
}

TEST(MpiEnvironment, UserMapOfTheMachineIsTheIdentityAndOthersAreNot) {
    EXPECT_TRUE(is_identity_map("         0          0 4294967295\n"));
    EXPECT_TRUE(is_identity_map(""));
    EXPECT_FALSE(is_identity_map("         0       1000          1\n"));
    EXPECT_FALSE(is_identity_map("         0          0          1\n"));
    EXPECT_FALSE(is_identity_map("         0     100000      65536\n"));
}

TEST(MpiEnvironment, ProcessThatWasStartedPlainlySharesMemoryWithItsParents) {
    EXPECT_TRUE(shares_memory_with_launcher());
}

}  // namespace
}  // namespace sluice
