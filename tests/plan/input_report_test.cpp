#include "plan/input_report.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "simulated/in_process.hpp"

namespace sluice {
namespace {

TEST(InputReport, ListsFilesUntilThereAreTooManyThenFolders) {
    HostInput host;
    host.host = "h1";
    for (std::uint64_t i = 0; i < kMostListedFiles; ++i) add_file(host, "/a/" + std::to_string(i), 10);
    EXPECT_EQ(host.list.size(), kMostListedFiles);
    add_file(host, "/b/x", 7);
    add_file(host, "/b/y", 8);
    EXPECT_TRUE(host.is_by_folder);
    ASSERT_EQ(host.list.size(), 2u);
    EXPECT_EQ(host.list[0].path, "/a");
    EXPECT_EQ(host.list[0].files, kMostListedFiles);
    EXPECT_EQ(host.list[1].files, 2u);
    EXPECT_EQ(host.list[1].bytes, 15u);
    EXPECT_EQ(host.files, kMostListedFiles + 2);
    EXPECT_EQ(host.bytes, kMostListedFiles * 10 + 15);
    const auto json = nlohmann::json::parse(input_json({host}));
    EXPECT_EQ(json["files"], kMostListedFiles + 2);
    EXPECT_EQ(json["hosts"][0]["folders"].size(), 2u);
}

TEST(InputReport, RanksOfAHostAreOneHost) {
    HostInput first, second;
    first.host = second.host = "h1";
    add_file(first, "/a/1", 10);
    add_file(second, "/a/2", 20);
    const auto hosts = merge_hosts({first, second});
    ASSERT_EQ(hosts.size(), 1u);
    EXPECT_EQ(input_lines(hosts), "input of host h1: 2 file(s), 30 B\n");
    EXPECT_EQ(nlohmann::json::parse(input_json(hosts))["hosts"][0]["list"][0]["path"], "/a/1");
}

TEST(InputReport, NamesThatAreNoTextAreEscapedAndExact) {
    HostInput host;
    host.host = "h1";
    add_file(host, "/a/\xe9\\x", 10);
    add_file(host, "/a/plain\\x", 10);
    const auto list = nlohmann::json::parse(input_json({host}))["hosts"][0]["list"];
    EXPECT_EQ(list[0]["path"], "/a/\\xe9\\\\x");
    EXPECT_EQ(list[0]["path_is_escaped"], true);
    EXPECT_EQ(list[1]["path"], "/a/plain\\x");
    EXPECT_FALSE(list[1].contains("path_is_escaped"));
}

}  // namespace
}  // namespace sluice
