// Config files are read strictly, and every value knows where it came from.
#include "runtime/config.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runtime/error.hpp"
#include "runtime/option_table.hpp"
#include "runtime/rng.hpp"

namespace sluice {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

ConfigSources file(const std::string& text) { return {"rack.toml", text, {}, {}}; }

/// All problems of the sources, "" when there are none.
std::string refusal(const ConfigSources& sources) {
    try {
        const LoadedConfig loaded(sources);
        return "";
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), Errc::config) << error.what();
        return error.what();
    }
}
std::string refusal(const std::string& text) { return refusal(file(text)); }

TEST(Config, EmptySourcesGiveTheDefaults) {
    const LoadedConfig loaded(ConfigSources{});
    const Config config = loaded.for_host("n01"), defaults;
    for (const Option& option : option_table()) {
        EXPECT_EQ(option.print(config), option.print(defaults)) << option.key;
        EXPECT_EQ(option.print(config), option.fallback) << option.key;
        EXPECT_EQ(loaded.origin_of(option.key), "default") << option.key;
    }
}

TEST(Config, UnknownKeyNamesFileLineColumnAndTheNearestKey) {
    EXPECT_EQ(refusal("[memory]\nbudget = \"1GiB\"\n\n[io]\n  depht = 4\n"),
              "rack.toml:5:11: io.depht: unknown key; did you mean io.depth?");
    EXPECT_THAT(refusal("[memroy]\nbudget = \"1GiB\"\n"),
                AllOf(StartsWith("rack.toml:1:"), HasSubstr("memroy: unknown key")));
    EXPECT_THAT(refusal("[[disks]]\npath = \"/d\"\nrole = \"input\"\nscop = \"host\"\n"),
                AllOf(StartsWith("rack.toml:4:8: "), HasSubstr("did you mean disks.scope?")));
    EXPECT_THAT(refusal("quite_something_else = 1\n"), HasSubstr("`sluice config list` shows all"));
}

TEST(Config, KeyGivenTwiceIsRefusedWhereItStandsAgain) {
    EXPECT_THAT(refusal("[io]\ndepth = 4\ndepth = 5\n"), StartsWith("rack.toml:3:"));
    EXPECT_THAT(refusal("[io]\ndepth = 4\n[net]\npoll = \"spin\"\n[io]\ndirect = \"on\"\n"),
                StartsWith("rack.toml:5:"));
    EXPECT_THAT(refusal("[[disks]]\npath = \"/d\"\nrole = \"input\"\n[[disks]]\npath = \"/d\"\nrole = \"input\"\n"),
                AllOf(StartsWith("rack.toml:4:"), HasSubstr("listed twice")));
}

TEST(Config, AllProblemsAreListedAtOnce) {
    const std::string all = refusal("[io]\ndepth = -1\nread_size = \"10Gx\"\nbakend = \"sync\"\n[run]\nverify = 1\n");
    EXPECT_EQ(std::count(all.begin(), all.end(), '\n'), 3) << all;
    EXPECT_THAT(all, AllOf(HasSubstr("rack.toml:2:9: io.depth"), HasSubstr("rack.toml:3:13: io.read_size"),
                           HasSubstr("did you mean io.backend?"), HasSubstr("rack.toml:6:10: run.verify")));
}

