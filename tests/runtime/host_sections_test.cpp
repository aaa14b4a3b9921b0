#include "runtime/host_sections.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sluice {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

TEST(HostSections, SectionsOfHostsThatRunRanksAreNotMentioned) {
    EXPECT_THAT(unmatched_host_sections({}, {"node01"}), IsEmpty());
    EXPECT_THAT(unmatched_host_sections({"node01", "node02"}, {"node02", "node01", "node01"}), IsEmpty());
}

TEST(HostSections, MisspeltNameComesWithTheHostThatWasMeant) {
    EXPECT_THAT(unmatched_host_sections({"nod07", "node01"}, {"node07", "node01"}),
                ElementsAre(AllOf(HasSubstr("[hosts.\"nod07\"]: no rank runs on"), HasSubstr("node01, node07"),
                                  HasSubstr("did you mean [hosts.\"node07\"]?"))));
}

TEST(HostSections, ShortAndFullNamesOfOneHostAreRecognised) {
    EXPECT_THAT(unmatched_host_sections({"node07.rack.example"}, {"node07"}),
                ElementsAre(HasSubstr("did you mean [hosts.\"node07\"]?")));
    EXPECT_THAT(unmatched_host_sections({"node07"}, {"node07.rack.example"}),
                ElementsAre(HasSubstr("did you mean [hosts.\"node07.rack.example\"]?")));
}

TEST(HostSections, StrangersShareALineAndManyHostsAreCounted) {
    const auto lines =
        unmatched_host_sections({"alpha", "zebra"}, {"node01", "node02", "node03", "node04", "node05", "node06"});
    EXPECT_THAT(lines,
                ElementsAre(AllOf(HasSubstr("[hosts.\"alpha\"], [hosts.\"zebra\"]"), HasSubstr("(6 hosts)"),
                                  HasSubstr("node04, ..."), Not(HasSubstr("node05")), Not(HasSubstr("did you mean")))));
}

}  // namespace
}  // namespace sluice
