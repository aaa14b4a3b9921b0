#include "io/glob.hpp"

#include <glob.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "io/as_nobody.hpp"
#include "io/data_set.hpp"
#include "io/io_fixture.hpp"
#include "io/owner_record.hpp"
#include "runtime/rng.hpp"

namespace sluice::testing {
namespace {

namespace fs = std::filesystem;

struct Glob : ::testing::Test {
    void put(const std::string& name) {
        fs::create_directories(fs::path(scratch / name).parent_path());
        write_text_file(scratch / name, "x");
    }
    std::vector<std::string> find(const std::string& pattern) {
        std::vector<std::string> names;
        for (const std::string& path : find_paths(scratch / pattern))
            names.push_back(path.substr(scratch.path().size() + 1));
        return names;
    }
    TempDirectory scratch;
};
using Names = std::vector<std::string>;

TEST_F(Glob, ALiteralNameIsItselfWhateverSignsAreInIt) {
    for (const char* name : {"run[12].dat", "run1.dat", "a*b", "back\\slash", "q?"}) put(name);
    EXPECT_EQ(find("run[12].dat"), Names{"run[12].dat"});
    EXPECT_EQ(find("a*b"), Names{"a*b"});
    EXPECT_EQ(find("q?"), Names{"q?"});
    EXPECT_EQ(find("back\\slash"), Names{"back\\slash"});
    EXPECT_EQ(find("run[34].dat"), Names{});
    EXPECT_EQ(find("run[1x].dat"), Names{"run1.dat"});
    EXPECT_EQ(find("not there"), Names{"not there"}) << "for the caller to miss";
    for (const char* name : {"of[1]/part-0", "of1/part-1", "of*/part-2", "of9/part-9"}) put(name);
    EXPECT_EQ(find("of[1]/part-*"), Names{"of[1]/part-0"}) << "a folder's name as well";
    EXPECT_EQ(find("of*/part-*"), Names{"of*/part-2"});
    EXPECT_EQ(find("of[19]/part-*"), (Names{"of1/part-1", "of9/part-9"}));
}

TEST_F(Glob, WhatIsSluicesOwnMatchesNoPatternAndAUsersFileOfThatNameDoes) {
    const std::string run(32, 'a');
    for (const char* name : {"d/data-1", "mine/MANIFEST.json", "mine/OWNER.json"}) put(name);
    for (const std::string& name : {"d/sluice-" + run + "-logs/log-r0-0", std::string("d/sub/log-r0-0")}) put(name);
    OwnerRecord record;
    record.run_id = run;
    write_text_file(scratch / "d/OWNER.json", to_block(record));
    write_text_file(scratch / "d/MANIFEST.json", "damaged, and beside a record");
    EXPECT_EQ(find("d/*"), (Names{"d/data-1", "d/sub"}));
    EXPECT_EQ(find("d/*/*"), Names{"d/sub/log-r0-0"}) << "a run may remove its logs at any moment";
    EXPECT_EQ(find("mine/*"), (Names{"mine/MANIFEST.json", "mine/OWNER.json"}));
    for (const bool is_owner : {true, false}) {
        const std::string folder = is_owner ? "torn-record" : "torn-manifest";
        std::string text = is_owner ? to_block(record) : DataSet().to_text();
        text[text.size() / 2] ^= 1;
        fs::create_directories(scratch / folder);
        write_text_file(scratch / (folder + (is_owner ? "/OWNER.json" : "/MANIFEST.json")), text);
        EXPECT_EQ(error_of([&] { find(folder + "/*"); }).code, 4) << "4096 bytes are records of 128, too";
    }
    fs::create_directories(scratch / "old");
    write_text_file(scratch / "old/MANIFEST.json", DataSet().to_text());
    EXPECT_EQ(find("old/*"), Names{}) << "a set of before there were records";
    EXPECT_EQ(find("d/MANIFEST.json"), Names{"d/MANIFEST.json"});
}

TEST_F(Glob, AFolderThatCannotBeReadIsAnErrorThatNamesIt) {
    for (const char* name : {"in/a/d.dat", "in/b/d.dat", "in/c/d.dat"}) put(name);
    fs::permissions(scratch.path(), fs::perms::all);
    fs::permissions(scratch / "in", fs::perms::all);
    for (const auto perms :
         {fs::perms::none, fs::perms::others_read}) {  // not to be listed; to be listed, not searched
        fs::permissions(scratch / "in/b", perms);
        const AsNobody nobody;
        if (!nobody) GTEST_SKIP() << "only root can step down";
        for (const char* pattern : {"in/*/d.dat", "in/*/*.dat", "in/b/d*"}) {
            if (perms != fs::perms::none && std::string(pattern) != "in/*/d.dat") continue;
            const Caught caught = error_of([&] { find(pattern); });
            EXPECT_EQ(caught.code, 4) << pattern;
            EXPECT_TRUE(caught.mentions(scratch / "in/b")) << pattern << ": " << caught.text;
        }
    }
    fs::permissions(scratch / "in/b", fs::perms::owner_all);
}

TEST_F(Glob, FindsWhatGlobThreeFinds) {
    Rng rng(11);
    const std::string letters = "ab.";
    const auto word = [&](const std::string& from, std::uint64_t most) {
        std::string text;
        for (std::uint64_t n = 1 + rng.below(most); n > 0; --n) text += from[rng.below(from.size())];
        return text;
    };
    for (int i = 0; i < 60; ++i) {
        const std::string name = word("ab", 2) + "/" + word("ab", 1) + word(letters, 3);
        if (!fs::is_directory(scratch / name)) put(name);
    }
    int matches = 0;
    for (int round = 0; round < 2000; ++round) {
        const std::string pattern = word("ab*?[]", 3) + "/" + word("ab.*?[]-!", 4);
        glob_t expected{};
        Names oracle;
        if (::glob((scratch / pattern).c_str(), 0, nullptr, &expected) == 0) {
            for (std::size_t i = 0; i < expected.gl_pathc; ++i) {
                const std::string name = std::string(expected.gl_pathv[i]).substr(scratch.path().size() + 1);
                const bool is_dots = name.ends_with("/.") || name.ends_with("/..");  // no file, whatever the pattern
                if (!is_dots) oracle.push_back(name);
            }
        }
        ::globfree(&expected);
        if (pattern.find_first_of("*?[") == std::string::npos || pattern.ends_with("/.") || pattern.ends_with("/.."))
            continue;
        std::sort(oracle.begin(), oracle.end());
        EXPECT_EQ(find(pattern), oracle) << pattern;
        matches += static_cast<int>(oracle.size());
    }
    EXPECT_GT(matches, 500);
}

}  // namespace
}  // namespace sluice::testing