TEST(Config, WrongValuesAreRefusedWithTheirPlaceAndTheRule) {
    const std::pair<const char*, const char*> cases[] = {
        {"[memory]\nbudget = 1073741824\n", "needs a unit"},
        {"[memory]\nbudget = \"1073741824\"\n", "is no size"},
        {"[memory]\nbudget = \"18446744073709551616kB\"\n", "is no size"},
        {"[memory]\nbudget = \"-1GiB\"\n", "is no size"},
        {"[memory]\nbudget = \"nan\"\n", "is no size"},
        {"[memory]\nbudget = \"\"\n", "is no size"},
        {"[memory]\nbudget = nan\n", "takes a text in quotes"},
        {"[memory]\nbudget = true\n", "takes a text in quotes"},
        {"[memory]\nbudget = [\"1GiB\"]\n", "takes a text in quotes"},
        {"[io]\ndepth = 4.0\n", "takes one bare integer"},
        {"[io]\ndepth = \"4\"\n", "without quotes"},
        {"[io]\ndepth = 1025\n", "1024"},
        {"[io]\ndepth = true\n", "takes one bare integer"},
        {"[io]\ndirect = true\n", "takes a text in quotes"},
        {"[io]\ndirect = \"onn\"\n", "did you mean \"on\"?"},
        {"[io]\nfsync = 1\n", "takes one bare boolean"},
        {"[io]\nfsync = \"true\"\n", "without quotes"},
        {"[results]\ndir = 5\n", "takes a text in quotes"},
        {"[output]\nname = \"../elsewhere\"\n", "is no plain directory name"},
        {"[output]\nname = \"a\\u0000b\"\n", "\"a\\x00b\" is no plain directory name"},
        {"[[disks]]\npath = \"relative\"\nrole = \"input\"\n", "must be absolute"},
        {"[[disks]]\npath = \"/a\\nb\"\nrole = \"input\"\n", "control characters"},
        {"[[disks]]\npath = \"/d\"\nrole = \"inptu\"\n", "did you mean \"input\"?"},
        {"[[disks]]\nrole = \"input\"\n", "path is missing"},
        {"[[disks]]\npath = \"/d\"\n", "role is missing"},
        {"[[disks]]\npath = \"/d\"\nrole = \"input\"\nscope = \"world\"\n", "none of host|shared"},
        {"[input]\npaths = \"/data/*\"\n", "takes a list of texts"},
        {"[input]\npaths = [\"data\"]\n", "must be absolute"},
        {"[record]\nsize = \"100B\"\nkey_offset = \"95B\"\n", "does not fit in a record"},
        {"weight = nan\n", "is no number"},
        {"weight = -1\n", "is no number"},
        {"hosts = 3\n", "hosts: write"},
        {"[hosts.\"n01\"]\nmemory.budgte = \"1GiB\"\n", "did you mean memory.budget?"},
        {"[io\ndepth = 4\n", "no valid TOML"},
        {"[io]\ndepth = 4\nx", "no valid TOML"},
    };
    for (const auto& [text, why] : cases)
        EXPECT_THAT(refusal(text), AllOf(StartsWith("rack.toml:"), HasSubstr(why))) << text;
}

TEST(Config, CommandLineBeatsEnvironmentBeatsFileBeatsDefault) {
    ConfigSources sources = file("[io]\ndepth = 3\nread_size = \"1MiB\"\nwrite_size = \"1MiB\"\n");
    sources.environment = {{"SLUICE_IO_DEPTH", "5"}, {"SLUICE_IO_READ_SIZE", "2MiB"}, {"SLUICE_LAUNCH_STAMP", "1"}};
    sources.sets = {"io.depth=7", "io.depth=8"};
    const LoadedConfig loaded(sources);
    const Config config = loaded.for_host("n01");
    EXPECT_EQ(config.io.depth, 8u);
    EXPECT_EQ(config.io.read_size_bytes, 2u << 20);
    EXPECT_EQ(config.io.write_size_bytes, 1u << 20);
    EXPECT_EQ(loaded.origin_of("io.depth"), "--set");
    EXPECT_EQ(loaded.origin_of("io.read_size"), "environment SLUICE_IO_READ_SIZE");
    EXPECT_EQ(loaded.origin_of("io.write_size"), "rack.toml:4:14");
    EXPECT_EQ(loaded.origin_of("io.chunk_size"), "default");
}

TEST(Config, MistypedVariablesAndAssignmentsAreRefused) {
    ConfigSources sources;
    sources.environment = {{"SLUICE_IO_DEPHT", "5"}};
    EXPECT_EQ(refusal(sources), "environment SLUICE_IO_DEPHT: no such option; did you mean SLUICE_IO_DEPTH?");
    sources.environment = {{"SLUICE_DISK_PATHS", "/x"}};
    EXPECT_THAT(refusal(sources), HasSubstr("did you mean SLUICE_DISKS_PATH?"));
    sources = {};
    sources.sets = {"io.depth", "io.depht=3", "io.depth=3x", "disks.path=relative"};
    const std::string all = refusal(sources);
    EXPECT_THAT(all, AllOf(HasSubstr("write KEY=VALUE"), HasSubstr("did you mean io.depth?"),
                           HasSubstr("is no whole number"), HasSubstr("must be absolute")));
}

