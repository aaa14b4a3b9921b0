#include "cli/command_line.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "runtime/choices.hpp"
#include "runtime/error.hpp"

namespace sluice {
namespace {

using ::testing::HasSubstr;

CommandLine parse(std::vector<std::string> words) {
    words.insert(words.begin(), "sluice");
    std::vector<char*> arguments;
    for (std::string& word : words) arguments.push_back(word.data());
    return parse_command_line(static_cast<int>(arguments.size()), arguments.data());
}

std::string refusal(const std::vector<std::string>& words) {
    try {
        parse(words);
        return "";
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), Errc::config);
        return error.what();
    }
}

struct Call {
    std::vector<std::string> words;
    Command command;
    bool has_status;
};

TEST(CommandLine, EachVerbWithItsSecondWordIsACommand) {
    const std::vector<Call> calls = {
        {{"gen", "a.toml", "--records", "10"}, Command::gen, true},
        {{"sort", "a.toml"}, Command::sort, true},
        {{"validate", "a.toml"}, Command::validate, true},
        {{"shuffle", "a.toml", "--seconds", "1"}, Command::shuffle, true},
        {{"bench", "disk", "a.toml", "--two-pass-copy"}, Command::bench_copy, true},
        {{"bench", "net", "a.toml"}, Command::bench_net, true},
        {{"config", "list", "a.toml"}, Command::config_list, false},
        {{"config", "check", "a.toml"}, Command::config_check, false},
        {{"config", "show", "a.toml"}, Command::config_show, false},
        {{"clean", "a.toml", "--input"}, Command::clean, false},
        {{"sysinfo", "a.toml"}, Command::sysinfo, false},
    };
    for (const Call& call : calls) {
        const CommandLine line = parse(call.words);
        EXPECT_EQ(line.command, call.command) << call.words.front();
        EXPECT_EQ(line.verb, call.words.front());
        EXPECT_EQ(line.config_path, "a.toml") << call.words.front();
        EXPECT_EQ(has_status(line.command), call.has_status) << call.words.front();
    }
    for (const std::string& verb : word_list<Verb>()) {
        EXPECT_TRUE(std::any_of(calls.begin(), calls.end(), [&](const Call& call) { return call.words[0] == verb; }));
        EXPECT_THAT(help_text(verb), HasSubstr("sluice " + verb + ": ")) << "each verb has its help";
        EXPECT_THAT(help_text(""), HasSubstr("\n  " + verb + " "));
    }
}

TEST(CommandLine, SecondWordsThatAreNoneAreRefused) {
    EXPECT_EQ(parse({"config"}).command, Command::config_check);
    EXPECT_EQ(parse({"bench", "--help"}).command, Command::none);
    EXPECT_THAT(refusal({"bench"}), HasSubstr("are what there is"));
    EXPECT_THAT(refusal({"bench", "disk"}), HasSubstr("are what there is")) << "one pass or two?";
    EXPECT_THAT(refusal({"bench", "list"}), HasSubstr("'bench list': unknown"));
    EXPECT_THAT(refusal({"config", "net"}), HasSubstr("'config net': unknown"));
    EXPECT_THAT(refusal({"config", ""}), HasSubstr("'config ': unknown"));
    EXPECT_THAT(refusal({"srot"}), HasSubstr("did you mean 'sort'?"));
    EXPECT_THAT(refusal({"sort", "a.toml", "b.toml"}), HasSubstr("one word too many"));
    EXPECT_EQ(parse({}).command, Command::none);
}

TEST(CommandLine, OnlyAPlanCanBeOfADescribedCluster) {
    EXPECT_TRUE(parse({"config", "check", "--hosts", "4"}).is_described());
    EXPECT_TRUE(parse({"config", "check", "--input", "1TB"}).is_described());
    EXPECT_FALSE(parse({"config", "check", "--cores", "4"}).is_described());
    EXPECT_FALSE(parse({"config", "show", "--hosts", "4"}).is_described());
    EXPECT_FALSE(parse({"sort", "--input", "1TB"}).is_described());
}

TEST(CommandLine, AStrideAloneIsThePatternOfAShuffleAndNoneOfBenchNet) {
    EXPECT_EQ(parse({"shuffle", "--seconds", "1", "--stride", "3"}).pattern, "stride");
    EXPECT_EQ(parse({"bench", "net", "--stride", "3"}).pattern, "");
}

}  // namespace
}  // namespace sluice
