#include "runtime/bounded_text.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "runtime/utf8.hpp"

namespace sluice {
namespace {

using ::testing::HasSubstr;

std::string times(std::size_t count, const std::string& text) {
    std::string all;
    for (std::size_t i = 0; i < count; ++i) all += text;
    return all;
}
std::string refusal_of_toml(const std::string& text) {
    try {
        check_toml_bounds(text, "c.toml");
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), Errc::config);
        return error.what();
    }
    return "";
}

TEST(BoundedToml, NestingIsFoundWhereverItBegins) {
    for (const std::string& part : {times(100'000, "a."), times(100'000, "a . "), times(100'000, "\"a\"."),
                                    "x = " + times(100'000, "["), "x = " + times(100'000, "{a="),
                                    "x = " + times(100'000, "[\n"), "[" + times(100'000, "a."), times(100'000, "[")})
        EXPECT_THAT(refusal_of_toml("# c\nio.depth = 4\n" + part), HasSubstr("nests deeper than 64 levels"));
    EXPECT_THAT(refusal_of_toml("# c\n[a]\n " + times(100, "a.")), ::testing::StartsWith("c.toml:3:"));
}

TEST(BoundedToml, WhatOnlyLooksNestedIsLeftAlone) {
    const std::string dots = times(1000, "."), brackets = times(1000, "[{");
    for (const std::string& text :
         {"x = \"" + dots + "\"", "x = '" + brackets + "'", "# " + dots + brackets, "x = \"\\\"" + brackets + "\"",
          "x = \"\"\"\n\"" + brackets + "\n\"\"\"", "x = '''" + brackets + "'''", times(1000, "a.b = 1.5\n"),
          "x = [" + times(1000, "1.5, ") + "]", times(1000, "[[disks]]\n"), times(1000, "[a.b]\n")})
        EXPECT_EQ(refusal_of_toml(text), "") << text.substr(0, 40);
}

TEST(BoundedToml, AConfigIsAtMostFourMegabytes) {
    EXPECT_EQ(refusal_of_toml(std::string(kMostConfigBytes, '#')), "");
    EXPECT_THAT(refusal_of_toml(std::string(kMostConfigBytes + 1, '#')), HasSubstr("at most 4000000 are read"));
}

TEST(BoundedJson, NestingIsRefusedBeforeAnythingIsBuilt) {
    for (const std::string& text : {times(100'000, "["), times(100'000, "{\"a\":"), "[\"\\\\\"," + times(65, "[")})
        EXPECT_THROW(parse_bounded_json(text), Error);
    EXPECT_NO_THROW(parse_bounded_json("[\"" + times(1000, "[{") + "\\\"" + times(100, "[") + "\"]"));
    EXPECT_NO_THROW(parse_bounded_json(times(64, "[") + times(64, "]")));
    EXPECT_NO_THROW(parse_bounded_json("[" + times(999, "[],") + "{}]"));
}

TEST(BoundedJson, IntegersAreExactOrRefused) {
    const auto json = parse_bounded_json(
        "[9007199254740993, 18446744073709551615, 18446744073709551616, -1, 1.0, 1e3, \"1\", -9223372036854775808]");
    EXPECT_EQ(exact_integer<std::uint64_t>(json[0], "n"), 9007199254740993u);
    EXPECT_EQ(exact_integer<std::uint64_t>(json[1], "n"), ~std::uint64_t{0});
    for (const std::size_t i : {2, 3, 4, 5, 6, 7}) EXPECT_THROW(exact_integer<std::uint64_t>(json[i], "n"), Error) << i;
    EXPECT_EQ(exact_integer<std::int64_t>(json[3], "n"), -1);
    EXPECT_EQ(exact_integer<std::int64_t>(json[7], "n"), std::numeric_limits<std::int64_t>::min());
    for (const std::size_t i : {1, 2, 4}) EXPECT_THROW(exact_integer<std::int64_t>(json[i], "n"), Error) << i;
    EXPECT_THROW(exact_integer<std::int32_t>(json[7], "n"), Error);
    EXPECT_THROW(exact_integer<std::uint32_t>(json[0], "n"), Error);
}

TEST(Utf8, TellsTextFromBytes) {
    for (const char* text : {"", "plain", "\xc3\xa4", "\xe2\x82\xac", "\xf0\x9f\x98\x80", "\xf4\x8f\xbf\xbf"})
        EXPECT_TRUE(is_utf8(text)) << text;
    for (const char* text : {"\x80", "\xc3", "\xc0\x80", "\xe0\x80\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xff",
                             "latin1-\xe9.dat", "\xe2\x82"})
        EXPECT_FALSE(is_utf8(text)) << escape_bytes(text);
    EXPECT_EQ(escape_bytes("a\xe9\\\xc3\xa4\xe2\x82"), "a\\xe9\\\\\xc3\xa4\\xe2\\x82");
}

}  // namespace
}  // namespace sluice