TEST(Config, VariablesThatNobodyMeantForAnOptionAreAtMostWarnedOf) {
    ConfigSources sources;
    for (const char* name : {"ROOT", "HOME", "DIR", "VERSION", "LIB", "BIN"})
        sources.environment[std::string("SLUICE_") + name] = "/opt/sluice";
    EXPECT_TRUE(LoadedConfig(sources).warnings().empty()) << "module systems set these";
    sources.environment["SLUICE_INCLUDE_DIR"] = "/opt/sluice/include";
    sources.environment["SLUICE_" + std::string(100'000, 'X')] = "";
    const LoadedConfig loaded(sources);
    ASSERT_EQ(loaded.warnings().size(), 2u);
    EXPECT_EQ(loaded.warnings()[0], "WARNING environment SLUICE_INCLUDE_DIR: is no option of sluice and has no effect");
}

TEST(Config, HoldsNoTextsThatReportsCannotHold) {
    for (const char* set : {"disks.path=/a\xe9", "results.dir=r\xe9", "output.name=o\xe9"}) {
        ConfigSources sources;
        sources.sets = {set};
        EXPECT_THAT(refusal(sources), AllOf(HasSubstr("is not UTF-8"), HasSubstr("\\xe9")));
    }
    ConfigSources sources;
    sources.sets = {"input.paths=/a\xe9.dat"};
    const ConfigSources arrived = ConfigSources::deserialize(sources.serialize());
    EXPECT_EQ(LoadedConfig(arrived).for_host("h").input.paths[0], "/a\xe9.dat") << "files keep the names they have";
}

TEST(Config, OfManyMistakesTheFirstAreShown) {
    std::string text;
    for (int i = 0; i < 1000; ++i) text += "x" + std::to_string(i) + " = 1\n";
    const std::string all = refusal(file(text));
    EXPECT_EQ(std::count(all.begin(), all.end(), '\n'), 50);
    EXPECT_THAT(all, HasSubstr("and 950 more problems"));
    EXPECT_LT(refusal(file(std::string(3'000'000, 'k') + " = 1\n")).size(), 5000u);
}

TEST(Config, HostsOverrideTheFileButNotWhatWasTyped) {
    ConfigSources sources = file(
        "[memory]\nbudget = \"4GiB\"\n[io]\ndepth = 4\n[hosts.\"n07\"]\nmemory.budget = \"2GiB\"\nio.depth = 2\nweight "
        "= 0.5\n");
    sources.sets = {"io.depth=6"};
    const LoadedConfig loaded(sources);
    EXPECT_EQ(loaded.for_host("n01").memory.budget_bytes, std::uint64_t{4} << 30);
    EXPECT_EQ(loaded.for_host("n07").memory.budget_bytes, std::uint64_t{2} << 30);
    EXPECT_EQ(loaded.for_host("n07").io.depth, 6u);
    EXPECT_DOUBLE_EQ(loaded.for_host("n07").weight, 0.5);
    EXPECT_DOUBLE_EQ(loaded.for_host("n01").weight, 1.0);
    EXPECT_EQ(loaded.origin_of("memory.budget", "n01"), "rack.toml:2:10");
    EXPECT_EQ(loaded.origin_of("memory.budget", "n07"), "rack.toml:6:17");
    EXPECT_EQ(loaded.origin_of("io.depth", "n07"), "--set");
    EXPECT_EQ(loaded.origin_of("weight", "n01"), "default");
}

TEST(Config, EffectiveTomlLoadsToTheSameValues) {
    ConfigSources sources = file(
        "[[disks]]\npath = \"/mnt/\\\"odd\\\" name\"\nrole = \"input\"\n[[disks]]\npath = \"/b\"\nrole = "
        "\"output\"\nscope = \"shared\"\n"
        "[io]\ndepth = 9\nfsync = false\n[input]\npaths = [\"/x/*.dat\", \"/y\"]\n[memory]\nbudget = \"1.5GiB\"\n");
    const LoadedConfig loaded(sources);
    const std::string text = loaded.effective_toml("n01");
    const LoadedConfig again(file(text));
    EXPECT_EQ(again.effective_toml("n01"), text);
    EXPECT_EQ(again.hash(), loaded.hash());
    const Config a = loaded.for_host("n01"), b = again.for_host("n01");
    EXPECT_EQ(a.disks, b.disks);
    EXPECT_EQ(a.input.paths, b.input.paths);
    for (const Option& option : option_table()) EXPECT_EQ(option.print(a), option.print(b)) << option.key;
}

TEST(Config, EffectiveTomlQuotesWhatTomlDoesNotTakeAsItIs) {
    const std::string name = "a\x7f\"b\\c \xc3\xa4";
    ConfigSources sources;
    sources.sets = {"results.dir=" + name};
    const LoadedConfig again(file(LoadedConfig(sources).effective_toml("")));
    EXPECT_EQ(again.for_host("").results.dir, name);
}

TEST(Config, ADiskHasOneOfTheRolesAndScopes) {
    const LoadedConfig loaded(file("[[disks]]\npath = \"/d\"\nrole = \"output\"\nscope = \"shared\"\n"));
    const Config config = loaded.for_host("");
    ASSERT_EQ(config.disks.size(), 1u);
    EXPECT_EQ(config.disks[0].role, DiskRole::output);
    EXPECT_EQ(config.disks[0].scope, DiskScope::shared);
    EXPECT_EQ(refusal("[[disks]]\npath = \"/d\"\nrole = \"ouput\"\n"),
              "rack.toml:3:8: disks.role = \"ouput\": none of input|intermediate|output; did you mean \"output\"?");
    EXPECT_EQ(refusal("[[disks]]\npath = \"/d\"\nrole = \"input\"\nscope = \"all\"\n"),
              "rack.toml:4:9: disks.scope = \"all\": none of host|shared");
}

TEST(Config, SourcesArriveOnOtherRanksAsTheyWere) {
    ConfigSources sources = file("[io]\ndepth = 9\n# \xc3\xa4\n");
    sources.sets = {"run.seed=7"};
    sources.environment = {{"SLUICE_NET_POLL", "spin"}};
    const ConfigSources arrived = ConfigSources::deserialize(sources.serialize());
    EXPECT_EQ(arrived.file_text, sources.file_text);
    EXPECT_EQ(LoadedConfig(arrived).hash(), LoadedConfig(sources).hash());
    EXPECT_NE(LoadedConfig(arrived).hash(), LoadedConfig(file("[io]\ndepth = 8\n")).hash());
}

/// A text that the option should take, drawn from its type.
std::string drawn_value(const Option& option, Rng& rng) {
    if (option.kind == ValueKind::size) return std::to_string(rng.below(3000)) + (rng.below(2) == 0 ? "KiB" : "kB");
    if (option.kind == ValueKind::duration) return std::to_string(1 + rng.below(90)) + (rng.below(2) == 0 ? "s" : "ms");
    if (option.kind == ValueKind::integer) return std::to_string(rng.below(40));
    if (option.kind == ValueKind::boolean) return rng.below(2) == 0 ? "true" : "false";
    if (option.kind == ValueKind::number)
        return std::to_string(1 + rng.below(99)) + "." + std::to_string(rng.below(100));
    if (option.kind == ValueKind::text) return "name" + std::to_string(rng.below(1000));
    return option.words[rng.below(option.words.size())];
}

TEST(OptionTable, WhatAnOptionPrintsItTakesAndPrintsAgain) {
    Rng rng(5);
    for (const Option& option : option_table()) {
        EXPECT_FALSE(option.help.empty()) << option.key;
        int taken = 0;
        for (int i = 0; i < 200; ++i) {
            Config config, again;
            if (option.store(config, drawn_value(option, rng))) continue;
            ++taken;
            const std::string printed = option.print(config);
            ASSERT_EQ(option.store(again, printed), std::nullopt) << option.key << " " << printed;
            ASSERT_EQ(option.print(again), printed) << option.key;
        }
        EXPECT_GT(taken, 0) << option.key;
    }
}

TEST(OptionTable, DefaultsAreValuesThatTheOptionTakes) {
    for (const Option& option : option_table()) {
        Config config;
        EXPECT_EQ(option.store(config, option.fallback), std::nullopt) << option.key << " = " << option.fallback;
    }
}

TEST(OptionTable, RandomTextIsTakenOrRefusedButNeverHalfRead) {
    Rng rng(6);
    for (const Option& option : option_table()) {
        for (int i = 0; i < 500; ++i) {
            std::string text;
            for (std::uint64_t n = rng.below(10); n > 0; --n) text += static_cast<char>(rng.below(256));
            Config config;
            if (option.store(config, text)) continue;
            Config again;
            ASSERT_EQ(option.store(again, option.print(config)), std::nullopt) << option.key;
        }
    }
}

TEST(Config, RandomFilesAreReadOrRefusedButNeverCrash) {
    const std::string good =
        "[io]\ndepth = 4\nread_size = \"1MiB\"\n[[disks]]\npath = \"/d\"\nrole = \"input\"\n[hosts.\"a\"]\nweight = "
        "2\n";
    Rng rng(11);
    int refused = 0;
    for (int i = 0; i < 5000; ++i) {
        std::string text = good;
        for (std::uint64_t n = 1 + rng.below(3); n > 0; --n) {
            const std::size_t at = rng.below(text.size());
            if (rng.below(3) == 0)
                text.erase(at, 1 + rng.below(8));
            else
                text[at] = static_cast<char>(rng.below(256));
            if (text.empty()) text = "\n";
        }
        const std::string why = refusal(text);
        if (why.empty()) continue;
        ++refused;
        ASSERT_THAT(why, HasSubstr("rack.toml:")) << text;
    }
    EXPECT_GT(refused, 2000);
}

TEST(Nearest, OffersWhatWasMeantAndNothingFarFetched) {
    const std::vector<std::string> known = {"io.depth", "io.direct", "memory.budget"};
    EXPECT_EQ(nearest("io.depht", known), "io.depth");
    EXPECT_EQ(nearest("memory.bugdet", known), "memory.budget");
    EXPECT_EQ(nearest("entirely", known), std::nullopt);
}

}  // namespace
}  // namespace sluice
