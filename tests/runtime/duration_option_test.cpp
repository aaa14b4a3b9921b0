#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runtime/config.hpp"
#include "runtime/error.hpp"
#include "runtime/option_table.hpp"

namespace sluice {
namespace {

const Option& watchdog() { return *find_option("run.watchdog"); }

TEST(DurationOption, PrintedValueReadsBackAsTheSame) {
    for (const char* text : {"500ms", "60s", "5min", "1h", "24h", "0s", "1500ms", "1.5s", "2500000us"}) {
        Config config, again;
        ASSERT_FALSE(watchdog().store(config, text)) << text;
        ASSERT_FALSE(watchdog().store(again, watchdog().print(config))) << text;
        EXPECT_EQ(again.run.watchdog_ns, config.run.watchdog_ns) << text;
    }
    Config config;
    watchdog().store(config, "1.5s");
    EXPECT_EQ(config.run.watchdog_ns, 1'500'000'000u);
    EXPECT_EQ(watchdog().print(Config{}), "60s");
}

TEST(DurationOption, AnythingElseIsRefused) {
    for (const char* text : {"", "60", "s", "60 s", "60sec", "-1s", "1e3s", "nan", "60s ", " 60s", "0x3cs", "60S",
                             "18446744073709551616s", "1s1s", "499ms", "25h", "1ns"}) {
        Config config;
        EXPECT_TRUE(watchdog().store(config, text)) << text;
        EXPECT_EQ(config.run.watchdog_ns, Config{}.run.watchdog_ns) << text;
    }
}

TEST(DurationOption, BareNumberInTheFileNamesTheUnitToWrite) {
    ConfigSources sources;
    sources.file_name = "rack.toml";
    sources.file_text = "[run]\nwatchdog = 60\n";
    try {
        LoadedConfig loaded(sources);
        FAIL() << "accepted";
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), Errc::config);
        EXPECT_THAT(error.what(), ::testing::HasSubstr("rack.toml:2"));
        EXPECT_THAT(error.what(), ::testing::HasSubstr("write \"60s\""));
    }
}

TEST(DurationOption, EffectiveConfigLoadsToTheSameValue) {
    ConfigSources sources;
    sources.sets = {"run.watchdog=90s"};
    const std::string text = LoadedConfig(sources).effective_toml("");
    ConfigSources again;
    again.file_name = "effective.toml";
    again.file_text = text;
    EXPECT_EQ(LoadedConfig(again).for_host("").run.watchdog_ns, 90'000'000'000u);
}

}  // namespace
}  // namespace sluice
